"""``python -m bench study``: trials per second of a whole study, beside Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import isolate, records
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

FILE = records.RESULTS / "study.jsonl"
SIDES = {"hpo_core": ("bench.study.hpo_core_side", None), "optuna": ("bench.study.optuna_side", "optuna")}
# (sampler, trials) for each side: the same trials for tpe, whose cost grows with them.
CASES = {"random": {"hpo_core": 20_000, "optuna": 2000}, "tpe": {"hpo_core": 1000, "optuna": 1000}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append the figures to results/study.jsonl")


def run(arguments: argparse.Namespace) -> int:
    rows, failed = [], False
    for sampler, trials in CASES.items():
        for library, (module, peer) in SIDES.items():
            if arguments.only_ours and peer:
                continue
            options = {"space": "mixed10", "sampler": sampler, "n": trials[library]}
            record = isolate.call(module, "optimize", peer=peer, **options)
            if arguments.record:
                records.append(FILE, isolate.stamped("study", "optimize", {**options, **record}))
            failed |= record.get("error") is not None
            speed = f"{record['per_second']:,.0f}" if "per_second" in record else record["error"]
            rows.append([sampler, library, f"{options['n']:,}", speed])
    header = ["sampler", "library", "trials", "trials/s"]
    print("optimize() with a trivial objective, 10 parameters, in memory\n\n" + markdown(header, rows))
    return int(failed)
