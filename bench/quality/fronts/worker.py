"""Runs jobs in its own interpreter, as ``bench.quality.worker`` does: a record holds the hypervolume."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.quality.fronts import problems
from bench.quality.fronts.hypervolume import hypervolume
from bench.quality.fronts.optimiser import ENTRIES
from bench.quality.worker import luck_of, serve, stamp

if TYPE_CHECKING:
    from bench.quality.fronts.optimiser import Optimiser
    from bench.quality.fronts.spec import Problem
    from bench.quality.worker import Curve


class Found:
    """The feasible trials' true objectives, and (trial, hypervolume) wherever it grows."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._points: list[Any] = []
        self.curve: Curve = []

    def add(self, number: int, outcome: list[float]) -> None:
        point = self._problem.point(outcome)
        if point is None:
            return
        self._points.append(point)
        volume = hypervolume(np.array(self._points), self._problem.reference)
        if volume > (self.curve[-1][1] if self.curve else 0.0):
            self.curve.append((number, volume))

    @property
    def n_feasible(self) -> int:
        return len(self._points)


def optimise(optimiser: Optimiser, problem: Problem, luck: list[float], found: Found) -> float:
    """Seconds spent in ask and tell."""
    seconds = 0.0
    for number, u in enumerate(luck, start=1):
        start = time.perf_counter()
        handle, config = optimiser.ask()
        seconds += time.perf_counter() - start
        outcome = problem.observed(config, u)
        found.add(number, problem.true_outcome(config))
        start = time.perf_counter()
        optimiser.tell(handle, outcome)
        seconds += time.perf_counter() - start
    return seconds


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One run; an exception is part of the record, with the curve up to it."""
    problem, entry = problems.get(job["problem"]), ENTRIES[job["optimiser"]]
    found = Found(problem)
    error, suggest_seconds = None, None
    start = time.perf_counter()
    try:
        optimiser = entry.create(problem, job["seed"], job["settings"])
        suggest_seconds = optimise(optimiser, problem, luck_of(job), found)
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
    timed = {"seconds": time.perf_counter() - start, "suggest_seconds": suggest_seconds}
    return {**job, "curve": found.curve, "feasible": found.n_feasible, **stamp(entry, timed), "error": error}


if __name__ == "__main__":
    serve(run)
