"""The Layout of a space: tables, groups in topological order, contexts, programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from oracles.space import OracleSpace
from space.strategies import spaces

from hpo_core.errors import SpaceError
from hpo_core.layout import MAX_STACK, MAX_TABLE_LEVELS, Kind, Op
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param


def conditional_space() -> Space:
    return Space(
        {
            "optimizer": Categorical(
                {"sgd": {"momentum": Float(0, 1), "nesterov": Categorical([True, False])}, "adam": {}}
            ),
            "depth": Int(1, 4),
            "width_3": Int(8, 16, when=param("depth") >= 3),
            "width_4": Int(8, 16, when=param("depth") >= 4),
            "damping": Float(0, 1, when=param("nesterov") & (param("width_3") > 8)),
        }
    )


def test_kinds_and_levels() -> None:
    layout = Space(
        {
            "float": Float(0, 1),
            "table": Int(1, MAX_TABLE_LEVELS),
            "stepped": Int(0, MAX_TABLE_LEVELS),
            "float_step": Float(0, 1, step=0.25),
            "fine": Float(0, 1, step=2**-12),
            "ordinal": Ordinal(["a", "b"]),
            "categorical": Categorical(["a", "b"]),
        }
    ).layout
    kinds = [
        Kind.CONTINUOUS,
        Kind.DISCRETE,
        Kind.STEPPED,
        Kind.DISCRETE,
        Kind.STEPPED,
        Kind.DISCRETE,
        Kind.CATEGORICAL,
    ]
    assert layout.kinds.tolist() == kinds
    assert layout.levels.tolist() == [0, 1024, 1025, 5, 4097, 2, 2]
    assert np.diff(layout.table_start).tolist() == [0, 1024, 0, 5, 0, 2, 0]


def test_arrays_are_read_only_contiguous_and_typed() -> None:
    layout = conditional_space().layout
    dtypes = {"kinds": np.uint8, "levels": np.int64, "log": np.uint8, "group": np.int32, "context": np.bool_}
    dtypes |= {
        "program": np.int32,
        "condition_start": np.int64,
        "forbid_start": np.int64,
        "table_start": np.int64,
    }
    for name, array in vars(layout).items():
        if name != "names":
            assert not array.flags.writeable
            assert array.flags.c_contiguous
            assert array.dtype == dtypes.get(name, np.float64), name


def test_groups_share_a_condition_and_context_follows_implication() -> None:
    layout = conditional_space().layout
    group = dict(zip(layout.names, layout.group.tolist(), strict=True))
    assert group["optimizer"] == group["depth"] == 0
    assert group["momentum"] == group["nesterov"] > 0
    assert len({group[name] for name in ("momentum", "width_3", "width_4", "damping")}) == 4
    damping = layout.context[group["damping"]]
    assert set(np.flatnonzero(damping)) == {0, group["momentum"], group["width_3"]}
    assert set(np.flatnonzero(layout.context[group["width_4"]])) == {0}
    assert not layout.context[0].any()


@pytest.mark.parametrize(
    ("condition", "certain"),
    [
        ((param("b") == 1) & (param("c") == 1), {"b", "c"}),
        ((param("b") == 1) | (param("c") == 1), set()),
        (((param("b") == 1) & (param("c") == 1)) | (param("c") == 2), {"c"}),
        (~((param("b") == 1) | (param("c") == 1)), {"b", "c"}),
        (~((param("b") == 1) & (param("c") == 1)), set()),
        (~(param("b") == 1) & (param("a") == "x"), {"b"}),
        (param("b") + param("c") > 2, {"b", "c"}),
        (param("b").isin([1, 2]), {"b"}),
    ],
)
def test_context_of_logic(condition, certain) -> None:
    """b and c exist in a branch each (of different owners); and is a union, or an intersection."""
    space = Space(
        {
            "a": Categorical({"x": {"b": Int(1, 2)}, "y": {}}),
            "a2": Categorical({"x": {"c": Int(1, 2)}, "y": {}}),
            "z": Float(0, 1, when=condition),
        }
    )
    group = dict(zip(space.names, space.layout.group.tolist(), strict=True))
    context = set(np.flatnonzero(space.layout.context[group["z"]]))
    assert context == {0} | {group[name] for name in certain}


def test_context_reaches_all_ancestors() -> None:
    inner = {"c": Categorical({"x": {"d": Float(0, 1)}, "y": {}})}
    space = Space({"a": Categorical({"x": {"b": Categorical({"x": inner, "y": {}})}, "y": {}})})
    assert space.layout.group.tolist() == [0, 1, 2, 3]
    assert np.array_equal(space.layout.context, np.tri(4, k=-1, dtype=bool))


@given(spaces())
def test_layout_invariants(space: Space) -> None:
    layout = space.layout
    assert layout.group.min() >= 0
    assert set(layout.group.tolist()) | {0} == set(range(layout.n_groups))
    for g in range(layout.n_groups):
        begin, end = layout.condition_start[g : g + 2]
        assert (begin == end) == (g == 0)
        reads = [row for op, row in layout.program[begin:end] if op == Op.LOAD]
        assert all(layout.group[row] < g for row in reads)
        assert layout.context[g, 0] == (g > 0)
        assert not layout.context[g, g:].any()
    for row in range(layout.size):
        start, stop = layout.table_start[row : row + 2]
        centers, widths = layout.centers[start:stop], layout.widths[start:stop]
        if len(centers):
            assert (np.diff(centers) > 0).all()
            assert widths.sum() == pytest.approx(1.0, abs=1e-12)
            edges = np.cumsum(widths) - widths
            assert np.allclose(centers, edges + widths / 2, atol=1e-12)
    assert layout.condition_start[-1] == layout.forbid_start[0]
    assert layout.forbid_start[-1] == len(layout.program)


@given(spaces(forbid=False))
def test_context_is_true_of_every_draw(space: Space) -> None:
    layout = space.layout
    x = space.encode(space.sample(64))
    active = [~np.isnan(x[layout.group == g]).all(axis=0) for g in range(layout.n_groups)]
    for g, h in np.argwhere(layout.context):
        assert h == 0 or (active[h] | ~active[g]).all()


@given(spaces())
def test_default_is_nearest_to_the_centre(space: Space) -> None:
    layout = space.layout
    for row, kind in enumerate(layout.kinds):
        start, stop = layout.table_start[row : row + 2]
        if kind == Kind.DISCRETE:
            distance = np.abs(layout.centers[start:stop] - 0.5)
            assert abs(layout.default[row] - 0.5) <= distance.min() + 1e-12
        else:
            assert layout.default[row] == (0.0 if kind == Kind.CATEGORICAL else 0.5)


@given(spaces(forbid=False))
def test_coordinates_match_the_oracle(space: Space) -> None:
    oracle = OracleSpace(space.to_json())
    columns = space.sample(8)
    for name, row in zip(space.names, space.encode(columns), strict=True):
        for value, coordinate in zip(columns[name].tolist(), row, strict=True):
            assert np.isnan(coordinate) or coordinate == pytest.approx(
                oracle.coordinate(name, value), abs=1e-12
            )


def test_a_deep_expression_is_rejected_with_its_place() -> None:
    deep = param("a")
    for _ in range(MAX_STACK):
        deep = 1 + (param("a") * deep)
    with pytest.raises(SpaceError, match=r"when of 'b'.*32"):
        Space({"a": Int(1, 2), "b": Int(1, 2, when=deep > 0)})


def test_a_long_chain_needs_a_shallow_stack() -> None:
    chain = param("a") == 0
    for k in range(1, 2000):
        chain = chain | (param("a") == k)
    space = Space({"a": Int(0, 5000), "b": Int(1, 2, when=chain)})
    x = space.encode({"a": [7, 4000], "b": [1, 1]})
    assert np.isnan(x[1]).tolist() == [False, True]


def test_a_condition_decided_by_constants() -> None:
    space = Space(
        {"depth": 3, "a": Int(1, 2, when=param("depth") >= 3), "b": Int(1, 2, when=param("depth") >= 4)}
    )
    assert space.layout.group.tolist()[0] == 0
    assert space.default() == {"a": 1, "depth": 3}
    assert space.size == 2
