"""What the checks of arguments take, and what their errors say."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from hpo_core.checks import (
    as_number,
    as_numbers,
    check_flag,
    check_int,
    check_mapping,
    check_number,
    check_one_of,
)
from hpo_core.errors import ArgumentError, SpaceError, StudyError, TrialError


def name(value: object) -> str:
    """A name for a test that is the same in each process: without addresses."""
    return repr(value).partition(" at 0x")[0][:40]


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        Fraction(1, 2),
        Decimal("0.5"),
        np.float16(0.5),
        np.float32(0.5),
        np.float64(0.5),
        np.longdouble(0.5),
        np.array(0.5),
        np.array([0.5]),
        np.array([[0.5]], object),
    ],
    ids=name,
)
def test_what_is_a_number(value):
    assert as_number(value) == 0.5
    assert type(as_number(value)) is float


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_are_numbers(value):
    assert as_number(value) == 3.0


@pytest.mark.parametrize(
    "value",
    ["0.5", b"1", np.str_("1"), True, np.True_, np.array(True), 1j, np.complex128(1), None, [0.5], (), {},
     object(), 10**400, np.array([1.0, 2.0]), np.array([])],
    ids=name,
)  # fmt: skip
def test_what_is_not_a_number(value):
    with pytest.raises(TrialError, match="must be a number, got"):
        as_number(value)


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 2],
        (np.float32(0.5), Fraction(2)),
        np.array([0.5, 2.0], np.float32),
        np.array([0.5, 2.0], object),
        np.array([0.0, 0.5, 1.0, 2.0])[1::2],
        np.ma.array([0.5, 2.0]),
        memoryview(np.array([0.5, 2.0])),
    ],
    ids=name,
)
def test_what_is_a_column(values):
    column = as_numbers(values, 2)
    assert column.tolist() == [0.5, 2.0]
    assert column.dtype == np.float64


def test_a_masked_value_is_missing():
    np.testing.assert_array_equal(as_numbers(np.ma.array([1, 2], mask=[False, True]), 2), [1.0, np.nan])


@pytest.mark.parametrize(
    "values",
    [
        0.5,
        None,
        "ab",
        {0.5, 2.0},
        iter([0.5, 2.0]),
        [0.5],
        [0.5, 2.0, 3.0],
        [0.5, "2"],
        [0.5, True],
        [0.5, None],
        [[0.5, 2.0]],
        np.array([[0.5], [2.0]]),
        np.array([True, False]),
        np.array(["a", "b"]),
        np.array([1j, 2.0]),
        np.array([0.5, "2"], object),
        np.array([1, 2], "datetime64[s]"),
    ],
    ids=name,
)
def test_what_is_not_a_column(values):
    with pytest.raises(TrialError):
        as_numbers(values, 2)


def test_told_columns_are_copies():
    values = np.array([0.5, 2.0])
    as_numbers(values, 2)[0] = 9
    assert values[0] == 0.5


def test_tensors_are_read():
    torch = pytest.importorskip("torch")
    assert as_number(torch.tensor(0.5, requires_grad=True)) == 0.5
    assert as_number(torch.tensor([[0.5]], dtype=torch.bfloat16)) == 0.5
    column = as_numbers(torch.tensor([0.5, 2.0], dtype=torch.bfloat16, requires_grad=True), 2)
    assert column.tolist() == [0.5, 2.0]
    assert as_numbers([torch.tensor(0.5), torch.tensor(2.0)], 2).tolist() == [0.5, 2.0]
    for wrong in (torch.tensor([0.5, 2.0]), torch.tensor(True), torch.tensor(1j)):
        with pytest.raises(TrialError):
            as_number(wrong)
    for wrong in (torch.tensor(0.5), torch.tensor([[0.5, 2.0]]), torch.tensor([True, False])):
        with pytest.raises(TrialError):
            as_numbers(wrong, 2)


def test_series_are_read():
    pd = pytest.importorskip("pandas")
    assert as_numbers(pd.Series([0.5, 2.0], index=[7, 9]), 2).tolist() == [0.5, 2.0]
    assert as_numbers(pd.Series([0.5, 2.0], dtype="Float64"), 2).tolist() == [0.5, 2.0]


POSITIVE = ("a number > 0", lambda x: x > 0)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda: check_int("n", 0, 1), "n must be an int >= 1, got 0"),
        (lambda: check_int("n", 1.0, 1, 10**6), "n must be an int from 1 to 1,000,000, got 1.0"),
        (lambda: check_int("seed", True, 0, 2**63 - 1, also=" or None"),
         "seed must be an int from 0 to 2**63 - 1 or None, got True"),
        (lambda: check_number("lr", -1.0, *POSITIVE), "lr must be a number > 0, got -1.0"),
        (lambda: check_number("lr", math.nan, *POSITIVE), "lr must be a number > 0, got nan"),
        (lambda: check_number("lr", "1", *POSITIVE), "lr must be a number > 0, got '1'"),
        (lambda: check_flag("log", 1), "log must be True or False, got 1"),
        (lambda: check_one_of("mode", "z", ("a", "b", "c")), "mode must be 'a', 'b' or 'c', got 'z'"),
        (lambda: check_one_of("mode", ["min"], ("min", "max")), "mode must be 'min' or 'max', got ['min']"),
        (lambda: check_mapping("params", [1]), "params must be a mapping of names to values, got [1]"),
    ],
)  # fmt: skip
def test_an_error_names_the_argument_the_rule_and_what_came(check, says):
    with pytest.raises(ArgumentError) as caught:
        check()
    assert str(caught.value) == says


def test_a_check_raises_the_kind_of_its_room():
    for kind in (SpaceError, StudyError):
        with pytest.raises(kind):
            check_int("n", None, 0, error=kind)
        with pytest.raises(kind):
            check_number("n", None, "a number", lambda x: True, error=kind)


def test_checks_return_plain_values():
    assert type(check_int("n", np.int8(3), 0)) is int
    assert type(check_number("x", np.float32(0.5), "a number", lambda x: True)) is float
    assert check_one_of("mode", "min", ("min", "max")) == "min"


def test_an_int_beyond_all_floats_is_refused_and_said_to_be():
    with pytest.raises(ArgumentError, match=r"x must be finite, got 1000.*, beyond all floats"):
        check_number("x", 10**400, "finite", math.isfinite)
