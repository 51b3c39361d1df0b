"""Thousands of small studies at once, beside loops over studies: ``python -m bench.pool``.

Each study has 5 floats and 50 trials, told one by one; the value is a sphere's. Each row has a process of
its own.

rounds      every study is asked and told once in each; during the first 10 it proposes Sobol points, or
            random ones with Optuna, then TPE's choice
ask         suggestions per second, the values of all parameters included
suggested   microseconds per suggestion of the rounds 11 to 50: of the clock times the threads, and of the CPU
memory      growth of the process, in megabytes
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import isolate, machine, records
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = records.RESULTS / "pool.jsonl"
PARAMETERS, ROUNDS, STARTUP = 5, 50, 10
SIZES = (100, 1_000, 10_000)
LOOP, OPTUNA = 200, 10  # studies of a loop: a sample, whose time is proportional to their number
NAMES = [f"x{i}" for i in range(PARAMETERS)]
OPTIMUM = 0.4

Round = tuple[float, float, float]  # seconds of asking, of telling, and CPU seconds of asking


def pool(n: int, threads: int) -> records.Record:
    """All studies in one call."""
    import hpo_core as hpo

    hpo.set_num_threads(threads)
    space = {name: hpo.Float(0.0, 1.0) for name in NAMES}
    hpo.StudyPool(space, 1).ask()  # loads what it needs

    def rounds() -> Iterator[Round]:
        studies = hpo.StudyPool(space, n, seed=0)
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            batch = studies.ask()
            columns = [batch[name] for name in NAMES]
            asked, cpu_asked = time.perf_counter(), time.process_time()
            values = sum((column - OPTIMUM) ** 2 for column in columns)
            computed = time.perf_counter()
            studies.tell(batch, values)
            yield asked - start, time.perf_counter() - computed, cpu_asked - cpu

    return measured(rounds, n)


def loop(n: int) -> records.Record:
    """A study of hpo_core each."""
    import hpo_core as hpo

    space = {name: hpo.Float(0.0, 1.0) for name in NAMES}

    def rounds() -> Iterator[Round]:
        studies = [hpo.Study(space, sampler="tpe", seed=seed) for seed in range(n)]
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            trials = [study.ask() for study in studies]
            points = [[trial[name] for name in NAMES] for trial in trials]
            asked, cpu_asked = time.perf_counter(), time.process_time()
            values = ((np.array(points) - OPTIMUM) ** 2).sum(axis=1).tolist()
            computed = time.perf_counter()
            for study, trial, value in zip(studies, trials, values, strict=True):
                study.tell(trial, value)
            yield asked - start, time.perf_counter() - computed, cpu_asked - cpu

    return measured(rounds, n)


def optuna(n: int) -> records.Record:
    """A study of Optuna each."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def rounds() -> Iterator[Round]:
        studies = [optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)) for seed in range(n)]
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            trials = [study.ask() for study in studies]
            points = [[trial.suggest_float(name, 0.0, 1.0) for name in NAMES] for trial in trials]
            asked, cpu_asked = time.perf_counter(), time.process_time()
            values = ((np.array(points) - OPTIMUM) ** 2).sum(axis=1).tolist()
            computed = time.perf_counter()
            for study, trial, value in zip(studies, trials, values, strict=True):
                study.tell(trial, value)
            yield asked - start, time.perf_counter() - computed, cpu_asked - cpu

    return measured(rounds, n)


def measured(rounds: Callable[[], Iterator[Round]], n: int) -> records.Record:
    """What the rounds of ``n`` studies took."""
    before = resident()
    ask, tell, cpu = np.array([*rounds()]).T
    return {
        "studies": n,
        "seconds": {
            "ask": ask.round(7).tolist(),
            "tell": tell.round(7).tolist(),
            "cpu": cpu.round(7).tolist(),
        },
        "megabytes": round(resident() - before, 1),
        "versions": machine.versions("optuna", "hpo_core", "numpy"),
    }


def resident() -> float:
    """Memory of this process in megabytes; NaN where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def least(repeats: list[records.Record]) -> records.Record:
    """The least time of each round, the figure least touched by others, and the most memory."""
    seconds = {
        key: np.min([each["seconds"][key] for each in repeats], axis=0).tolist()
        for key in ("ask", "tell", "cpu")
    }
    return repeats[0] | {"seconds": seconds, "megabytes": max(each["megabytes"] for each in repeats)}


def row(record: records.Record) -> list[str]:
    """A line of the table."""
    n, threads, seconds = record["studies"], record.get("threads", 1), record["seconds"]
    ask, cpu = np.array(seconds["ask"]), np.array(seconds["cpu"])
    modelled = slice(STARTUP, None)
    return [
        record["case"],
        f"{n:,}",
        str(threads),
        f"{n * ROUNDS / ask.sum():,.0f}",
        f"{n * (ROUNDS - STARTUP) / ask[modelled].sum():,.0f}",
        f"{threads * ask[modelled].mean() / n * 1e6:,.2f}",
        f"{cpu[modelled].mean() / n * 1e6:,.2f}",
        f"{np.mean(seconds['tell']) / n * 1e6:,.2f}",
        f"{record['megabytes']:,.0f}",
    ]


HEADER = (
    "", "studies", "threads", "ask / s, all rounds", "ask / s, rounds 11 to 50", "suggested, µs x threads",
    "suggested, µs of CPU", "tell, µs", "memory, MB",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pool", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--repeats", type=int, default=5, help="of so many runs the least time of each round is shown"
    )
    parser.add_argument("--alone", action="store_true", help="without the loops")
    parser.add_argument("--record", action="store_true", help="keep the figures in bench/results")
    options = parser.parse_args()
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("StudyPool", "pool", {"n": n, "threads": threads})
        for n in options.sizes
        for threads in options.threads
    ]
    if not options.alone:
        cases += [("loop over Study", "loop", {"n": LOOP}), ("loop over Optuna", "optuna", {"n": OPTUNA})]
    found: dict[int, list[records.Record]] = {i: [] for i in range(len(cases))}
    for _ in range(options.repeats):
        for i, (case, function, arguments) in enumerate(cases):
            record = isolate.stamped(
                "pool", case, arguments | isolate.call("bench.pool", function, **arguments)
            )
            if record["error"] is not None:
                raise SystemExit(record["error"])
            found[i].append(record)
            if options.record:
                records.append(FILE, record)
    print(markdown(HEADER, [row(least(each)) for each in found.values()]))


if __name__ == "__main__":
    main()
