"""The kernels' bench: every answer is its reference's, and limits and records are what they say."""

from __future__ import annotations

import pytest

from bench import compiling
from bench.native import command, kernels, machine_rates
from bench.native.kernels import Work

SMALLEST = [(kernel, kernel.sizes[0]) for topic in kernels.TOPICS for kernel in kernels.kernels(topic)]


@pytest.mark.parametrize(("kernel", "size"), SMALLEST, ids=lambda v: getattr(v, "name", None))
def test_the_kernel_gives_what_its_reference_gives(kernel, size):
    if reason := kernels.missing(kernel.topic):
        pytest.skip(f"{kernel.topic} is not built: {reason}")
    prepared = kernel.prepare(**size)
    prepared.verify()
    assert prepared.work.items > 0


def test_a_wrong_answer_is_found():
    with pytest.raises(AssertionError):
        kernels.Prepared(lambda: 1.0, lambda: 1.1, Work(1)).verify()


def test_the_grid_is_every_combination():
    assert kernels.grid(n=(1, 2), d=(3,)) == ({"n": 1, "d": 3}, {"n": 2, "d": 3})


RATES = dict.fromkeys((*command.RATES, "gemm", "trsm"), 1.0)


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(1, fma=3.0, exp=2.0), 5.0),
        (Work(1, fma=3.0, bytes=4.0), 4.0),
        (Work(1, trsm=7.0, bytes=4.0), 7.0),
    ],
)
def test_the_limit_is_arithmetic_or_memory(work, seconds):
    assert machine_rates.limit(work, RATES) == seconds


def test_memory_speed_is_that_of_its_cache():
    rates = {**RATES, "bytes_near": 4.0, "bytes_middle": 2.0}
    sizes = (machine_rates.NEAR, machine_rates.MIDDLE, 2 * machine_rates.MIDDLE)
    assert [machine_rates.limit(Work(1, bytes=n), rates) / n for n in sizes] == [0.25, 0.5, 1.0]


@pytest.mark.skipif(compiling.compiler() is None, reason="no C compiler")
def test_rates_are_measured_at_every_level():
    levels = machine_rates.levels()
    assert [r["level"] for r in levels] == list(range(len(levels)))
    assert all(1e7 < r[name] < 1e13 for r in levels for name in command.RATES)


def test_a_table_shows_errors_and_ratios():
    good = {"kernel": "f", "n": 10, "ns": 2.0, "limit_ns": 1.0, "reference_ns": 8.0}
    text = command.table([good, {"kernel": "g", "error": "boom"}])
    assert "50%" in text
    assert "4.0" in text
    assert "boom" in text
