"""Runs jobs in its own interpreter: one JSON job a line on stdin, one JSON record a line on stdout.

Started by the runner as ``PYTHON -m bench.quality.worker``, with the peer's Python where the peer
has one.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import machine
from bench.quality import problems
from bench.quality.optimiser import ENTRIES
from bench.quality.statistics import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.quality.optimiser import Entry, FailureAware
    from bench.quality.spec import Problem

Curve = list[tuple[int, float]]


@dataclass
class Outcome:
    """What a run has shown so far, trials numbered from 1.

    Attributes
    ----------
    curve : (trial, true value) wherever the incumbent changes: the best by *observed* value
    recommended : (trial, true value of what the optimiser would then use), at the checkpoints; empty if it
        recommends nothing of its own
    failures : numbers of the trials that fail
    """

    curve: Curve = field(default_factory=list)
    recommended: Curve = field(default_factory=list)
    failures: list[int] = field(default_factory=list)


def optimise(optimiser: FailureAware, problem: Problem, luck: list[float], outcome: Outcome) -> float:
    """Seconds spent in ask and tell; what happens is added to ``outcome``."""
    incumbent, seconds = float("inf"), 0.0
    for number, u in enumerate(luck, start=1):
        start = time.perf_counter()
        handle, config = optimiser.ask()
        seconds += time.perf_counter() - start
        fails = problem.fails(config, number, u)
        value = math.inf if fails else problem.observed(config, u)
        if fails:
            outcome.failures.append(number)
        elif value < incumbent:
            incumbent = value
            outcome.curve.append((number, problem.true_value(config)))
        start = time.perf_counter()
        if fails:
            optimiser.fail(handle)
        else:
            optimiser.tell(handle, value)
        seconds += time.perf_counter() - start
        if outcome.curve and number in (*CHECKPOINTS, len(luck)) and hasattr(optimiser, "recommend"):
            outcome.recommended.append((number, problem.true_value(optimiser.recommend())))
    return seconds


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One run; an exception is part of the record, with the curve up to it."""
    problem, entry = problems.get(job["problem"]), ENTRIES[job["optimiser"]]
    outcome = Outcome()
    error, suggest_seconds = None, None
    start = time.perf_counter()
    try:
        optimiser = entry.create(problem, job["seed"], job["settings"])
        suggest_seconds = optimise(optimiser, problem, luck_of(job), outcome)
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
    timed = {"seconds": time.perf_counter() - start, "suggest_seconds": suggest_seconds}
    return {**job, **asdict(outcome), **stamp(entry, timed), "error": error}


def luck_of(job: dict[str, Any]) -> list[float]:
    """A number in (0, 1) for each trial, the same for every optimiser."""
    drawn: list[float] = (
        np.random.default_rng(job["seed"]).random(job["trials"]).clip(1e-12, 1 - 1e-12).tolist()
    )
    return drawn


def stamp(entry: Entry, timed: dict[str, float | None]) -> dict[str, Any]:
    """Rounded seconds, and what a run was made with."""
    return {
        **{name: seconds and round(seconds, 4) for name, seconds in timed.items()},
        "versions": machine.versions(*entry.distributions),
        "machine": machine.describe(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "date": machine.today(),
    }


def serve(run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer every job on stdin with its record on stdout."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an optimiser prints is no answer
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(run)
