"""``python -m bench failures``: how often an optimiser fails, and what it finds, where trials can fail.

A row is an optimiser and how it hears of failures. Runs that are not on file are made, ours also if
other code made them; then come the tables, beside all rows on file.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import records
from bench.quality import command, problems, runner, statistics

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["auto", "gp", "tpe"], metavar="NAME")
    parser.add_argument(
        "--problems", nargs="+", choices=problems.FAILURES, default=list(problems.FAILURES), metavar="NAME"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most; slow peers have fewer")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true", help="keep our runs in bench/results, as peers' are")


def results_file(optimiser: str) -> Path:
    beside = command.results_file(optimiser)
    return beside.with_name(beside.name.replace("quality-", "failures-"))


def recorded() -> tuple[dict[str, Runs], list[records.Record]]:
    """Every row on file, and the records."""
    held = [r for path in sorted(records.RESULTS.glob("failures-*.jsonl")) for r in records.read(path)]
    runs = statistics.collect(held)
    labels = {name: statistics.label(vars(row)) for name, row in ROWS.items()}
    return {name: runs[label] for name, label in labels.items() if label in runs}, held


def run(arguments: argparse.Namespace) -> int:
    from bench.quality import failures_report

    failed, (held, _) = 0, recorded()
    for name in arguments.rows:
        row = ROWS[name]
        asked = argparse.Namespace(**{**vars(arguments), "trials": TRIALS})
        asked.seeds = min(arguments.seeds, row.seeds - arguments.first_seed)
        keep = arguments.record or command.ENTRIES[row.optimiser].peer
        path = results_file(row.optimiser) if keep else command.SCRATCH
        held[name] = command.measure(row.optimiser, row.settings, asked, path=path)
        failed += held[name].failed
        if keep:
            records.compact(path, *runner.KEYS)
    ordered = {name: held[name] for name in ROWS if name in held}
    print("\n" + failures_report.tables(ordered, arguments.problems))
    return 1 if failed else 0
