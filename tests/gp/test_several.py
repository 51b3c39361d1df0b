"""The gp sampler with several metrics: the front grows, bounds hold, and nothing depends on the cache."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import central_differences

import hpo_core as hpo
from hpo_core.gp.criteria import N_BOUND, N_TIGHT
from hpo_core.gp.maximize import best_of
from hpo_core.gp.units import Units
from hpo_core.metrics import AtLeast, AtMost, Metrics, Minimize

SPACE = {
    "u": hpo.Float(0, 1),
    "v": hpo.Float(0, 1),
    "layers": hpo.Int(1, 6),
    "kind": hpo.Categorical({"a": {"w": hpo.Float(0, 1)}, "b": {}}),
}


def size(columns):
    return columns["layers"] * (1.0 + columns["u"])


def result(trial):
    bent = trial["w"] - 0.3 if trial["kind"] == "a" else 0.5
    error = (trial["v"] - 0.6) ** 2 + 0.3 * bent**2 + 1.0 / (trial["layers"] + trial["u"])
    time = trial["layers"] * (0.5 + trial["v"]) + trial["u"]
    return {"error": error, "time": time, "heat": trial["u"] + trial["v"], "load": time * error}


CASES = {
    "two": {"error": Minimize(), "time": Minimize()},
    "three": {"error": Minimize(), "time": Minimize(), "load": Minimize()},
    "four": {"error": Minimize(), "time": Minimize(), "load": Minimize(), "size": Minimize(known=size)},
    "known": {"error": Minimize(), "size": Minimize(known=size)},
    "bounded": {"error": Minimize(), "heat": AtMost(0.9), "time": AtLeast(1.0)},
    "known bound": {"error": Minimize(), "time": Minimize(), "size": AtMost(4.0, known=size)},
    "only a bound is measured": {"size": Minimize(known=size), "error": AtMost(0.4)},
    "all known": {"size": Minimize(known=size), "wide": Minimize(known=lambda columns: -columns["u"])},
    "nothing is feasible": {"error": Minimize(), "time": Minimize(), "heat": AtMost(-1.0)},
    "constant": {"error": Minimize(), "time": Minimize(), "level": Minimize()},
}
every_case = pytest.mark.parametrize("case", CASES)


def told(metrics, trial):
    values = {**result(trial), "level": 2.0}
    return {name: values[name] for name, metric in metrics.items() if metric.known is None}


def study_of(case, n, space=SPACE, **options):
    study = hpo.Study(space, metrics=CASES[case], sampler="gp", seed=1, **options)
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, told(CASES[case], trial))
    return study


def fresh(study):
    sampler = hpo.GPSampler()
    sampler.start(study.space, seed=1)
    return sampler


@every_case
def test_a_rebuilt_sampler_proposes_the_same_and_batches_are_new_points(case):
    study = study_of(case, 24)
    running = study.ask(2)
    first = len(study.history)
    grown, rebuilt = (study.sampler, fresh(study))
    for n in (1, 5, 20, 70):
        x = grown.ask(study.history, first, n).x
        np.testing.assert_array_equal(x, rebuilt.ask(study.history, first, n).x)
        assert x.shape[1] == n
        everything = np.nan_to_num(np.concatenate([study.history.x, x], axis=1), nan=-1.0)
        assert np.unique(everything, axis=1).shape[1] == everything.shape[1]
    assert len(running) == 2
