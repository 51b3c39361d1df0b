"""Milliseconds to hold 10,000 architectures against a budget of parameters and one of MACs.

    python -m bench.budgets

First the counts are compared with those of networks that were built. Then, in turn: the filter alone, on
columns as a ``feasible=`` function gets them, and with drawing and decoding the 10,000. One thread. The
median, least and greatest wall-clock time, and the median of the processor's.
"""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

import hpo_core as hpo
from hpo_core.nn import LightNet, measure_counts

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHITECTURES = 10_000
BUILT = 20
ROUNDS = 101
NET = LightNet((1, 28, 28), 10)
BUDGET = NET.budget(params=50_000, macs=5e6)


def check_counts(space: hpo.Space) -> None:
    """The formulas count what a network of the same configuration has."""
    study = hpo.Study(space, sampler="random", seed=1)
    for trial in study.ask(BUILT):
        measured = measure_counts(NET.build(trial.params), torch.zeros(1, *NET.shape))
        assert NET.counts(trial.params) == measured


def row(what: str, action: Callable[[], object]) -> str:
    wall, busy = [], []
    for _ in range(ROUNDS):
        started, worked = time.perf_counter(), time.thread_time()
        action()
        busy.append(1e3 * (time.thread_time() - worked))
        wall.append(1e3 * (time.perf_counter() - started))
    spread = f"{min(wall):.2f} to {max(wall):.2f}"
    return f"{what:<32}{statistics.median(wall):>8.2f}   {spread:<16}{statistics.median(busy):>8.2f}"


if __name__ == "__main__":
    space = hpo.Space(NET.parameters())
    check_counts(space)
    columns = space.sample(ARCHITECTURES, seed=0)
    kept = int(np.count_nonzero(BUDGET(columns)))
    about = f"{platform.machine()}, NumPy {np.__version__}, one thread"
    print(f"{ARCHITECTURES:,} architectures of up to {NET.stages} stages; {about}")
    print(f"{'':<32}{'ms':>8}   {f'of {ROUNDS} rounds':<16}{'CPU ms':>8}")
    print(row(f"both budgets ({kept:,} keep them)", lambda: BUDGET(columns)))
    print(row("drawn, decoded and filtered", lambda: BUDGET(space.sample(ARCHITECTURES, seed=0))))
