"""Runs jobs in its own interpreter, as ``bench.quality.worker`` does: a record holds losses against time.

``trials`` of a job are epochs. Times are rounded up to ``STEP`` of them, and losses to six digits. The
setting ``workers`` is of the run, not of the optimiser: with 16, the clock counts seconds, and the times of
the record are scaled so that the horizon is ``trials``.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any

from bench.fidelity import clock, tables
from bench.fidelity.optimiser import ENTRIES
from bench.quality.worker import serve, stamp

STEP = 13  # a quarter of a training; every checkpoint is a multiple


def thinned(curve: list[tuple[float, float]], scale: float) -> list[tuple[int, float]]:
    """The last loss in each ``STEP`` of the scaled time."""
    last = {STEP * math.ceil(at * scale / STEP - 1e-9): loss for at, loss in curve}
    return [(at, float(f"{loss:.6g}")) for at, loss in last.items()]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One run; an exception is part of the record, with what had been found."""
    task, entry = tables.get(job["problem"]), ENTRIES[job["optimiser"]]
    settings = dict(job["settings"])
    workers, epochs = settings.pop("workers", 1), job["trials"]
    ends = clock.unit_epochs(task) if workers == 1 else task.seconds
    horizon = float(epochs) if workers == 1 else clock.horizon(task, epochs, workers)
    found, error = clock.Found(), None
    start = time.perf_counter()
    try:
        # The protocol is this bench's own; ``Entry`` only imports the module.
        optimiser: Any = entry.create(task, job["seed"], settings)  # type: ignore[arg-type]
        clock.train(optimiser, task, found, workers=workers, ends=ends, horizon=horizon)
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
    timed = {"seconds": time.perf_counter() - start, "suggest_seconds": found.seconds}
    curve = thinned(found.curve, epochs / horizon)
    counts = {"epochs": found.epochs, "trainings": found.trainings, "full": found.full}
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {**job, "curve": curve, **counts, **stamp(entry, timed), "load": load, "error": error}


if __name__ == "__main__":
    serve(run)
