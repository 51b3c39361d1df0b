"""The rows of the table of failures, and what is on file of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import records
from bench.quality import command, statistics

if TYPE_CHECKING:
    from pathlib import Path

    from bench.quality.statistics import Runs

SEEDS, TRIALS = 20, 60


@dataclass(frozen=True)
class Row:
    """An optimiser, its settings, and how many seeds it has: few where runs take long or say little new."""

    optimiser: str
    settings: dict[str, Any] = field(default_factory=dict)
    seeds: int = SEEDS


ROWS = {
    "auto": Row("auto"),
    "gp": Row("gp"),
    "tpe": Row("tpe"),
    "random": Row("random"),
    "gp+penalty": Row("gp", {"failures": "penalty"}, seeds=5),
    "tpe+penalty": Row("tpe", {"failures": "penalty"}, seeds=5),
    "plain-random": Row("plain-random"),
    "optuna-tpe": Row("optuna-tpe"),
    "optuna-tpe+pruned": Row("optuna-tpe", {"failures": "pruned"}),
    "optuna-gp": Row("optuna-gp", seeds=5),
    "optuna-gp+constraint": Row("optuna-gp", {"failures": "constraint"}, seeds=5),
    "smac3": Row("smac3", {"n_trials": TRIALS}, seeds=5),
}


def results_file(optimiser: str) -> Path:
    return command.file_of(command.ENTRIES[optimiser], "failures", optimiser)


def recorded() -> tuple[dict[str, Runs], list[records.Record]]:
    """Every row on file, and the records."""
    held = [r for path in sorted(records.RESULTS.glob("failures-*.jsonl")) for r in records.read(path)]
    runs = statistics.collect(held)
    labels = {name: statistics.label(vars(row)) for name, row in ROWS.items()}
    return {name: runs[label] for name, label in labels.items() if label in runs}, held
