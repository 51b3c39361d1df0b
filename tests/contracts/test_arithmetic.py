"""Values at both ends of float64: huge penalties hide nothing, and numpy's error settings end no search."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest
from contracts.cases import CASES, Case, check_continuation, every_sampler, many, value_of

from hpo_core import Float

HUGE = sys.float_info.max
BOWL = Case({name: Float(-1, 1) for name in "xyz"})
# Which trials get the penalty: every second one, wherever it is, or most of the space.
PENALIZED = {
    "odd": lambda trial: trial.number % 2 == 1,
    "most": lambda trial: max(trial.params.values()) > 0.1,
}


def searched(sampler, is_penalized, penalty, direction="minimize"):
    """The least value found of a bowl, with a penalty in its stead where a rule says so."""
    study, sign = BOWL.study(sampler, direction=direction), 1 if direction == "minimize" else -1

    def bowl(trial):
        if is_penalized(trial):
            return sign * penalty
        return sign * ((trial["x"] + 0.3) ** 2 + (trial["y"] + 0.5) ** 2 + (trial["z"] + 0.2) ** 2)

    study.optimize(bowl, n_trials=60)
    check_continuation(study, n=2)
    return sign * study.best_value


@pytest.mark.parametrize(("sampler", "found"), [("tpe", 0.1), ("gp", 1e-3), ("auto", 1e-3)])
@pytest.mark.parametrize(("rule", "direction"), [("odd", "minimize"), ("most", "maximize")])
def test_huge_penalties_leave_the_other_values_apart(sampler, found, rule, direction):
    assert searched(sampler, PENALIZED[rule], HUGE, direction) < found


@pytest.mark.parametrize("sampler", ["tpe", "gp", "auto"])
def test_huge_values_of_both_signs_are_learnt_from(sampler):
    study = BOWL.study(sampler)
    for _ in range(60):
        trial = study.ask()
        x = trial["x"]
        study.tell(trial, x if abs(x) < 0.3 else math.copysign(HUGE, x) * abs(x))
    x = study.trials["x"][20:]
    assert np.mean(x < -0.7) > 0.25
    check_continuation(study)


@pytest.mark.filterwarnings("error")
@every_sampler
@pytest.mark.parametrize("name", ["expressions", "log"])
@pytest.mark.parametrize("scale", [1e-200, 1e-310, HUGE])
def test_nothing_raises_because_numpy_is_told_to(sampler, name, scale):
    with np.errstate(all="raise"):
        study = CASES[name].study(sampler)
        for k in range(14):
            trial = study.ask()
            if k % 5 == 3:
                study.fail(trial)
            else:
                study.tell(trial, scale if k % 4 == 1 else scale * (value_of(trial) / 100))
        batch = study.ask(many(sampler, 30))
        study.tell(batch, [scale / (1 + k) for k in range(len(batch))])
        study.recommend()
        check_continuation(study)
        assert study.replay()
        assert "best" in repr(study)
        study._repr_html_()


@every_sampler
def test_pictures_of_values_at_the_ends_of_float64(sampler):
    plots, figure = pytest.importorskip("hpo_core.plots"), pytest.importorskip("matplotlib.figure")
    study = CASES["expressions"].study(sampler)
    values = itertools.cycle([1e-310, 5e-324, 1.0, HUGE])
    for _ in range(20):
        study.tell(study.ask(), next(values))
    with np.errstate(all="raise"):
        plots.plot_history(study, ax=figure.Figure().subplots())
        if sampler == "tpe":
            plots.plot_parzen(study, "depth", axes=figure.Figure().subplots(2))
