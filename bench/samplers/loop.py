"""The clock around ask and tell, the same for every side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench import timing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.quality.optimiser import Optimiser


def cycles(begin: Callable[[], Optimiser], values: Sequence[float], n_blocks: int) -> dict[str, Any]:
    """Seconds of ask -> all parameters -> tell; each block has a study of its own.

    A block's first cycle, which builds the model from the history, is apart.
    """
    first: list[float] = []
    seconds: list[float] = []
    cpu = 0.0
    for _ in range(n_blocks):
        optimiser = begin()
        for i, value in enumerate(values):
            if i == 1:
                cpu_start = time.process_time()
            start = time.perf_counter()
            handle, _config = optimiser.ask()
            optimiser.tell(handle, value)
            (seconds if i else first).append(time.perf_counter() - start)
        cpu += time.process_time() - cpu_start
    summary = timing.cycles(seconds, first, cpu)
    summary["seconds"]["max"] = float(f"{max(seconds):.4g}")
    return summary
