"""The clock around a cold fit, the same for every side."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from bench import timing
from bench.surrogates import data

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 20  # data of a fit that is not timed: whatever a library loads or compiles at first use


def _as_is(array: Any) -> Any:
    return array


def measure(
    fit: Callable[[Any, Any], Any],
    found: Callable[[Any], dict[str, Any]],
    n: int,
    repeats: int,
    *,
    inputs: Callable[[Any], Any] = _as_is,
    targets: Callable[[Any], Any] = _as_is,
) -> dict[str, Any]:
    """Seconds of ``fit(x, y)``, and the hyperparameters it found; inputs are converted beforehand."""
    small, (x, y) = data.draw(WARM_UP), data.draw(n)
    fit(inputs(small[0]), targets(small[1]))
    x, y = inputs(x), targets(y)
    seconds, cpu = [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        model = fit(x, y)
        seconds.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / repeats
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    return {"seconds": timing.spread(seconds), "cpu": float(f"{cpu:.4g}"), "threads": threads, **found(model)}
