"""Each kind of parameter: round trips, bounds, dtypes, and what is refused."""

from __future__ import annotations

import enum
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpo_core.errors import SpaceError
from hpo_core.layout import Kind
from hpo_core.space import Categorical, Float, Int, Ordinal, Space

EPS = sys.float_info.epsilon


def alone(declaration) -> Space:
    return Space({"p": declaration})


def round_trip(space: Space, values) -> np.ndarray:
    return space.codec.column("p", space.encode({"p": values}))


@st.composite
def ranges(draw, low, high):
    ends = sorted(draw(st.tuples(*[st.floats(low, high, allow_nan=False, allow_infinity=False)] * 2)))
    assume(ends[0] < ends[1])
    return ends


@given(ranges(-1e300, 1e300), st.data())
def test_float_round_trip(ends, data) -> None:
    low, high = ends
    values = np.array(data.draw(st.lists(st.floats(low, high), min_size=1, max_size=20)))
    back = round_trip(alone(Float(low, high)), values)
    assert (np.abs(back - values) <= 4 * EPS * max(abs(low), abs(high))).all()


@given(ranges(1e-300, 1e300), st.data())
def test_log_float_round_trip(ends, data) -> None:
    low, high = ends
    assume(math.isfinite(high / low))
    values = np.array(data.draw(st.lists(st.floats(low, high), min_size=1, max_size=20)))
    back = round_trip(alone(Float(low, high, log=True)), values)
    tolerance = 4 * EPS * (1 + math.log(high / low))
    assert (np.abs(back - values) <= tolerance * values).all()


@pytest.mark.parametrize("ends", [(1e-300, 2e-300), (1e-8, 1.0000001e-8), (1.0, 1.0 + EPS), (1e299, 1e300)])
def test_narrow_log_ranges_far_from_one_keep_their_digits(ends) -> None:
    """exp(log(low) + span x) would lose log|low| / span of them."""
    low, high = ends
    values = np.linspace(low, high, 1001)
    back = round_trip(alone(Float(low, high, log=True)), values)
    assert (np.abs(back / values - 1) <= 4 * EPS * (1 + math.log(high / low))).all()


