"""Seconds as medians with their spread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Mean, median and the 10 % and 90 % quantiles."""
    low, median, high = np.quantile(seconds, [0.1, 0.5, 0.9])
    summary = {"mean": np.mean(seconds), "median": median, "p10": low, "p90": high}
    return {**{name: float(f"{value:.4g}") for name, value in summary.items()}, "n": len(seconds)}


def clock(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def best_time(function: Callable[[], object], *, repeats: int = 7, at_least: float = 0.02) -> float:
    """Least seconds of a call, each sample long enough for the clock: the figure least touched by others."""
    number = 1
    while (seconds := clock(lambda: [function() for _ in range(number)])) < at_least:
        number *= max(2, int(at_least / max(seconds, 1e-9)))
    samples = [seconds, *(clock(lambda: [function() for _ in range(number)]) for _ in range(repeats - 1))]
    return min(samples) / number
