"""``python -m bench study``: trials per second of a whole study, beside Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import isolate, machine, records
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

FILE = records.RESULTS / "study.jsonl"
SIDES = {"hpo_core": ("bench.study.hpo_core_side", None), "optuna": ("bench.study.optuna_side", "optuna")}
SPACE = "mixed10"
# (sampler, trials) for each side: the same trials for tpe, whose cost grows with them.
CASES = {"random": {"hpo_core": 20_000, "optuna": 2000}, "tpe": {"hpo_core": 1000, "optuna": 1000}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append two passes to results/study.jsonl")


def run(arguments: argparse.Namespace) -> int:
    rows: list[list[str]] = []
    status = max(_measure(arguments, rows) for _ in range(2 if arguments.record else 1))
    if arguments.record:
        records.keep_passes(FILE)
    header = ["sampler", "library", "trials", "trials/s"]
    print("optimize() with a trivial objective, 10 parameters, in memory\n\n" + markdown(header, rows))
    return status


def _measure(arguments: argparse.Namespace, rows: list[list[str]]) -> int:
    """One pass over what is not on file twice; both sides of a ratio are measured in one pass."""
    failed = False
    sides = {k: side for k, side in SIDES.items() if not (arguments.only_ours and side[1])}
    for sampler, trials in CASES.items():
        if arguments.record and all(_on_file(sampler, library) for library in sides):
            continue
        for library, (module, peer) in sides.items():
            options: dict[str, Any] = {"space": SPACE, "sampler": sampler, "n": trials[library]}
            record = isolate.call(module, "optimize", peer=peer, **options)
            if arguments.record:
                records.append(FILE, isolate.stamped("study", "optimize", {**options, **record}))
            failed |= record.get("error") is not None
            speed = f"{record['per_second']:,.0f}" if "per_second" in record else record["error"]
            rows.append([sampler, library, f"{options['n']:,}", speed])
    return int(failed)


def _on_file(sampler: str, library: str) -> bool:
    """Twice by this machine: ours by the same code, a peer's whatever its date."""
    row = {"space": SPACE, "sampler": sampler, "n": CASES[sampler][library], "library": library}
    versions = None if SIDES[library][1] else machine.versions("hpo_core", "numpy")
    return records.is_done(records.read(FILE), row, versions)
