"""The rows of the tables of fronts, and what is on file of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import records
from bench.quality import command, runner, statistics
from bench.quality.fronts import problems
from bench.quality.fronts.optimiser import ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.quality.statistics import Cell, Runs

WORKER = "bench.quality.fronts.worker"
SEEDS, TRIALS = 10, 100
# Where a run takes minutes: seeds, and trials.
FEWER, SHORTER = {"optuna-gp": 5, "smac3-parego": 5, "botorch-nehvi": 2}, {"botorch-nehvi": 50}
OURS = tuple(name for name, entry in ENTRIES.items() if "hpo_core" in entry.distributions)


def seeds(name: str) -> int:
    return FEWER.get(name, SEEDS)


def results_file(name: str) -> Path:
    return command.file_of(ENTRIES[name], "fronts", name)


def jobs(name: str, names: Sequence[str], seeds: Iterable[int], settings: dict[str, Any]) -> list[runner.Job]:
    return runner.jobs(name, settings, names, seeds, SHORTER.get(name, TRIALS), ENTRIES)


def recorded() -> tuple[dict[str, Runs], list[records.Record]]:
    """Every row on file with its defaults, in the order of the entries, and the records."""
    files = sorted(records.RESULTS.glob("fronts-*.jsonl"))
    held = [r for path in files for r in records.read(path) if not r["settings"]]
    runs = collect(held)
    return {name: runs[name] for name in ENTRIES if name in runs}, held


def collect(held: Iterable[records.Record]) -> dict[str, Runs]:
    """Runs by label, the last record of a cell counting. A run that broke off keeps what it had found."""
    runs: dict[str, dict[Cell, NDArray[Any]]] = {}
    broken: dict[str, int] = {}
    for r in records.latest(held, *runner.KEYS).values():
        label = statistics.label(r)
        volume = statistics.expand([(1, 0.0), *r["curve"]], r["trials"])
        runs.setdefault(label, {})[r["problem"], r["seed"]] = problems.get(r["problem"]).regret(volume)
        broken[label] = broken.get(label, 0) + (r["error"] is not None)
    return {label: statistics.Runs(label, cells, broken[label]) for label, cells in runs.items()}
