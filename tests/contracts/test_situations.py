"""Every sampler in every kind of space, whatever has come back: suggestions are in the space, new where that
can be asked, and functions of the history alone.
"""

from __future__ import annotations

import contextlib
import math
from itertools import cycle

import numpy as np
import pytest
from contracts.cases import (
    CASES,
    SAMPLERS,
    SOAK,
    check_configurations,
    check_history,
    every_sampler,
    many,
    value_of,
    values_of,
)
from hypothesis import given
from hypothesis import strategies as st
from space.strategies import spaces

import hpo_core as hpo
from hpo_core.log import State

N = 20 if SOAK else 14  # ten of them without a model


def tell_each(study, values, n=N):
    for _, value in zip(range(n), values, strict=False):
        study.tell(study.ask(), value)


def objective(study, n=N):
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, value_of(trial))


def one_observation(study):
    objective(study, 1)
    for _ in range(N):
        study.ask()


def all_failed(study):
    for _ in range(N):
        study.fail(study.ask(), reason="oom")


def most_failed(study):
    """Two complete, so that a model may start."""
    for k in range(N):
        trial = study.ask()
        study.tell(trial, value_of(trial)) if k in (3, 7) else study.fail(trial)


def all_equal(study):
    tell_each(study, cycle([0.25]))


def extreme(study):
    tell_each(
        study, cycle([1e300, -1e300, 1e-300, -1e-300, 0.0, 1.7e308, -1.7e308, 5e-324, -0.0, 1.0, -1e-310])
    )


def outliers(study):
    for k in range(N):
        trial = study.ask()
        study.tell(trial, 1e12 if k % 5 == 2 else -1e12 if k == 11 else value_of(trial))


def not_finite(study):
    for bad in cycle([math.nan, None, math.inf, None, -math.inf, None]):
        trial = study.ask()
        study.tell(trial, value_of(trial) if bad is None else bad)
        if trial.number == N:
            break


def stopped(study):
    for k in range(N):
        trial = study.ask()
        for step in range(k % 4):
            trial.report(step, math.nan if k == 9 else value_of(trial) - step)
        if k % 3 == 0:
            study.tell(trial, value_of(trial))
        else:
            study.stop_trials(trial)


def running(study):
    objective(study, 12)
    for _ in range(60 if SOAK else 12):
        study.ask()
    study.ask(240 if SOAK else 48)
    for trial in list(study.trials.where("running"))[::7]:
        study.tell(trial, value_of(trial))
    study.ask()


def batches(study):
    rng = np.random.default_rng(0)
    for n in (1, 7, 13, 2, 40):
        study.ask(n)
        waiting = study.trials.where("running")
        some = waiting[rng.permutation(len(waiting))[: n - 1]]
        study.tell(some, values_of(some))
    study.ask(3, repeat=2)


def enqueued(study):
    columns = study.space.sample(8, seed=1)
    x = study.space.encode(columns)
    for k in range(8):
        params = study.space.codec.decode_params(x[:, k])
        study.enqueue({name: params[name] for j, name in enumerate(sorted(params)) if (j + k) % 3})
        if k % 3 == 0:
            study.enqueue(params)
        objective(study, 3)
    study.enqueue({})
    study.ask(9)


def added(study):
    x = study.space.encode(study.space.sample(8, seed=2))
    for k in range(8):
        study.add(study.space.codec.decode_params(x[:, k]), math.nan if k == 3 else k / 3)
        objective(study, 2)


def maximized(study):
    objective(study)


SITUATIONS = (
    one_observation, all_failed, most_failed, all_equal, extreme, outliers, not_finite, stopped, running,
    batches, enqueued, added, maximized,
)  # fmt: skip


# On so few trials auto is gp or tpe: it need not go through every space again.
OF_AUTO = CASES.keys() if SOAK else ("float", "nested", "expressions", "feasible", "finite tree")
PAIRS = [(name, sampler) for name in CASES for sampler in SAMPLERS if sampler != "auto" or name in OF_AUTO]


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize(("name", "sampler"), PAIRS)
def test_suggestions_in(name, sampler, situation):
    case = CASES[name]
    study = case.study(sampler, direction="maximize" if situation is maximized else "minimize")
    with contextlib.suppress(hpo.SpaceExhausted):
        situation(study)
    check_configurations(case, study, study.trials)
    check_history(study)


# The slow ones meet the others in `make soak`.
MANY = [
    pytest.param(name, sampler, marks=pytest.mark.soak if slow and name != "nested" else ())
    for name in ("float", "finite tree", "nested")
    for sampler, slow in {each: each in ("gp", "auto") for each in SAMPLERS}.items()
]


@pytest.mark.parametrize(("name", "sampler"), MANY)
def test_ten_thousand_observations(name, sampler):
    case = CASES[name]
    study = case.study(sampler, allow_duplicates=name == "finite tree")
    for _ in range(10):
        batch = study.ask(many(sampler, 1000))
        study.tell(batch, values_of(batch))
    for _ in range(many(sampler, 50)):
        trial = study.ask()
        study.tell(trial, value_of(trial))
    study.ask(30)
    newest = study.trials[-50:]
    assert study.history.count(State.COMPLETE) == many(sampler, 10_050)
    assert all(study.space.contains(trial.params) for trial in newest)
    assert study.replay()


ENDINGS = st.sampled_from(["tell", "tell", "tell", "nan", "fail", "stop", "run"])
SCRIPTS = st.lists(st.tuples(st.integers(1, 9), ENDINGS, st.booleans()), min_size=1, max_size=25)


@every_sampler
@given(space=spaces(), script=SCRIPTS, seed=st.integers(0, 2**63 - 1))
def test_any_space_any_history(sampler, space, script, seed):
    study = hpo.Study(space, sampler=sampler, seed=seed)
    with contextlib.suppress(hpo.SpaceExhausted, hpo.InfeasibleSpaceError):
        for n, ending, queued in script:
            if queued:
                study.enqueue({})
            end(study, study.ask(n), ending)
        assert all(study.space.contains(trial.params) for trial in study.trials)
        check_history(study)


def end(study, batch, ending):
    if ending == "tell":
        study.tell(batch[::-1], values_of(batch))
    elif ending == "nan":
        study.tell(batch, [math.nan] * len(batch))
    elif ending == "fail":
        study.fail(batch)
    elif ending == "stop":
        batch.report(3, values_of(batch))
        study.stop_trials(batch)
