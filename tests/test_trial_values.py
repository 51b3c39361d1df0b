"""How told values are read, and the seeds that trials hand out."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from hpo_core.errors import TrialError
from hpo_core.trial.values import as_column, as_number, trial_seed


def name(value: object) -> str:
    """A name for a test that is the same in each process: without addresses."""
    return repr(value).partition(" at 0x")[0][:40]


def splitmix64(z: int) -> int:
    """Steele, Lea and Flood's generator, its next output from state z."""
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_the_oracle_of_seeds_knows_the_published_vector():
    assert splitmix64(0) == 0xE220A8397B1DCDAF


def test_seeds_are_hashes_alike_in_columns():
    for seed in (0, 1, 2**63 - 1):
        numbers = np.array([0, 1, 10**9])
        expected = [splitmix64(splitmix64(seed) ^ number) >> 32 for number in numbers.tolist()]
        assert [trial_seed(seed, number) for number in numbers.tolist()] == expected
        assert trial_seed(seed, numbers).tolist() == expected


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
    column = as_column(values, 2)
    assert column.tolist() == [0.5, 2.0]
    assert column.dtype == np.float64


def test_a_masked_value_is_missing():
    np.testing.assert_array_equal(as_column(np.ma.array([1, 2], mask=[False, True]), 2), [1.0, np.nan])


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
        as_column(values, 2)


def test_told_columns_are_copies():
    values = np.array([0.5, 2.0])
    as_column(values, 2)[0] = 9
    assert values[0] == 0.5


def test_tensors_are_read():
    torch = pytest.importorskip("torch")
    assert as_number(torch.tensor(0.5, requires_grad=True)) == 0.5
    assert as_number(torch.tensor([[0.5]], dtype=torch.bfloat16)) == 0.5
    column = as_column(torch.tensor([0.5, 2.0], dtype=torch.bfloat16, requires_grad=True), 2)
    assert column.tolist() == [0.5, 2.0]
    assert as_column([torch.tensor(0.5), torch.tensor(2.0)], 2).tolist() == [0.5, 2.0]
    for wrong in (torch.tensor([0.5, 2.0]), torch.tensor(True), torch.tensor(1j)):
        with pytest.raises(TrialError):
            as_number(wrong)
    for wrong in (torch.tensor(0.5), torch.tensor([[0.5, 2.0]]), torch.tensor([True, False])):
        with pytest.raises(TrialError):
            as_column(wrong, 2)


def test_series_are_read():
    pd = pytest.importorskip("pandas")
    assert as_column(pd.Series([0.5, 2.0], index=[7, 9]), 2).tolist() == [0.5, 2.0]
    assert as_column(pd.Series([0.5, 2.0], dtype="Float64"), 2).tolist() == [0.5, 2.0]
