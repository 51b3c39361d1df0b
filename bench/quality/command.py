"""``python -m bench quality``: run an optimiser on the suite and compare it with others."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments, machine, records
from bench.quality import problems, runner, statistics, tables, tabular
from bench.quality.optimiser import ENTRIES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from bench.quality.optimiser import Entry

SEEDS, TRIALS = 20, 100
PEERS = tuple(name for name, entry in ENTRIES.items() if entry.peer)
SCRATCH = tabular.CACHE / "runs.jsonl"  # what was run while developing; not checked in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument("--optimiser", choices=sorted(ENTRIES), default="tpe")
    parser.add_argument(
        "--against",
        nargs="*",
        choices=sorted(ENTRIES),
        metavar="NAME",
        help="run these too, and compare; without it, compare with what peers have on file",
    )
    parser.add_argument("--fresh", action="store_true", help="run again what is on file")
    parser.add_argument("--record", action="store_true", help="keep the runs in bench/results")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="an option of the sampler; VALUE is a Python literal, or else a string",
    )
    parser.add_argument(
        "--problems",
        nargs="+",
        choices=(*problems.NAMES, *problems.NOISY),
        default=list(problems.NAMES),
        metavar="NAME",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)


def add_row_arguments(
    parser: argparse.ArgumentParser,
    entries: Mapping[str, Entry],
    default: Sequence[str],
    seeds: int,
    own: str,
) -> None:
    """Add the arguments of benchmarks that keep a row of runs for each optimiser; ``own`` has options."""
    parser.add_argument("--rows", nargs="*", choices=entries, default=default, metavar="NAME")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help=f"an option of our {own}; VALUE is a Python literal, or else a string",
    )
    parser.add_argument("--seeds", type=int, default=seeds, help="at most; slow peers have fewer")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="only write what is on file there, as a record"
    )
    parser.add_argument("--record", action="store_true", help="keep our runs in bench/results, as peers' are")


def made(
    entry: Entry,
    wanted: Sequence[runner.Job],
    path: Path,
    *,
    keep: bool,
    n_workers: int,
    entries: Mapping[str, Entry],
    module: str,
) -> list[records.Record]:
    """Run what is missing on ``path``, and return the records of what is wanted."""
    versions = None if entry.peer else machine.versions(*entry.distributions)
    left = runner.missing(wanted, path, versions)
    runner.run(left, path, n_workers=n_workers, entries=entries, module=module)
    if keep:
        records.compact(path, *runner.KEYS)
    on_file, asked = (records.latest(r, *runner.KEYS) for r in (records.read(path), wanted))
    return [on_file[key] for key in asked if key in on_file]


def literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    for pair in pairs:
        if "=" not in pair:
            msg = f"--set takes KEY=VALUE, got {pair!r}"
            raise SystemExit(msg)
    return {key: literal(value) for key, _, value in (pair.partition("=") for pair in pairs)}


def results_file(optimiser: str) -> Path:
    return file_of(ENTRIES[optimiser], "quality", optimiser)


def file_of(entry: Entry, kind: str, name: str) -> Path:
    """Where the checked-in runs of a kind are: one file for each peer's version, one for ours."""
    if entry.peer is None:
        ours = "hpo_core" in entry.distributions
        return records.RESULTS / f"{kind}-{'hpo_core' if ours else name}.jsonl"
    pin = (environments.REQUIREMENTS / f"{entry.peer}.txt").read_text().split()[0]
    return records.RESULTS / f"{kind}-{entry.peer}-{pin.split('==')[1]}.jsonl"


def measure(
    optimiser: str,
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    *,
    path: Path,
    fresh: bool = False,
) -> statistics.Runs:
    """Run what is missing on ``path`` and return the runs of this optimiser with these settings.

    Peers' runs count whatever the date; ours only if the same code made them.
    """
    wanted = _jobs(optimiser, settings, arguments)
    entry = ENTRIES[optimiser]
    versions = machine.versions(*entry.distributions) if entry.peer is None else None
    left = wanted if fresh else runner.missing(wanted, path, versions)
    runner.run(left, path, n_workers=arguments.workers)
    return on_file(optimiser, settings, arguments, path=path)


def on_file(
    optimiser: str, settings: dict[str, Any], arguments: argparse.Namespace, *, path: Path
) -> statistics.Runs:
    """What ``path`` holds of the runs that are asked for."""
    held = records.latest(records.read(path), *runner.KEYS)
    wanted = records.latest(_jobs(optimiser, settings, arguments), *runner.KEYS)
    label = statistics.label({"optimiser": optimiser, "settings": settings})
    collected = statistics.collect(held[key] for key in wanted if key in held)
    return collected.get(label, statistics.Runs(label, {}, 0))


def _jobs(optimiser: str, settings: dict[str, Any], arguments: argparse.Namespace) -> list[runner.Job]:
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    return runner.jobs(optimiser, settings, arguments.problems, seeds, arguments.trials)


def baseline(name: str, arguments: argparse.Namespace) -> statistics.Runs:
    """An optimiser's runs with its defaults: a peer's from the results, else made now.

    Seeds beyond the checked-in ones stay in the scratch file.
    """
    checked_in = ENTRIES[name].peer and arguments.first_seed + arguments.seeds <= SEEDS
    return measure(name, {}, arguments, path=results_file(name) if checked_in else SCRATCH)


def run(arguments: argparse.Namespace) -> int:
    settings = parse_settings(arguments.settings)
    keep = arguments.record or ENTRIES[arguments.optimiser].peer
    path = results_file(arguments.optimiser) if keep else SCRATCH
    ours = measure(arguments.optimiser, settings, arguments, path=path, fresh=arguments.fresh)
    if keep:
        records.compact(path, *runner.KEYS)
    for name in PEERS if arguments.against is None else arguments.against:
        if name != arguments.optimiser or settings:
            theirs = (
                on_file(name, {}, arguments, path=results_file(name))
                if arguments.against is None
                else baseline(name, arguments)
            )
            print("\n" + tables.comparison(ours, theirs) + "\n")
            if statistics.shared_cells(ours, theirs):
                print(tables.recommendations([ours, theirs]))
    return 1 if ours.failed else 0
