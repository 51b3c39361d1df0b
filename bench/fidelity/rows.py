"""The rows of the tables of early stopping, and what is on file of them.

A cell's regret is an array of ``EPOCHS`` entries: after each epoch spent, or, with many workers, after each
part of the horizon. It is 0 at the best loss known, of a large random sample of full trainings and of all
runs on file, and 1 at the median of that sample (``scale.json``).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import records
from bench.fidelity.optimiser import ENTRIES
from bench.quality import command, runner, statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.quality.statistics import Cell, Runs

WORKER = "bench.fidelity.worker"
EPOCHS = 2600  # 50 full trainings
CHECKPOINTS = (260, 650, 1300, 2600)
SEEDS = 3
# Where a run takes minutes: seeds, and epochs.
FEWER = {"smac3-hyperband": 1, "syne-mobster": 1, "syne-hypertune": 1}
SHORTER = {"syne-mobster": 650, "syne-hypertune": 650}
MANY = {"workers": 16}
OURS = tuple(name for name, entry in ENTRIES.items() if "hpo_core" in entry.distributions)
SCALE = Path(__file__).parent / "scale.json"


def seeds(name: str) -> int:
    return FEWER.get(name, SEEDS)


def results_file(name: str) -> Path:
    return command.file_of(ENTRIES[name], "fidelity", name)


def jobs(name: str, tasks: Sequence[str], seeds: Iterable[int], settings: dict[str, Any]) -> list[runner.Job]:
    return runner.jobs(name, settings, tasks, seeds, SHORTER.get(name, EPOCHS), ENTRIES)


def on_file() -> list[records.Record]:
    """The last record of each run."""
    files = sorted(records.RESULTS.glob("fidelity-*.jsonl"))
    return list(records.latest((r for path in files for r in records.read(path)), *runner.KEYS).values())


@functools.cache
def scale() -> dict[str, tuple[float, float]]:
    """Least loss, and median of the least losses, of a sample of full trainings, by task."""
    return {name: (held["best"], held["median"]) for name, held in json.loads(SCALE.read_text()).items()}


def best(held: Iterable[records.Record]) -> dict[str, float]:
    """The least loss known of each task."""
    known = {name: least for name, (least, _) in scale().items()}
    for r in held:
        if r["curve"]:
            known[r["problem"]] = min(known[r["problem"]], r["curve"][-1][1])
    return known


def collect(
    held: Iterable[records.Record], settings: Mapping[str, Any], known: Mapping[str, float]
) -> dict[str, Runs]:
    """Runs with exactly these settings, by optimiser in the order of the entries."""
    cells: dict[str, dict[Cell, NDArray[Any]]] = {}
    broken: dict[str, int] = {}
    for r in held:
        if r["settings"] != settings:
            continue
        task, name = r["problem"], r["optimiser"]
        least, median = known[task], scale()[task][1]
        loss = statistics.expand(r["curve"], r["trials"])
        regret = (np.where(np.isnan(loss), np.inf, loss) - least) / (median - least)
        cells.setdefault(name, {})[task, r["seed"]] = regret
        broken[name] = broken.get(name, 0) + (r["error"] is not None)
    return {name: statistics.Runs(name, cells[name], broken[name]) for name in ENTRIES if name in cells}
