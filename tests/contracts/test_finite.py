"""Finite spaces: every configuration once, then a clean end; and constraints that leave little."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.cases import (
    CASES,
    SOAK,
    Case,
    check_configurations,
    check_history,
    columns_of,
    every_sampler,
    many,
    value_of,
)

import hpo_core as hpo
from hpo_core import Categorical, Float, Int, Ordinal, TrialFailed, TrialStopped, param

FINITE = ["step", "int", "numbers", "labels", "categorical", "finite tree"]
ONE_BY_ONE = FINITE if SOAK else [name for name in FINITE if name != "int"]  # that has 244


def sizes(case):
    return len(case.oracle().configurations())


def finish(study, trial, k):
    """Most trials complete; others fail, stop or go on running."""
    if k % 5 == 1:
        study.fail(trial)
    elif k % 7 == 2:
        trial.report(0, 1.0)
        study.stop_trials(trial)
    elif k % 6 != 3:
        study.tell(trial, value_of(trial))


@every_sampler
@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_one_by_one_until_nothing_is_left(sampler, name):
    case = CASES[name]
    study, size = case.study(sampler), sizes(case)
    for k in range(size):
        finish(study, study.ask(), k)
    for n in (None, 1, 50):
        with pytest.raises(hpo.SpaceExhausted):
            study.ask(n)
    assert len(set(columns_of(study.trials))) == size == len(study.trials)
    check_configurations(case, study, study.trials)
    check_history(study)


@every_sampler
@pytest.mark.parametrize("name", FINITE)
def test_a_batch_gets_what_is_left(sampler, name):
    case = CASES[name]
    study, size = case.study(sampler), sizes(case)
    for k in range(14):
        finish(study, study.ask(), k)
    study.enqueue(study.trials[3].params)  # may repeat
    assert len(study.ask(size)) == size - 14 + 1
    assert len(set(columns_of(study.trials))) == size
    with pytest.raises(hpo.SpaceExhausted):
        study.ask()
    check_history(study)


@every_sampler
def test_enqueued_and_added_configurations_are_used(sampler):
    case = CASES["finite tree"]
    study, size = case.study(sampler), sizes(case)
    for k, x in enumerate(case.space().enumerate().T[::2]):
        params = study.space.codec.decode_params(x)
        study.add(params, k) if k % 2 else study.enqueue(params)
    batch = study.ask(size)
    assert len(study.trials) == size
    assert len(set(columns_of(study.trials))) == size
    study.tell(batch, np.arange(len(batch)))
    check_history(study)


def ending(trial):
    if trial.number % 4 == 1:
        raise TrialFailed("oom")
    if trial.number % 4 == 2:
        trial.report(1, 0.5)
        raise TrialStopped
    return value_of(trial)


@every_sampler
@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_optimize_ends_when_the_space_does(sampler, name):
    study = CASES[name].study(sampler)
    study.optimize(ending, n_trials=10_000)
    assert study.n_finished == len(study.trials) == sizes(CASES[name])
    study.optimize(ending, n_trials=10_000)
    assert study.replay()


@every_sampler
@pytest.mark.parametrize(
    "tree", [{"o": Ordinal([7])}, {"c": Categorical(["a"]), "o": Ordinal(["x"]), "e": 3}]
)
def test_one_configuration(sampler, tree):
    study = hpo.Study(tree, sampler=sampler, seed=0)
    study.tell(study.ask(5), [1.0])
    with pytest.raises(hpo.SpaceExhausted):
        study.ask()
    again = hpo.Study(tree, sampler=sampler, seed=0, allow_duplicates=True)
    for _ in range(15):
        again.tell(again.ask(3), [1.0, 2.0, 3.0])
    assert again.best_params == study.best_params
    check_history(study)


@every_sampler
def test_duplicates_where_they_are_allowed(sampler):
    study = CASES["finite tree"].study(sampler, allow_duplicates=True)
    study.optimize(value_of, n_trials=3 * sizes(CASES["finite tree"]))
    assert len(set(columns_of(study.trials))) < len(study.trials) == 3 * sizes(CASES["finite tree"])
    assert study.replay()


@every_sampler
@pytest.mark.parametrize(("levels", "n"), [(1500, 3000), (5000, 3000), (60_000, 4000)])
def test_a_large_batch_has_no_duplicates(sampler, levels, n):
    levels, n = many(sampler, levels), many(sampler, n)
    study = hpo.Study({"k": Int(0, levels - 1)}, sampler=sampler, seed=0)
    study.tell(study.ask(12), np.arange(12.0))
    k = study.ask(n)["k"]
    assert len(k) == min(n, levels - 12)
    assert len(np.unique(study.trials["k"])) == len(study.trials)
    check_history(study)


def is_rare(columns):
    return (columns["x"] * 1e6) % 1 < 1e-3


@every_sampler
def test_rare_configurations_are_all_different(sampler):
    """Hundreds of thousands of draws are rejected, none of them twice."""
    case = Case({"x": Float(0, 1)}, feasible=is_rare)
    study = case.study(sampler)
    study.tell(study.ask(12), np.arange(12.0))
    study.ask(60)
    assert len(np.unique(study.trials["x"])) == 72
    assert is_rare(study.trials.params).all()


def never(columns):
    return np.zeros(len(columns["x"]), np.bool_)


@every_sampler
@pytest.mark.parametrize(
    "case",
    [
        Case({"x": Float(0, 1)}, forbid=[param("x") >= 0]),
        Case({"x": Int(0, 9)}, forbid=[param("x") >= 0]),
        Case({"x": Int(0, 10**12)}, feasible=never),
    ],
)
def test_constraints_that_permit_nothing(sampler, case):
    study = case.study(sampler)
    for k in range(12):  # what was measured elsewhere need not obey them
        study.add({"x": type(study.space.default()["x"])(k % 2)}, k)
    with pytest.raises(hpo.InfeasibleSpaceError):
        study.ask()
    with pytest.raises(hpo.InfeasibleSpaceError):
        study.ask(9)


@every_sampler
@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("metrics", [None, {"a": hpo.Minimize(), "b": hpo.Minimize()}], ids=["one", "two"])
def test_an_infinite_space_of_few_configurations_never_runs_out(sampler, n, metrics):
    """Its only Float is never active."""
    space = hpo.Space(
        {
            "branch": Categorical({"a": {"only": Categorical(["x"])}, "b": {}, "c": {}}),
            "width": Float(0, 1, when=(param("only") == "x") & (param("branch") == "b")),
        }
    )
    study = hpo.Study(space, sampler=sampler, metrics=metrics, seed=0)
    for value in range(4):
        study.tell(study.ask(), value if metrics is None else (value, -value))
    for _ in range(2):
        batch = study.ask(n)
        assert len(batch) == n
        study.tell(batch, np.ones(n) if metrics is None else np.ones((n, 2)))
    check_history(study)
