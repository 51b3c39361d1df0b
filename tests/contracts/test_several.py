"""Every sampler on several objectives, bounds and known formulas, in every kind of space."""

from __future__ import annotations

import contextlib
import math
from itertools import cycle

import numpy as np
import pytest
from contracts.cases import (
    CASES,
    Case,
    check_configurations,
    check_history,
    columns_of,
    every_sampler,
)

import hpo_core as hpo
from hpo_core import AtLeast, AtMost, Categorical, Float, Int, Maximize, Minimize
from hpo_core.log import State

N = 14  # ten of them without a model
FINITE = Case(
    {"a": Categorical({"p": {"b": Int(1, 6)}, "q": {"c": Int(1, 9, log=True)}}), "d": Categorical([*"xy"])}
)
SPACES = {
    "continuous": Case({"x": Float(-3, 2), "y": Float(1e-4, 1, log=True), "z": Float(0, 1)}),
    "mixed and conditional": CASES["forbidden"],
    "finite": FINITE,
}


def size(columns):
    """A formula over whatever numbers there are; inactive ones have their default."""
    return 1.0 + sum(np.abs(column) for column in columns.values() if column.dtype.kind in "if")


METRICS = {
    "two objectives": {"f": Minimize(), "g": Maximize()},
    "three objectives": {"f": Minimize(), "g": Maximize(), "h": Minimize()},
    "a constraint": {"f": Minimize(), "c": AtMost(0.2), "g": Minimize()},
    "one objective, two constraints": {"f": Maximize(), "c": AtLeast(-0.5), "d": AtMost(0.8)},
    "a known objective": {"f": Minimize(), "size": Minimize(known=size)},
    "a known constraint": {"size": AtMost(4.0, known=size), "f": Minimize(), "g": Minimize()},
    "known and measured of each": {
        "f": Minimize(), "size": Maximize(known=size), "c": AtMost(0.3), "least": AtLeast(1.5, known=size),
    },
}  # fmt: skip
every_metrics = pytest.mark.parametrize("metrics", METRICS)
every_space = pytest.mark.parametrize("space", SPACES)


def study_of(space, sampler, metrics, **options):
    return SPACES[space].study(sampler, metrics=METRICS[metrics], **options)


def result(trial):
    """Every measured metric depends on every active coordinate, and each in another way."""
    x = trial._study.history.x[:, trial.number]
    waves = {name: np.nansum(np.sin(3 * x + np.arange(len(x)) * k + k)) for k, name in enumerate("fghcd")}
    return {name: waves[name] for name in trial._study.metrics.reader.measured}


def results(batch):
    return [result(trial) for trial in batch]


def session(study):
    """Single trials and batches, some failed or stopped, some still running."""
    for k in range(N):
        trial = study.ask()
        study.fail(trial) if k % 6 == 5 else study.tell(trial, result(trial))
    batch = study.ask(6)
    study.tell(batch[::2], results(batch[::2]))
    stopped = study.ask()
    stopped.report(1, result(stopped))
    study.stop_trials(stopped)
    trial = study.ask()
    study.tell(trial, result(trial))
    return study


# -- what is good, read from the results as a user does --------------------------------------------


def keeps_bounds(metrics, values):
    return all(
        values[name] >= each.bound if isinstance(each, AtLeast) else values[name] <= each.bound
        for name, each in metrics.items()
        if isinstance(each, AtMost)
    )


def dominates(metrics, a, b):
    pairs = [
        (-a[name], -b[name]) if isinstance(each, Maximize) else (a[name], b[name])
        for name, each in metrics.items()
        if isinstance(each, Minimize)
    ]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def true_front(metrics, study):
    complete = [trial for trial in study.trials.where("complete") if keeps_bounds(metrics, trial.values)]
    return {
        trial.number
        for trial in complete
        if not any(dominates(metrics, other.values, trial.values) for other in complete)
    }


def check_answers(metrics, study):
    """Known metrics are those of the function, the front is the front, and a broken bound wins nothing."""
    complete = study.trials.where("complete")
    for name, each in metrics.items():
        if each.known is not None:
            np.testing.assert_array_equal(complete.values[name], each.known(complete.params))
    front = true_front(metrics, study)
    assert set(study.front().number.tolist()) == front
    assert len(study.front()) == len(front)
    best = study.best_trials
    assert len(best) >= 1
    assert best.feasible.all() == bool(front)
    assert not front or set(best.number.tolist()) == front


@every_sampler
@every_metrics
@every_space
def test_suggestions_and_the_front_of_what_came_back(space, metrics, sampler):
    study = session(study_of(space, sampler, metrics))
    check_configurations(SPACES[space], study, study.trials)
    check_answers(METRICS[metrics], study)
    check_history(study)


@every_sampler
@every_metrics
def test_a_finite_space_is_used_up(metrics, sampler):
    study, n = study_of("finite", sampler, metrics), len(FINITE.oracle().configurations())
    for _ in range(11):
        trial = study.ask()
        study.tell(trial, result(trial))
    for _ in range(3):
        batch = study.ask(4)
        study.tell(batch, results(batch))
    rest = study.ask(n)
    assert len(rest) == n - 23
    study.tell(rest, results(rest))
    with pytest.raises(hpo.SpaceExhausted):
        study.ask()
    assert len(set(columns_of(study.trials))) == n == len(study.trials)
    check_answers(METRICS[metrics], study)
    assert study.replay()


