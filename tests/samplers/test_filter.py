"""Constraints, used configurations and exhaustion, as the random and the Sobol sampler meet them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted
from hpo_core.log import History
from hpo_core.log.events import Asked
from hpo_core.samplers.filter import MAX_REJECTED, POOL, Filter
from hpo_core.samplers.random import RandomSampler
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.space import Categorical, Float, Int, Space, param


@pytest.fixture(params=[RandomSampler, SobolSampler])
def kind(request):
    return request.param


def started(kind, space, **options):
    sampler = kind()
    sampler.start(space, seed=options.pop("seed", 0), **options)
    return sampler


def take(history, x):
    """The trials of x run and never finish: that alone makes them used."""
    history.apply(Asked(len(history), x, history.position, "random", 0.0))


def drain(sampler, space, n):
    """Ask ``n`` at a time until the space is exhausted."""
    history = History(space.layout)
    while True:
        try:
            x = sampler.ask(history, len(history), n).x
        except SpaceExhausted:
            return history
        assert 0 < x.shape[1] <= n
        take(history, x)


def columns(x):
    return {tuple(np.nan_to_num(column, nan=-1.0)) for column in x.T}


CONDITIONAL = Space(
    {
        "a": Categorical(
            {"p": {"b": Int(1, 6)}, "q": {"c": Int(1, 30, log=True), "d": Categorical([*"xyz"])}}
        ),
        "e": Int(0, 4, when=param("b") >= 3),
    },
    forbid=[(param("b") == 5) & (param("e") == 0), param("c") == 30],
)
SIZE = 2 + (4 * 5 - 1) + 29 * 3


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_finite_space_gives_each_configuration_once(kind, n):
    history = drain(started(kind, CONDITIONAL), CONDITIONAL, n)
    assert len(history) == SIZE == len(columns(history.x))
    assert not CONDITIONAL.forbidden_mask(history.x).any()


def test_feasible_is_kept_to_the_last_configuration(kind):
    space = Space(
        {"a": Int(0, 19), "b": Int(0, 19)},
        forbid=[param("a") == 3],
        feasible=lambda c: (c["a"] + c["b"]) % 7 == 0,
    )
    expected = {(a, b) for a in range(20) for b in range(20) if a != 3 and (a + b) % 7 == 0}
    history = drain(started(kind, space), space, 5)
    values = space.decode(history.x)
    assert len(history) == len(expected)
    assert set(zip(values["a"].tolist(), values["b"].tolist(), strict=True)) == expected


def test_last_configurations_come_in_an_order_of_the_seed():
    def stuck(start, m):
        return np.full((1, m), 0.5 / 64)

    space = Space({"a": Int(0, 63)})
    first, again, other = (
        Filter(space, seed=seed, allow_duplicates=False).fill(stuck, 30)[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert len(set(first)) == 30
    assert set(first) != set(other)


def test_duplicates_may_be_allowed(kind):
    space = Space({"a": Int(1, 3)})
    sampler, history = started(kind, space, allow_duplicates=True), History(space.layout)
    take(history, sampler.ask(history, 0, 5).x)
    assert sampler.ask(history, 5, 50).x.shape == (1, 50)


def test_large_space_ends_after_pools_without_anything_new(kind):
    space = Space({"a": Int(0, 299), "b": Int(0, 299)})
    every = space.enumerate()
    history = History(space.layout)
    take(history, every[:, 50:])
    sampler = started(kind, space)
    found = sampler.ask(history, len(history), 40).x
    assert columns(found) <= columns(every[:, :50])
    assert len(columns(found)) == found.shape[1] > 0
    take(history, every[:, :50])
    with pytest.raises(SpaceExhausted, match="every configuration"):
        sampler.ask(history, len(history), 1)


def test_constraint_that_rejects_everything(kind):
    seen = []

    def feasible(values):
        seen.append(len(values["x"]))
        return np.zeros(len(values["x"]), np.bool_)

    space = Space({"x": Float(0, 1)}, feasible=feasible)
    sampler, history = started(kind, space), History(space.layout)
    with pytest.raises(InfeasibleSpaceError) as raised:
        sampler.ask(history, 0, 1)
    assert str(raised.value).startswith("feasible rejected 65,536 draws in a row")
    assert MAX_REJECTED <= sum(seen) < MAX_REJECTED + POOL


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Space({"x": Float(0, 1)}, forbid=[param("x") >= 0]), "^forbid rejected 65,536 draws"),
        (
            Space({"x": Float(0, 1)}, forbid=[param("x") >= 0], feasible=lambda columns: columns["x"] < 2),
            "^forbid and feasible rejected",
        ),
        (Space({"a": Int(0, 9)}, forbid=[param("a") >= 0]), "^forbid rejected every configuration"),
        (Space({"a": Int(0, 10**6)}, forbid=[param("a") >= 0]), "rejected"),
    ],
)
def test_infeasible_spaces_say_which_constraint(kind, space, message):
    with pytest.raises(InfeasibleSpaceError, match=message):
        started(kind, space).ask(History(space.layout), 0, 3)


def test_rare_region_is_found_by_redraws(kind):
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, forbid=[param("x") > 0.01])
    x = started(kind, space).ask(History(space.layout), 0, 200).x
    assert x.shape == (2, 200)
    assert x[0].max() <= 0.01
    assert len(columns(x)) == 200
    assert abs(x[1].mean() - 0.5) < 5 / np.sqrt(12 * 200)


def test_fewer_will_do_where_constraints_hardly_permit_any():
    space = Space({"x": Float(0, 1)}, forbid=[param("x") > 0.5])
    pool = Filter(space, seed=0, allow_duplicates=False)

    def draw(start, m):
        number = np.arange(start, start + m)
        return np.where(number < 3, 0.1 * (number + 1), 0.9)[np.newaxis]  # three, and nothing after them

    assert pool.fill(draw, 10, least=3).tolist() == [[0.1, 0.2, pytest.approx(0.3)]]
    for least in (None, 4):
        with pytest.raises(InfeasibleSpaceError):
            pool.fill(draw, 10, least=least)


def test_asking_leaves_no_trace(kind):
    space = Space({"a": Int(0, 9), "b": Int(0, 9)})
    sampler, history = started(kind, space), History(space.layout)
    for n in (1, 30, 60):
        x = sampler.ask(history, len(history), n).x
        assert np.array_equal(sampler.ask(history, len(history), n).x, x)
        rebuilt = started(kind, space).ask(history, len(history), n).x
        assert np.array_equal(rebuilt, x)
        take(history, x)


def test_pickle_keeps_no_cache(kind):
    space = Space({"a": Int(0, 99)})
    sampler, history = started(kind, space), History(space.layout)
    take(history, sampler.ask(history, 0, 20).x)
    copy = pickle.loads(pickle.dumps(sampler))
    assert vars(copy) == {}
    copy.start(space, seed=0)
    assert np.array_equal(copy.ask(history, 20, 70).x, sampler.ask(history, 20, 70).x)


def test_fill_asks_for_the_draws_one_after_another():
    space = Space({"a": Int(0, 63)})
    pool = Filter(space, seed=0, allow_duplicates=False)
    asked = []

    def draw(start, m):
        asked.append((start, m))
        return ((np.arange(start, start + m) // 8 % 64 + 0.5) / 64)[np.newaxis]

    assert np.array_equal(pool.fill(draw, 10), (np.arange(10)[np.newaxis] + 0.5) / 64)
    starts, counts = np.array(asked).T
    assert asked[0] == (0, 10)
    assert np.array_equal(starts[1:], np.cumsum(counts)[:-1])
