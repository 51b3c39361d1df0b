"""hpo_core's samplers through the public ``ask`` and ``tell``."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import hpo_core as hpo
from bench import machine, timing
from bench.quality.peers.hpo_core_study import declare
from bench.samplers import cases, loop

# As many threads as the peers have.
hpo.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
PAGE = os.sysconf("SC_PAGE_SIZE")
REPEATS = 7


def _space(name: str) -> Any:
    return hpo.Space({p.name: declare(p) for p in cases.SPACES[name]})


def study_of(space: str, n: int, sampler: str = "tpe") -> Any:
    """A study that holds the bench's history of n trials."""
    study = hpo.Study(_space(space), sampler=sampler, seed=0)
    for config, value in zip(*cases.history(space, n), strict=True):
        study.add(config, value)
    return study


class Side:
    """A study that holds n trials, as the loop wants it."""

    def __init__(self, space: str, n: int, sampler: str) -> None:
        self._study = study_of(space, n, sampler)
        self.tell = self._study.tell

    def ask(self) -> tuple[Any, dict[str, Any]]:
        trial = self._study.ask()
        return trial, trial.params


def cycle(space: str, n: int, cycles: int, n_blocks: int, sampler: str = "tpe") -> dict[str, Any]:
    """Seconds of ask -> all parameters -> tell, from n trials on."""
    values = cases.results(space, cycles // n_blocks + 1)
    return loop.cycles(lambda: Side(space, n, sampler), values, n_blocks) | stamp()


OBJECTIVES = ("first", "second")


def front_study(space: str, sampler: str) -> Any:
    metrics = {name: hpo.Minimize() for name in OBJECTIVES}
    return hpo.Study(_space(space), metrics=metrics, sampler=sampler, seed=0)


class FrontSide(Side):
    """A study of two objectives that holds n trials."""

    def __init__(self, space: str, n: int, sampler: str) -> None:
        self._study = front_study(space, sampler)
        for config, outcome in zip(*cases.front_history(space, n), strict=True):
            self._study.add(config, outcome)
        self.tell = self._study.tell


def front_cycle(space: str, n: int, cycles: int, n_blocks: int, sampler: str) -> dict[str, Any]:
    """Seconds of ask -> all parameters -> tell of two objectives, from n trials on."""
    outcomes = cases.front_history(space, cycles // n_blocks + 1)[1]
    return loop.cycles(lambda: FrontSide(space, n, sampler), outcomes, n_blocks) | stamp()


def many_fronts(space: str, n: int, sampler: str) -> dict[str, Any]:
    """Seconds of CPU for n asks, with all parameters, and n tells of two objectives, from an empty study."""
    study, seconds = front_study(space, sampler), 0.0
    for _ in range(n):
        start = time.process_time()
        trial = study.ask()
        config = trial.params
        seconds += time.process_time() - start
        outcome = cases.outcome(config)
        start = time.process_time()
        study.tell(trial, outcome)
        seconds += time.process_time() - start
    return {"total": round(seconds, 3), **stamp()}


def ask_batch(space: str, n: int, m: int) -> dict[str, Any]:
    """Suggestions a second of ``ask(m)`` and seconds of telling them, the history at n to n + 7 m."""
    study = study_of(space, n)
    study.tell(batch := study.ask(m), np.linspace(1.0, 2.0, len(batch)))
    asks, tells = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        batch = study.ask(m)
        asks.append(time.perf_counter() - start)
        values = np.linspace(1.0, 2.0, len(batch))
        tells.append(timing.clock(lambda: study.tell(batch, values)))  # noqa: B023 - called at once
    return {
        "ask": timing.spread(asks),
        "tell": timing.spread(tells),
        "per_second": m / float(np.median(asks)),
        **stamp(),
    }


def memory(space: str, n: int) -> dict[str, Any]:
    """Resident bytes at n trials over the bytes of the history's columns."""
    study_of(space, 100).ask()  # what is allocated once
    before = resident()
    study = study_of(space, n)
    loaded = resident()
    study.tell(study.ask(), 1.0)
    asked = resident()
    history = study.history
    columns = sum(getattr(history, name).nbytes for name in ("x", "y", "state", "cost", "cursor"))
    return {
        "columns": columns,
        "study_over_columns": (asked - before) / columns,
        "sampler_over_columns": (asked - loaded) / columns,
        **stamp(),
    }


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def one_by_one(space: str, n: int, sampler: str) -> dict[str, Any]:
    """Trials a second over n trials from an empty study, every parameter read."""
    study = hpo.Study(_space(space), sampler=sampler, seed=0)

    def run() -> None:
        for _ in range(n):
            trial = study.ask()
            _ = trial.params
            study.tell(trial, 0.5)

    return {"per_second": n / timing.clock(run), **stamp()}


def batches(space: str, m: int, n_batches: int, sampler: str) -> dict[str, Any]:
    """Trials a second in batches of m from an empty study, every column read."""
    names = [p.name for p in cases.SPACES[space]]
    study = hpo.Study(_space(space), sampler=sampler, seed=0)
    values = np.linspace(0.0, 1.0, m)

    def run() -> None:
        for _ in range(n_batches):
            batch = study.ask(m)
            for name in names:
                _ = batch[name]
            study.tell(batch, values)

    return {"per_second": m * n_batches / timing.clock(run), **stamp()}


def stamp() -> dict[str, Any]:
    from hpo_core import native

    return {
        "library": "hpo_core",
        "versions": machine.versions("hpo_core", "numpy"),
        "threads": native.get_num_threads(),
    }
