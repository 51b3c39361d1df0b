"""``python -m bench fidelity``: the best training found against epochs spent, beside all rows on file.

Peers' runs that are not on file are made and kept. Ours are made again if other code made them, and kept with
``--record``. ``--workers 16`` simulates so many, against seconds. Without the learning curves nothing is run,
and what is on file is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import records
from bench.fidelity import report, rows, tables
from bench.fidelity.optimiser import ENTRIES
from bench.quality import command, runner

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_row_arguments(parser, ENTRIES, ["gp"], rows.SEEDS, "scheduler or sampler")
    parser.add_argument(
        "--tasks", nargs="+", choices=tables.NAMES, default=list(tables.NAMES), metavar="NAME"
    )
    parser.add_argument(
        "--workers", type=int, choices=(1, 16), default=1, help="simulated workers of a study"
    )
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time on this machine")


def run(arguments: argparse.Namespace) -> int:
    if arguments.write:
        arguments.write.write_text(report.record())
        return 0
    if why := tables.missing():
        print(f"bench: no trainings: {why}")
        print(report.tables(rows.on_file()))
        return 0
    settings = command.parse_settings(arguments.settings)
    made: list[records.Record] = []
    for name in arguments.rows:
        made += measure(name, {} if ENTRIES[name].peer else settings, arguments)
    held = records.latest([*rows.on_file(), *made], *runner.KEYS)
    print("\n" + report.tables(list(held.values()), settings))
    return 1 if any(r["error"] for r in made) else 0


def measure(name: str, settings: dict[str, Any], arguments: argparse.Namespace) -> list[records.Record]:
    """Run what is missing of a row, and return its records."""
    entry = ENTRIES[name]
    keep = not settings and (arguments.record or name not in rows.OURS)
    last = min(arguments.first_seed + arguments.seeds, rows.seeds(name))
    many = rows.MANY if arguments.workers > 1 else {}
    wanted = rows.jobs(name, arguments.tasks, range(arguments.first_seed, last), {**settings, **many})
    path = rows.results_file(name) if keep else command.SCRATCH.with_name("fidelity.jsonl")
    return command.made(
        entry,
        wanted,
        path,
        keep=keep,
        n_workers=arguments.processes,
        entries=ENTRIES,
        module=rows.WORKER,
    )
