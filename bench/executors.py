"""How much of the time two workers are at work on objectives of 10 ms.

    python -m bench.executors [engine ...]

1,000 trials of ``time.sleep(0.01)`` per round, suggested by TPE. Utilisation is objective seconds, as the
workers measure them, over 2 x the seconds from the start of the first objective to the end of the last.
"""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import hpo_core as hpo

if TYPE_CHECKING:
    from collections.abc import Iterator

N_TRIALS = 1000
ROUNDS = 5


def objective(trial: Any) -> float:
    started = time.time()
    time.sleep(0.01)
    trial.note(start=started, end=time.time())
    return trial["x"] ** 2


@contextlib.contextmanager
def engine(name: str) -> Iterator[Any]:
    """What ``executor=`` takes, with two workers."""
    if name == "processes":
        yield 2
    elif name == "pool":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    elif name == "dask":
        from distributed import Client, LocalCluster

        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client
    else:
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield "ray"
        ray.shutdown()


def utilisation(executor: Any, seed: int) -> float:
    study = hpo.Study({"x": hpo.Float(-1.0, 1.0)}, sampler="tpe", seed=seed)
    study.optimize(objective, n_trials=N_TRIALS, executor=executor)
    notes = study.trials.notes
    wall = max(note["end"] for note in notes) - min(note["start"] for note in notes)
    return sum(note["end"] - note["start"] for note in notes) / (2 * wall)


def main() -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("distributed", "ray"))
    print(f"{N_TRIALS:,} trials of 10 ms on 2 workers, {ROUNDS} rounds; {platform.machine()}, {versions}")
    print(f"load average before {os.getloadavg()[0]:.1f}")
    print(f"{'executor':12} {'median':>8} {'best':>8} {'least':>8}")
    for name in sys.argv[1:] or ("processes", "pool", "dask", "ray"):
        with engine(name) as executor:
            seen = [utilisation(executor, seed) for seed in range(ROUNDS)]
        print(f"{name:12} {statistics.median(seen):8.1%} {max(seen):8.1%} {min(seen):8.1%}", flush=True)
    print(f"load average after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
