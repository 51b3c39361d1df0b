"""What a CMA-ES proposes and learns from, and that this follows from the history alone."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from contracts.cases import CASES, check_configurations, check_distinct, value_of

import hpo_core as hpo
from hpo_core import Categorical, Float, Int
from hpo_core.cma.sampler import CMASampler
from hpo_core.samplers.startup import StartupSampler

FIRST = 12


class FromSobol(CMASampler):
    """Sobol points first, and where there is no number to vary."""

    def __init__(self, n_first=FIRST):
        super().__init__(n_first)

    def __reduce__(self):
        return FromSobol, (self._n_first,)

    def start(self, space, *, seed, allow_duplicates=False):
        super().start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._startup = StartupSampler()
        self._startup.start(space, seed=seed, allow_duplicates=allow_duplicates)

    def ask(self, history, first, n):
        return (super() if self.ready(history) else self._startup).ask(history, first, n)


def searched(space, value, n, seed=0, **options):
    study = hpo.Study(space, sampler=FromSobol(), seed=seed, **options)
    study.optimize(value, n_trials=n)
    return study


def sphere(trial):
    return (trial["x"] - 0.31) ** 2 + (trial["y"] - 0.72) ** 2


SQUARE = {"x": Float(0, 1), "y": Float(0, 1)}


@pytest.mark.parametrize("name", CASES)
def test_proposals_are_of_the_space_new_and_follow_from_the_history(name):
    case = CASES[name]
    study = case.study(FromSobol())
    for k in range(34):
        trial = study.ask()
        if k % 9 == 5:
            study.fail(trial)
        elif k % 7 != 4:  # the others run for ever
            study.tell(trial, value_of(trial))
    check_configurations(case, study, study.trials)
    check_distinct(study)
    replay = study.replay()
    assert replay, str(replay)
    again = pickle.loads(pickle.dumps(study))
    np.testing.assert_array_equal(again.ask(3).number, study.ask(3).number)
    np.testing.assert_array_equal(again.history.x, study.history.x)
    has_numbers = any(kind != hpo.layout.Kind.CATEGORICAL for kind in study.space.layout.kinds)
    assert (study.trials.origin[-1] == "cma") == has_numbers


def test_it_converges_and_begins_again():
    study = searched(SQUARE, sphere, 700)
    assert study.best_value < 1e-12
    settled = int(np.argmax(study.history.y[0] < 1e-9))
    assert settled > FIRST
    assert np.ptp(study.history.x[:, settled:], axis=1).min() > 0.1


def test_an_optimum_at_the_bounds_is_found():
    study = searched({**SQUARE, "z": Float(0, 1)}, lambda t: t["x"] + t["y"] - t["z"], 250)
    assert study.best_value == pytest.approx(-1.0, abs=1e-6)


def test_levels_are_searched_while_numbers_converge():
    space = {**SQUARE, "k": Int(0, 50), "m": Int(0, 9)}

    def value(trial):
        return sphere(trial) + (trial["k"] - 37) ** 2 / 100 + (trial["m"] - 2) ** 2 / 10

    found = [searched(space, value, 400, seed).best_value for seed in range(3)]
    assert max(found) < 1e-5


def test_categories_and_branches_stay_as_they_are_in_the_best_trial():
    space = {
        "kind": Categorical({"a": {"x": Float(0, 1)}, "b": {"y": Float(0, 1), "k": Int(1, 9)}}),
        "z": Float(0, 1),
    }

    def value(trial):
        if trial["kind"] == "a":
            return 1.0 + trial["x"] + trial["z"]
        return (trial["y"] - 0.4) ** 2 + (trial["k"] - 7) ** 2 + (trial["z"] - 0.6) ** 2

    study = hpo.Study(space, sampler=FromSobol(), seed=0)
    study.add(
        [{"kind": "a", "x": 0.1 * k, "z": 0.5} for k in range(FIRST)], [1.5 + 0.1 * k for k in range(FIRST)]
    )
    study.optimize(value, n_trials=20)
    assert {trial["kind"] for trial in study.trials[FIRST:]} == {"a"}
    study.add({"kind": "b", "y": 0.5, "k": 5, "z": 0.5}, 0.02)
    study.optimize(value, n_trials=200)
    assert {trial["kind"] for trial in study.trials[-150:]} == {"b"}
    assert study.best_value < 1e-6
    assert study.replay()


def test_better_trials_from_elsewhere_are_followed():
    """From a far corner, with and without a trial beside the optimum."""
    values = {}
    for told in (False, True):
        study = hpo.Study({f"x{i}": Float(0, 1) for i in range(8)}, sampler=FromSobol(), seed=0)
        rng = np.random.default_rng(0)
        x = 1.0 - 0.05 * rng.random((FIRST, 8))
        study.add([{f"x{i}": c[i] for i in range(8)} for c in x], list(((x - 0.3) ** 2).sum(axis=1)))

        def value(trial):
            return sum((trial[f"x{i}"] - 0.3) ** 2 for i in range(8))

        study.optimize(value, n_trials=20)
        if told:
            for shift in np.linspace(0.0, 1e-3, 8):
                near = dict.fromkeys((f"x{i}" for i in range(8)), 0.3001 + shift)
                study.add(near, 8 * (1e-4 + shift) ** 2)
        study.optimize(value, n_trials=60)
        values[told] = np.median(study.history.y[0, -20:])
    assert values[True] < 1e-5
    assert values[False] > 0.1


def test_failures_and_huge_values_do_not_end_it():
    study = hpo.Study(SQUARE, sampler=FromSobol(), seed=0)
    with np.errstate(all="raise"):
        for k in range(120):
            trial = study.ask()
            if k % 3 == 1 or trial["x"] > 0.8:
                study.fail(trial)
            else:
                study.tell(trial, (1e300, -1e300, 1e-300, 0.0)[k % 4] * (1 + trial["y"]))
    assert np.isfinite(study.history.x).all()
    assert study.replay()


def test_noise_does_not_keep_it_from_the_basin():
    rng = np.random.default_rng(5)
    found = []
    for seed in range(4):
        study = hpo.Study(SQUARE, sampler=FromSobol(), seed=seed)
        study.optimize(lambda t: sphere(t) + 0.01 * rng.standard_normal(), n_trials=300)
        late = study.history.x[:, -100:]
        found.append(math.hypot(*(np.median(late, axis=1) - (0.31, 0.72))))
    assert np.median(found) < 0.15
