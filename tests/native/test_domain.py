"""Draws, conditions and keys of a compiled layout, on both backends, against ``oracles.domain``."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.layouts import build, categorical, continuous, irregular, regular, stepped
from oracles import domain as oracle
from scipy import stats

from hpo_core.errors import ArgumentError
from hpo_core.layout import MAX_STACK, Layout, Op
from hpo_core.native import _backend
from hpo_core.native import domain as domain_module
from hpo_core.native.domain import (
    Domain,
    KeySet,
    group_mask,
    keys,
    permitted,
    random_draws,
    settle,
    sobol_draws,
)  # fmt: skip

PARAMETERS = (
    continuous(-3.0, 5.0), continuous(1e-5, 1e-1, log=True), regular(7), irregular(0.5, 0.2, 0.3),
    categorical(4), stepped(10, 20_000), stepped(1, 5000, log=True), stepped(0.0, 1.0, 2**-11),
)  # fmt: skip
TAG = 1 << 56


pytestmark = pytest.mark.usefixtures("backend")


def on_both(function):
    """Result of ``function()`` on each backend."""
    results = []
    for name in ("native", "numba"):
        with _backend.use(name):
            results.append(function())
    return results


# ---- draws


def test_draw_is_the_prior_transform_of_its_own_uniform():
    seed, stream, start, m = 2**63 + 5, 2**40 + 3, 11, 40
    x = random_draws(Domain(build(*PARAMETERS)), seed, stream, start, m)
    for i, j in product(range(len(PARAMETERS)), range(m)):
        u = oracle.uniform(seed, stream, TAG + (i << 32) + start + j)
        expected = oracle.prior(PARAMETERS[i], u)
        assert x[i, j] == pytest.approx(expected, rel=1e-14, abs=1e-15), (i, j)


@pytest.mark.parametrize("draws", ["random", "sobol"])
def test_draws_do_not_depend_on_how_they_are_cut(draws):
    domain = Domain(build(*PARAMETERS))

    def draw(start, m):
        return random_draws(domain, 1, 9, start, m) if draws == "random" else sobol_draws(domain, 1, start, m)

    whole = draw(0, 200)
    parts = [draw(0, 1), draw(1, 64), draw(65, 70), draw(135, 0), draw(135, 65)]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("m", [1, 20, 21, 63])
@pytest.mark.parametrize("draws", ["random", "sobol"])
def test_many_draws_are_made_in_pieces(monkeypatch, draws, m):
    """Between which Ctrl-C is heard."""
    compiled = Domain(build(continuous(), regular(5), categorical(2)))
    draw = partial(random_draws, compiled, 3, 9) if draws == "random" else partial(sobol_draws, compiled, 3)
    whole = draw(5, m)
    monkeypatch.setattr(domain_module, "MAX_PIECE", 60)
    np.testing.assert_array_equal(draw(5, m), whole)
    sizes = [piece.shape[1] for _, piece in domain_module._pieces(whole)]
    assert sum(sizes) == m
    assert max(sizes) <= 20


def test_streams_and_seeds_are_independent():
    domain = Domain(build(continuous(), continuous()))
    columns = [random_draws(domain, seed, stream, 0, 4000) for seed, stream in product((1, 2), (3, 4))]
    correlation = np.corrcoef(np.concatenate(columns))
    assert np.abs(correlation - np.eye(8)).max() < 4.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (regular(7), np.full(7, 1 / 7)), (irregular(0.5, 0.02, 0.48), [0.5, 0.02, 0.48]),
        (categorical(5), np.full(5, 0.2)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("draws", [random_draws, sobol_draws])
def test_levels_come_as_often_as_their_cells_are_wide(parameter, expected, draws):
    stream = (5,) if draws is random_draws else ()
    x = draws(Domain(build(parameter)), 3, *stream, 1, 20_000)[0]
    counts = np.bincount([oracle.level(parameter, value) for value in x], minlength=parameter.levels)
    assert stats.chisquare(counts, np.array(expected) * 20_000).pvalue > 1e-3


@pytest.mark.parametrize("parameter", [continuous(), stepped(0, 2**30), stepped(1, 2**39, log=True)])
def test_fine_grids_are_uniform_in_the_coordinate(parameter):
    """Of a logarithmic grid the upper half, where cells are narrow."""
    x = random_draws(Domain(build(parameter)), 3, 5, 0, 20_000)[0]
    assert stats.kstest((x[x > 0.5] - 0.5) * 2, "uniform").pvalue > 1e-3
    assert abs((x > 0.5).mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)


# ---- snapping and keys


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_settle_moves_coordinates_to_their_cells_centre(parameter):
    domain = Domain(build(parameter))
    top = parameter.levels - 1 if parameter.kind == "categorical" else 1.0
    x = np.concatenate([np.random.default_rng(0).uniform(0, top, 500), [0.0, top, -0.4, top + 0.4]])
    settled = settle(domain, x[None].copy())
    expected = [oracle.snap(parameter, value) for value in x]
    assert settled[0] == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert np.array_equal(settle(domain, settled.copy()), settled)


def test_an_edge_belongs_to_the_cell_above_it():
    domain = Domain(build(irregular(0.5, 0.25, 0.25), regular(4)))
    x = np.array([[0.5, 0.75, 1.0], [0.25, 0.75, 1.0]])
    assert settle(domain, x).tolist() == [[0.625, 0.875, 0.875], [0.375, 0.875, 0.875]]


def test_every_level_keeps_its_centre():
    small = PARAMETERS[2:7]
    domain = Domain(build(*small))
    for i, parameter in enumerate(small):
        x = np.zeros((len(small), parameter.levels))
        x[i] = [oracle.center(parameter, k) for k in range(parameter.levels)]
        assert settle(domain, x.copy())[i] == pytest.approx(x[i], rel=1e-14)


def test_keys_tell_configurations_apart():
    small = (regular(20), irregular(*[0.04] * 25), categorical(12), stepped(0, 30))
    domain = Domain(build(*small))
    levels = [[*range(p.levels), None] for p in small]
    x = np.array(
        [
            [np.nan if k is None else oracle.center(p, k) for p, k in zip(small, chosen, strict=True)]
            for chosen in product(*levels)
        ]
    ).T
    found = keys(domain, x)
    assert len(np.unique(found)) == x.shape[1] > 200_000
    assert np.array_equal(found[::7], keys(domain, x[:, ::7]))


def test_keys_name_levels_and_coordinates():
    domain = Domain(build(continuous(), regular(4)))
    x = np.array([[0.3, 0.3, np.nextafter(0.3, 1), 0.0, -0.0], [0.125, 0.2, 0.125, 0.125, 0.125]])
    a, b, c, d, e = keys(domain, x)
    assert a == b != c
    assert d == e != a


KEYS = st.lists(st.integers(1, 40) | st.integers(1, 2**64 - 1), max_size=80)


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=12))
def test_keyset_is_a_set(steps):
    found, model = KeySet(), set()
    for insert, values in steps:
        array = np.array(values, np.uint64)
        if insert:
            found.insert(array)
            model.update(values)
        else:
            new = [value not in model and value not in values[:j] for j, value in enumerate(values)]
            assert found.fresh(array).tolist() == new
        assert len(found) == len(model)


def test_keyset_grows_and_finds_again():
    many = np.random.default_rng(0).integers(1, 2**64 - 2, 100_000, np.uint64)
    found = KeySet()
    for part in np.array_split(many, 37):
        found.insert(part)
    assert len(found) == len(np.unique(many))
    assert not found.fresh(many).any()
    assert found.fresh(many + np.uint64(1)).sum() > 99_000


# ---- conditions

CONDITION_PARAMETERS = (
    regular(4),
    categorical(3),
    continuous(-1.0, 1.0),
    stepped(0, 2000),
    continuous(1, 8, log=True),
)
CONSTANTS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 11.0, 12.0, 1000.0])
NUMBERS = st.recursive(
    CONSTANTS | st.tuples(st.just("value"), st.integers(0, len(CONDITION_PARAMETERS) - 1)),
    lambda part: st.tuples(st.sampled_from(oracle.ARITHMETIC), part, part) | st.tuples(st.just("neg"), part),
    max_leaves=5,
)
TRUTHS = st.recursive(
    st.tuples(st.sampled_from(oracle.COMPARISONS), NUMBERS, NUMBERS),
    lambda part: st.tuples(st.sampled_from(["and", "or"]), part, part) | st.tuples(st.just("not"), part),
    max_leaves=6,
)


def configurations(m, missing=0.2):
    """Configurations of CONDITION_PARAMETERS, some of their entries inactive."""
    rng = np.random.default_rng(m)
    x = random_draws(Domain(build(*CONDITION_PARAMETERS)), 7, m, 0, m)
    return np.where(rng.random(x.shape) < missing, np.nan, x)


def truths(tree, x):
    rows = [
        [oracle.number(p, v) for p, v in zip(CONDITION_PARAMETERS, column, strict=True)]
        for column in x.T.tolist()
    ]
    return [oracle.truth(tree, values) for values in rows]


@given(TRUTHS, st.sampled_from([1, 63, 64, 65, 130]))
def test_programs_follow_three_valued_logic(tree, m):
    """A forbidden expression must be true, a condition too: unknown permits, and is inactive."""
    x = configurations(m)
    layout = build(
        *CONDITION_PARAMETERS, continuous(), groups=(0, 0, 0, 0, 0, 1), conditions=(tree,), forbid=(tree,)
    )
    domain, full = Domain(layout), np.concatenate([x, np.full((1, m), 0.25)])
    true = np.array([value is True for value in truths(tree, x)])
    assert np.array_equal(group_mask(domain, 1, full), true)
    assert np.array_equal(permitted(domain, full), ~true)
    settled = settle(domain, full)
    assert np.array_equal(np.isnan(settled[-1]), ~true)


@pytest.mark.parametrize(("op", "settled"), [("and", False), ("or", True)])
def test_one_operand_may_settle_an_unknown(op, settled):
    """Both orders, and under NOT, where unknown and false would differ."""
    x = np.array([[1.0], [np.nan]])
    known, unknown = ("eq", ("value", 0), float(settled)), ("eq", ("value", 1), 1.0)
    for tree in ((op, known, unknown), (op, unknown, known), (op, unknown, unknown)):
        truth = oracle.truth(tree, [1.0, np.nan])
        layouts = [build(categorical(2), categorical(2), forbid=(t,)) for t in (tree, ("not", tree))]
        found = [not permitted(Domain(layout), x)[0] for layout in layouts]
        assert found == [truth is True, truth is False]


def test_conditions_see_what_earlier_groups_left_inactive():
    """b exists if a is 1, c if b is in its upper half, e where c or d is known to be small."""
    layout = build(
        categorical(2), continuous(), continuous(), continuous(), regular(3),
        groups=(0, 1, 2, 0, 3),
        conditions=(
            ("eq", ("value", 0), 1.0), ("gt", ("value", 1), 0.5),
            ("or", ("lt", ("value", 2), 0.5), ("lt", ("value", 3), 0.5)),
        ),
        forbid=(("gt", ("value", 2), 0.9), ("and", ("eq", ("value", 4), 10.0), ("gt", ("value", 3), 0.4))),
    )  # fmt: skip
    domain = Domain(layout)
    for x in (random_draws(domain, 0, 0, 0, 500), sobol_draws(domain, 0, 0, 500)):
        a, b, c, d, e = x
        assert np.array_equal(~np.isnan(b), a == 1)
        assert np.array_equal(~np.isnan(c), b > 0.5)
        assert np.array_equal(~np.isnan(e), (c < 0.5) | (d < 0.5))
        assert 0 < np.isnan(e).sum() < 500
        assert np.array_equal(permitted(domain, x), ~((c > 0.9) | ((e == 1 / 6) & (d > 0.4))))
        assert np.array_equal(settle(domain, x.copy()), x, equal_nan=True)
        for g, row in ((0, a), (1, b), (2, c), (3, e)):
            assert np.array_equal(group_mask(domain, g, x), ~np.isnan(row))


def test_point_zero_is_the_default_settled():
    layout = build(categorical(2), regular(5), groups=(0, 1), conditions=(("eq", ("value", 0), 1.0),))
    x = sobol_draws(Domain(layout), 3, 0, 2)
    assert x[0, 0] == 0
    assert np.isnan(x[1, 0])


# ---- backends

PARAMETER = st.sampled_from([*PARAMETERS, categorical(1), regular(1), regular(1024), continuous(-1e-8, 0.0)])


@settings(max_examples=25)
@given(st.lists(PARAMETER, min_size=1, max_size=12), TRUTHS, st.integers(0, 2**64 - 1), st.integers(0, 2**33))
def test_backends_agree_bit_for_bit(parameters, tree, seed, number):
    pytest.importorskip("numba")
    last = len(CONDITION_PARAMETERS) + len(parameters)
    layout = build(
        *CONDITION_PARAMETERS,
        *parameters,
        continuous(),
        groups=(0,) * (last - 1) + (1, 1),
        conditions=(tree,),
        forbid=(tree,),
    )

    def all_of_it():
        domain = Domain(layout)
        x = np.concatenate(
            [random_draws(domain, seed, number, 3, 70), sobol_draws(domain, seed, number, 70)], 1
        )
        moved = settle(domain, np.where(np.isnan(x), 0.3, x * 0.999))
        return x, moved, keys(domain, x), permitted(domain, moved)

    for native, numba in zip(*on_both(all_of_it), strict=True):
        assert native.tobytes() == numba.tobytes()


def test_no_parameters():
    domain = Domain(build())
    assert random_draws(domain, 0, 0, 0, 3).shape == sobol_draws(domain, 0, 0, 3).shape == (0, 3)
    x = settle(domain, np.empty((0, 3)))
    assert permitted(domain, x).all()
    assert len(set(keys(domain, x).tolist())) == 1


def test_inputs_may_be_read_only_and_strided():
    domain = Domain(build(*PARAMETERS))
    x = random_draws(domain, 0, 0, 0, 50)
    view = np.asfortranarray(x)
    view.flags.writeable = False
    assert np.array_equal(keys(domain, view), keys(domain, x))
    assert np.array_equal(keys(domain, view[:, 10:30]), keys(domain, x)[10:30])
    assert permitted(domain, view[:, :0]).shape == (0,)


# ---- what is rejected


def with_program(*program: tuple[int, int]) -> Layout:
    layout = build(continuous(), forbid=(("lt", ("value", 0), 0.5),))
    changes = {
        "program": np.array(program, np.int32).reshape(-1, 2),
        "forbid_start": np.array([0, len(program)]),
    }
    return Layout(**(vars(layout) | changes))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ([(Op.LOAD, 1)], "LOAD must .* 0, got 1"), ([(Op.LOAD, -1)], "LOAD must .* 0, got -1"),
        ([(Op.CONST, 1)], "CONST must .* 0, got 1"),
        ([(16, 0)], "operation 16"), ([(-1, 0)], "operation -1"), ([], "must leave 1 value .* got 0"),
        ([(Op.NOT, 0)], "depth must .*, got 0"), ([(Op.LOAD, 0), (Op.ADD, 0)], "depth must .*, got 0"),
        ([(Op.LOAD, 0), (Op.LOAD, 0)], "must leave 1 value .* got 2"),
        ([(Op.LOAD, 0)] * (MAX_STACK + 1), f"stack depth must .*, got {MAX_STACK + 1}"),
    ],
)  # fmt: skip
def test_programs_that_would_leave_their_tables_are_rejected(program, message):
    with pytest.raises(ArgumentError, match=message):
        Domain(with_program(*program))


def test_the_deepest_stack_runs():
    program = [(Op.LOAD, 0)] * MAX_STACK + [(Op.ADD, 0)] * (MAX_STACK - 1)
    x = np.array([[1 / MAX_STACK, 0.5]])
    assert permitted(Domain(with_program(*program)), x).tolist() == [False, True]


def test_bad_arguments():
    domain = Domain(build(continuous(), continuous()))
    for function in (keys, permitted, settle):
        with pytest.raises(ArgumentError, match=r"x must have shape \(2, m\), got \(3, 4\)"):
            function(domain, np.zeros((3, 4)))
        with pytest.raises(ArgumentError, match=r"x must have shape \(2, m\), got \(2,\)"):
            function(domain, np.zeros(2))
    for x in (np.zeros((2, 4), np.float32), np.zeros((4, 2)).T):
        with pytest.raises(ArgumentError, match="x must be a writeable"):
            settle(domain, x)
    with pytest.raises(ArgumentError, match=r"group must .*, got 1"):
        group_mask(domain, 1, np.zeros((2, 4)))
    with pytest.raises(ArgumentError, match="start"):
        random_draws(domain, 0, 0, 2**32, 1)
