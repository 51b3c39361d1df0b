"""How long a running trial waits for an answer, and what a trial that reports without end costs the others.

    python -m bench.channel [place ...]

Latency is ``trial.report`` and ``trial.should_stop`` together, as the objective measures them, the median of
200. "Beside" is the same, 50 times, while the other worker runs trials of 10 ms and each suggestion takes
300 ms. Then one trial reports 10,000 times without a pause beside trials of 10 ms in the other worker: how
long its objective takes, how long from asking until the study has the last report (a worker's start
included), and the longest time in which no trial ended.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from bench.executors import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

N_ROUND_TRIPS = 200
N_BESIDE = 50
N_REPORTS = 10_000
SUGGESTION_SECONDS = 0.3
PLACES = ("serial", "threads", "processes", "dask", "ray")


class Slow(hpo.RandomSampler):
    """Takes its time over each suggestion, as a sampler with a large model does."""

    name = "slow"
    quick = False

    def ask(self, history: Any, first: int, n: int) -> Any:
        time.sleep(SUGGESTION_SECONDS)
        return super().ask(history, first, n)


def round_trips(trial: Any, wait: float, n: int = N_ROUND_TRIPS) -> float:
    took = []
    for step in range(n):
        started = time.perf_counter()
        trial.report(step, 0.5)
        trial.should_stop()
        took.append(time.perf_counter() - started)
        time.sleep(wait)
    trial.note(took=took)
    return 0.0


def round_trips_first(trial: Any) -> float:
    if trial.number:
        time.sleep(0.01)
        return 0.0
    time.sleep(2 * SUGGESTION_SECONDS)  # until the other worker is busy too
    return round_trips(trial, 0.02, N_BESIDE)


def reporting_first(trial: Any) -> float:
    started = time.perf_counter()
    if trial.number == 0:
        for step in range(N_REPORTS):
            trial.report(step, 0.5)
        trial.note(took=time.perf_counter() - started)
    else:
        time.sleep(0.01)
    return 0.0


@contextlib.contextmanager
def place(name: str) -> Iterator[Any]:
    """What ``executor=`` takes, with two workers but in this thread."""
    if name == "serial":
        yield None
    elif name == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        with engine(name) as executor:
            yield executor


@contextlib.contextmanager
def study(*, stored: bool, sampler: Any = "random") -> Iterator[hpo.Study]:
    with tempfile.TemporaryDirectory() as folder:
        options = {"storage": f"{folder}/s.db", "name": "s"} if stored else {}
        yield hpo.Study({"x": hpo.Float(-1.0, 1.0)}, sampler=sampler, seed=0, **options)


def latency(executor: Any, wait: float, *, stored: bool) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds, after a trial that warms up."""
    with study(stored=stored) as made:
        made.optimize(partial(round_trips, wait=wait), n_trials=2, executor=executor)
        return _quantiles(made.trials[1].notes["took"])


def beside(executor: Any, *, stored: bool) -> tuple[float, float]:
    """The same while the study is busy with suggestions for the other worker."""
    with study(stored=stored, sampler=Slow()) as made:

        def end(study: hpo.Study, trial: hpo.Trial) -> None:
            if trial.number == 0:
                study.stop()

        made.optimize(round_trips_first, n_trials=1000, executor=executor, callbacks=[end])
        return _quantiles(made.trials[0].notes["took"])


def _quantiles(took: list[float]) -> tuple[float, float]:
    took = sorted(took)
    return 1e3 * statistics.median(took), 1e3 * took[int(0.95 * len(took))]


def flood(executor: Any, *, stored: bool) -> tuple[float, float, float]:
    """Seconds of the objective, until the study has the last report, and of the others' longest pause."""
    with study(stored=stored) as made:
        ended: dict[int, float] = {}

        def note(study: hpo.Study, trial: hpo.Trial) -> None:
            ended[trial.number] = time.time()
            if trial.number == 0:
                study.stop()

        made.optimize(reporting_first, n_trials=N_REPORTS, executor=executor, callbacks=[note])
        assert len(made.trials[0].reports) == N_REPORTS
        times = sorted(ended.values())
        pauses = [after - before for before, after in pairwise(times)]
        return made.trials[0].notes["took"], ended[0] - made.history.started[0], max(pauses, default=0.0)


def main() -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("distributed", "ray"))
    print(f"median of {N_ROUND_TRIPS} round trips; {os.cpu_count()} cores, {platform.machine()}, {versions}")
    print(f"load average before {os.getloadavg()[0]:.1f}")
    print("                    report -> answer, ms    beside, ms              10,000 reports, s")
    print(
        f"{'place':10} {'study':8} {'median':>8} {'p95':>8}   {'median':>8} {'p95':>8}   "
        f"{'objective':>10} {'recorded':>9} {'pause':>7}"
    )
    for name in sys.argv[1:] or PLACES:
        with place(name) as executor:
            for stored in (False, True):
                middle, late = latency(executor, 0.005, stored=stored)
                slow = (math.nan, math.nan) if executor is None else beside(executor, stored=stored)
                told, recorded, pause = flood(executor, stored=stored)
                kind = "SQLite" if stored else "memory"
                pauses = f"{pause:7.2f}" if executor is not None else "      -"
                print(
                    f"{name:10} {kind:8} {middle:8.3f} {late:8.3f}   {slow[0]:8.3f} {slow[1]:8.3f}   "
                    f"{told:10.2f} {recorded:9.2f} {pauses}",
                    flush=True,
                )
    print(f"load average after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
