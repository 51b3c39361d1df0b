"""``python -m bench fronts``: how much of a front an optimiser finds, beside all rows on file.

Peers' runs that are not on file are made and kept. Ours are made again if other code made them, and kept with
``--record``. ``--rows auto gp gp+known tpe tpe+known random`` are ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bench import machine
from bench.quality import command
from bench.quality.fronts import problems, report, rows
from bench.quality.fronts.optimiser import ENTRIES
from bench.report import page
from bench.samplers import fronts as front_times

if TYPE_CHECKING:
    import argparse

    from bench.quality.statistics import Runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_row_arguments(parser, ENTRIES, ["gp", "tpe"], rows.SEEDS, "sampler")
    parser.add_argument(
        "--problems", nargs="+", choices=problems.NAMES, default=list(problems.NAMES), metavar="NAME"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)


def run(arguments: argparse.Namespace) -> int:
    if arguments.write:
        sections = [report.section(), front_times.section()]
        arguments.write.write_text(f"# Several objectives, {machine.today()}\n\n{page(sections)}")
        return 0
    settings = command.parse_settings(arguments.settings)
    held, _ = rows.recorded()
    failed = 0
    for name in arguments.rows:
        runs = measure(name, {} if ENTRIES[name].peer else settings, arguments)
        failed += runs.failed
        held[runs.label] = runs
    print("\n" + report.tables(held, arguments.problems))
    return 1 if failed else 0


def measure(name: str, settings: dict[str, Any], arguments: argparse.Namespace) -> Runs:
    """Run what is missing, and return the row."""
    entry = ENTRIES[name]
    last = min(arguments.first_seed + arguments.seeds, rows.seeds(name))
    wanted = rows.jobs(name, arguments.problems, range(arguments.first_seed, last), settings)
    keep = not settings and (arguments.record or name not in rows.OURS)
    path = rows.results_file(name) if keep else command.SCRATCH.with_name("fronts.jsonl")
    held = command.made(
        entry,
        wanted,
        path,
        keep=keep,
        n_workers=arguments.workers,
        entries=ENTRIES,
        module=rows.WORKER,
    )
    (runs,) = rows.collect(held).values()
    return runs