@every_sampler
@every_metrics
def test_a_sampler_that_joins_late_proposes_the_same(metrics, sampler):
    study = session(study_of("mixed and conditional", sampler, metrics))
    late = study_of("mixed and conditional", sampler, metrics).sampler  # has seen nothing yet
    first, history = len(study.history), study.history
    for n in (1, 9):
        ours, theirs = (each.ask(history, first, n) for each in (study.sampler, late))
        np.testing.assert_array_equal(ours.x, theirs.x)
        assert ours.origin == theirs.origin


@every_sampler
@every_metrics
def test_a_study_that_is_opened_again_goes_on_as_before(metrics, sampler, tmp_path):
    def opened(name):
        options = {"storage": f"sqlite:///{tmp_path}/{name}.db", "name": name}
        return study_of("continuous", sampler, metrics, **options)

    session(opened("parts"))
    parts, whole = opened("parts"), session(opened("whole"))
    for study in (parts, whole):
        study.ask()
        study.ask(5)
    np.testing.assert_array_equal(parts.history.x, whole.history.x)
    np.testing.assert_array_equal(parts.history.outcomes, whole.history.outcomes)


MIRRORED = {Minimize: Maximize, Maximize: Minimize, AtMost: AtLeast, AtLeast: AtMost}


def mirrored(metric):
    """The metric of the negative values."""
    known = (lambda columns: -size(columns)) if metric.known else None
    kind = MIRRORED[type(metric)]
    return kind(-metric.bound, known=known) if isinstance(metric, AtMost) else kind(known=known)


@every_sampler
@every_metrics
def test_negative_values_to_maximize_are_the_same_search(metrics, sampler):
    ours = study_of("continuous", sampler, metrics)
    theirs = SPACES["continuous"].study(
        sampler, metrics={name: mirrored(each) for name, each in METRICS[metrics].items()}
    )
    for _ in range(N + 4):
        mine, other = ours.ask(), theirs.ask()
        ours.tell(mine, result(mine))
        theirs.tell(other, {name: -value for name, value in result(other).items()})
    np.testing.assert_array_equal(ours.history.x, theirs.history.x)
    assert ours.front().number.tolist() == theirs.front().number.tolist()


@pytest.mark.parametrize("sampler", ["gp", "tpe", "auto"])
@pytest.mark.parametrize("name", "fgc")
def test_every_metric_that_is_measured_counts(name, sampler):
    """Suggestions of a model change with the values of each, and only once they are known."""
    ours, theirs = (study_of("continuous", sampler, "a constraint") for _ in range(2))
    for k in range(N + 6):
        for study, sign in ((ours, 1.0), (theirs, -1.0)):
            trial = study.ask()
            found = result(trial)
            study.tell(trial, found | {name: sign * found[name]})
        if k == 0:
            np.testing.assert_array_equal(ours.history.x, theirs.history.x)
    assert not np.array_equal(ours.history.x, theirs.history.x)


# -- results that are hard to learn from ------------------------------------------------------------


def nothing_keeps_the_bound(trial, k):
    return result(trial) | {name: 2.0 + k % 3 for name in ("c",) if name in trial._study.metrics}


def all_equal(trial, k):
    return dict.fromkeys(result(trial), 0.25)


def extreme(trial, k):
    values = cycle([1e300, -1e300, 1e-300, 0.0, 1.7e308, -1.7e308, 5e-324, 1.0])
    return dict(zip(result(trial), [next(values) for _ in range(k % 8 + 5)][-4:], strict=False))


def one_objective_is_constant(trial, k):
    return result(trial) | {"f": 1.0}


def not_finite(trial, k):
    return result(trial) | ({"f": (math.nan, math.inf, -math.inf)[k % 3]} if k % 2 else {})


HARD = (nothing_keeps_the_bound, all_equal, extreme, one_objective_is_constant, not_finite)


@every_sampler
@pytest.mark.parametrize("metrics", ["three objectives", "a constraint", "known and measured of each"])
@pytest.mark.parametrize("results_of", HARD)
def test_hard_results(results_of, metrics, sampler):
    study = study_of("mixed and conditional", sampler, metrics)
    for k in range(N + 4):
        trial = study.ask()
        study.tell(trial, results_of(trial, k))
    with contextlib.suppress(hpo.SpaceExhausted):
        study.ask(5)
    check_configurations(SPACES["mixed and conditional"], study, study.trials)
    if study.history.count(State.COMPLETE):
        check_answers(METRICS[metrics], study)
    check_history(study)


@every_sampler
def test_a_batch_of_many(sampler):
    study = session(study_of("mixed and conditional", sampler, "three objectives"))
    batch = study.ask(60)
    study.tell(batch, results(batch))
    assert len(set(columns_of(study.trials))) == len(study.trials)
    check_answers(METRICS["three objectives"], study)
    check_history(study)