@given(ranges(-1e300, 1e300), st.booleans(), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_floats_never_leave_the_bounds(ends, log, x) -> None:
    low, high = (np.abs(ends) + 1e-300).tolist() if log else ends
    low, high = min(low, high), max(low, high)
    assume(low < high and math.isfinite(high / low if log else high - low))
    space = alone(Float(low, high, log=log))
    column = space.codec.column("p", np.array([[0.0, 1.0, *x]]))
    assert ((column >= low) & (column <= high)).all()
    assert column.tolist() == [space.codec.value(coordinate, 0) for coordinate in [0.0, 1.0, *x]]


def test_rounding_at_the_upper_end_stays_inside() -> None:
    assert -3.1 + (4.7 - -3.1) > 4.7
    space = alone(Float(-3.1, 4.7))
    assert space.codec.value(1.0, 0) == 4.7
    assert space.codec.column("p", np.array([[1.0]])).tolist() == [4.7]


GRIDS = [
    Int(-3, 7),
    Int(0, 2**48),
    Int(-(2**48), 2**48),
    Int(1, 2**40, log=True),
    Int(1, 1024, log=True),
    Int(5, 10**6, log=True),
    Int(0, 10**7, step=5),
    Float(0.0, 1.0, step=0.1),
    Float(-1.0, 1.0, step=2**-12),
    Float(1e-3, 5.0, step=1e-3),
]


@pytest.mark.parametrize("declaration", GRIDS, ids=repr)
def test_grids_round_trip_exactly(declaration) -> None:
    space = alone(declaration)
    low, high, step = declaration.low, declaration.high, declaration.step
    levels = round((high - low) / step) + 1
    rng = np.random.default_rng(0)
    level = np.unique(
        [
            0,
            1,
            levels - 2,
            levels - 1,
            *rng.integers(0, levels, 500),
            *(2 ** np.arange(0, int(np.log2(levels)))),
        ]
    )
    values = low + step * level
    x = space.encode({"p": values})
    back = space.codec.column("p", x)
    assert back.dtype == (np.int64 if isinstance(declaration, Int) else np.float64)
    assert (np.diff(x[0]) > 0).all()
    assert np.abs(back - values).max() <= (0 if isinstance(declaration, Int) else 1e-9 * step)
    assert (space.encode({"p": back}) == x).all()
    assert back.tolist() == [space.codec.value(coordinate, 0) for coordinate in x[0]]
    assert ((back >= low) & (back <= high)).all()


@pytest.mark.parametrize("declaration", [*GRIDS, Ordinal([3, 1, 2]), Categorical(["a", "b", "c"])], ids=repr)
def test_draws_are_levels_in_proportion_to_their_cells(declaration) -> None:
    space = alone(declaration)
    columns = space.sample(4000, seed=1)
    x = space.encode(columns)
    assert (space.codec.column("p", x) == columns["p"]).all()
    if space.layout.kinds[0] == Kind.CATEGORICAL:
        assert np.bincount(x[0].astype(int)).min() > 4000 / 3 * 0.9
    else:
        quantiles = np.searchsorted(np.sort(x[0]), [0.25, 0.5, 0.75]) / 4000
        coarse = space.layout.widths.max(initial=0.0)
        assert np.abs(quantiles - [0.25, 0.5, 0.75]).max() < 0.03 + coarse


def test_decimal_steps_are_what_they_look_like() -> None:
    space = alone(Float(0.0, 1.0, step=0.1))
    assert space.decode(space.enumerate())["p"].tolist() == [
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1.0,
    ]
    assert space.contains({"p": 0.1 + 0.2})
    assert not space.contains({"p": 0.35})


def test_coordinates_between_levels_belong_to_the_cell_they_are_in() -> None:
    space = alone(Int(1, 4))
    assert [space.codec.value(x, 0) for x in (0.0, 0.24, 0.26, 0.99, 1.0)] == [1, 1, 2, 4, 4]
    assert space.codec.column("p", np.array([[0.0, 0.24, 0.26, 0.99, 1.0]])).tolist() == [1, 1, 2, 4, 4]
    log = alone(Int(1, 4, log=True))  # cells end at log 1.5, 2.5, 3.5 between log 0.5 and log 4.5
    borders = np.log([3.0, 5.0, 7.0]) / math.log(9)
    below, above = borders - 1e-9, borders + 1e-9
    assert log.codec.column("p", np.array([below])).tolist() == [1, 2, 3]
    assert log.codec.column("p", np.array([above])).tolist() == [2, 3, 4]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


CHOICES = [
    (["a", "b"], "<U1"),
    ([1, 2, 3], np.int64),
    ([0.5, 1.0], np.float64),
    ([True, False], np.bool_),
    ([1, 2.5], object),
    (["a", None, 3], object),
    ([(1, 2), (3, 4)], object),
    ([(1,), (1, 2), ()], object),
    ([math.sin, len], object),
    ([Colour.RED, Colour.BLUE], object),
    (["a", "a\0"], object),
    ([2**70, 1], object),
    ([frozenset({1}), frozenset()], object),
]


@pytest.mark.parametrize("kind", [Categorical, Ordinal])
@pytest.mark.parametrize(("choices", "dtype"), CHOICES, ids=repr)
def test_any_hashable_is_a_choice_and_comes_back_as_itself(kind, choices, dtype) -> None:
    space = alone(kind(choices))
    column = space.decode(space.enumerate())["p"]
    assert column.dtype == dtype
    assert column.tolist() == choices
    assert [type(value) for value in column.tolist()] == [type(choice) for choice in choices]
    assert (space.encode({"p": column}) == space.encode({"p": choices})).all()
    for choice, x in zip(choices, space.enumerate()[0], strict=True):
        assert space.codec.value(x, 0) is choice or (
            space.codec.value(x, 0) == choice and type(space.codec.value(x, 0)) is type(choice)
        )
        assert space.codec.encode_params({"p": choice})[0] == [x]


def test_numpy_choices_become_python_values() -> None:
    space = alone(Categorical(np.array([1, 2, 3])))
    assert type(space.default()["p"]) is int
    assert alone(Ordinal(np.array(["a", "b"]))).default() == {"p": "a"}


def test_equal_numbers_are_one_choice() -> None:
    assert alone(Categorical([1, 2])).contains({"p": 1.0})


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        (Float(2, 1), "low must be <= high, got low=2.0, high=1.0"),
        (Float(0, math.inf), "high must be a finite number, got inf"),
        (Float(math.nan, 1), "low must be a finite number, got nan"),
        (Float("0", 1), "low must be a finite number, got '0'"),
        (Float(True, 2), "low must be a finite number, got True"),
        (Float(-1e308, 1e308), "high - low must be a finite float"),
        (Int(-(10**308), 10**308), "high - low must be a finite float"),
        (Float(0, 1, log=True), "low must be > 0 with log=True, got 0.0"),
        (Float(-1, 1, log=True), "low must be > 0 with log=True"),
        (Float(1, 2, log=True, step=0.5), "step must be left out with log=True"),
        (Float(0, 1, step=0.3), r"nearest high that fits is 0\.9"),
        (Float(0, 0.36, step=0.1), r"nearest high that fits is 0\.4"),
        (Float(0, 1, step=0), "step must be > 0, got 0"),
        (Float(0, 1, step=-0.1), "step must be > 0"),
        (Float(0, 1, step="x"), "step must be a finite number"),
        (Float(0, 1, step=1e-20), "steps of 0"),
        (Float(0, 1, log="yes"), "log must be True or False"),
        (Float(0, 1, when=True), "when must be a condition"),
        (Float(0, 1, doc=3), "doc must be a str"),
        (Int(5, 1), "low must be <= high"),
        (Int(1, 2**41, log=True), r"at most 2\*\*40"),
        (Int(0.5, 3), "low must be an int, got 0.5"),
        (Int(0, 3.0), "high must be an int, got 3.0"),
        (Int(0, 10, step=3), "nearest high that fits is 9"),
        (Int(0, 10, step=0), "step must be > 0"),
        (Int(0, 10, log=True), "low must be > 0 with log=True"),
        (Int(1, 10, log=True, step=3), "step must be left out with log=True"),
        (Int(0, 2**60), "steps of 0"),
        (Ordinal([]), "at least one value"),
        (Ordinal("abc"), "must be a list or tuple, got 'abc'"),
        (Ordinal({1, 2}), "must be a list or tuple"),
        (Ordinal(range(2000)), "at most 1024"),
        (Ordinal([1, 2, 1]), "distinct, got 1 twice"),
        (Categorical([]), "at least one value"),
        (Categorical({}), "at least one value"),
        (Categorical([1, True]), "got True and 1, which are equal"),
        (Categorical([1, 1.0]), "got 1.0 and 1, which are equal"),
        (Categorical([[1], [2]]), r"hashable, got \[1\]; use a tuple"),
        (Categorical([math.nan]), "nan"),
        (Categorical({"a": 3}), "sub-space of choice 'a'"),
    ],
    ids=repr,
)
def test_refusals_name_the_parameter_and_what_came(declaration, words) -> None:
    with pytest.raises(SpaceError, match=words) as caught:
        Space({"rate": declaration})
    assert str(caught.value).startswith("parameter 'rate'")


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        (Float(0, 1), 1.5),
        (Float(0, 1), "0.5"),
        (Float(0, 1), None),
        (Float(0, 1), True),
        (Float(0, 1), math.nan),
        (Float(0, 1), [0.5, 0.6]),
        (Float(0, 1, step=0.25), 0.3),
        (Int(0, 9), 2.5),
        (Int(0, 9), 10),
        (Int(0, 9), math.nan),
        (Int(0, 9), "2"),
        (Int(0, 10**6), 2.5),
        (Int(0, 10**6), -1),
        (Int(0, 10**6), math.inf),
        (Ordinal([1, 2]), 3),
        (Ordinal(["a"]), "b"),
        (Categorical(["a"]), ["a"]),
        (Categorical([(1, 2)]), (1, 3)),
        (Categorical(list(range(50))), 77),
    ],
)
def test_values_outside_the_domain(declaration, value) -> None:
    with pytest.raises(SpaceError, match=r"parameter 'p' must be .*, got "):
        alone(declaration).codec.encode_params({"p": value})


def test_whole_numbers_of_any_type_are_taken() -> None:
    space = alone(Int(0, 9))
    for column in (np.array([3.0]), np.array([3], np.int8), [np.int64(3)], (3,), np.array([3], dtype=object)):
        assert space.decode(space.encode({"p": column}))["p"].tolist() == [3]


def test_repr_leaves_defaults_out() -> None:
    assert repr(Float(0.0, 1.0)) == "Float(0.0, 1.0)"
    assert repr(Int(1, 9, step=2, doc="odd")) == "Int(1, 9, step=2, doc='odd')"
    assert repr(Categorical({"a": {}})) == "Categorical({'a': {}})"
