"""``python -m bench failures``: how often an optimiser fails, and what it finds, where trials can fail.

A row is an optimiser and how it hears of failures. Runs that are not on file are made, ours also if
other code made them; then come the tables, beside all rows on file.
"""

from __future__ import annotations

import argparse
import os

from bench import records
from bench.quality import command, failures_report, problems, runner
from bench.quality.failure_rows import ROWS, SEEDS, TRIALS, recorded, results_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["auto", "gp", "tpe"], metavar="NAME")
    parser.add_argument(
        "--problems", nargs="+", choices=problems.FAILURES, default=list(problems.FAILURES), metavar="NAME"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most; slow peers have fewer")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true", help="keep our runs in bench/results, as peers' are")


def run(arguments: argparse.Namespace) -> int:
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
