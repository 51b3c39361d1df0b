"""Seconds as medians with their spread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Mean, median and the 10 % and 90 % quantiles."""
    low, median, high = np.quantile(seconds, [0.1, 0.5, 0.9])
    summary = {"mean": np.mean(seconds), "median": median, "p10": low, "p90": high}
    return {**{name: float(f"{value:.4g}") for name, value in summary.items()}, "n": len(seconds)}


def cycles(seconds: Sequence[float], first: Sequence[float], cpu: float) -> dict[str, Any]:
    """A latency: wall-clock spread, first cycles apart, and CPU seconds a cycle.

    Far more wall-clock than CPU time means that the machine was busy with something else.
    """
    return {"seconds": spread(seconds), "first": spread(first), "cpu": float(f"{cpu / len(seconds):.4g}")}


def clock(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def best_time(function: Callable[[], object], *, repeats: int = 25, at_least: float = 0.002) -> float:
    """Least seconds of a call, each sample long enough for the clock: the figure least touched by others.

    The clock is the thread's own, which stands still while others run: for work that stays on one thread.
    """

    def repeat(count: int) -> float:
        start = time.thread_time()
        for _ in range(count):
            function()
        return time.thread_time() - start

    number = 1
    while (seconds := repeat(number)) < at_least:
        number *= max(2, int(at_least / max(seconds, 1e-9)))
    return min(repeat(number) for _ in range(repeats)) / number
