"""``python -m bench stored``: trials per second that are durable when told, beside Optuna's storages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from bench import isolate, records
from bench.study import postgres
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from bench.records import Record

FILE = records.RESULTS / "stored.jsonl"
SIDES = {"hpo_core": ("bench.study.hpo_core_stored", None), "optuna": ("bench.study.optuna_stored", "optuna")}
SPACE = "mixed10"
CASES = {"cycle": "ask, objective, tell", "tell": "tell, one by one", "tells": "tell, 1,000 at once"}
# Trials of a block: a second or so, five blocks a row.
TRIALS = {
    ("hpo_core", "memory"): {"cycle": 10_000, "tell": 10_000, "tells": 100_000},
    ("hpo_core", "sqlite"): {"cycle": 3000, "tell": 5000, "tells": 100_000},
    ("hpo_core", "sqlite full"): {"cycle": 500, "tell": 1000, "tells": 100_000},
    ("hpo_core", "postgres"): {"cycle": 200, "tell": 300, "tells": 100_000},
    ("optuna", "memory"): {"cycle": 500, "tell": 1000},
    ("optuna", "sqlite"): {"cycle": 30, "tell": 30},
    ("optuna", "journal"): {"cycle": 100, "tell": 100},
    ("optuna", "postgres"): {"cycle": 20, "tell": 30},
}
# Durable results per second that issue 6 asks for.
TARGETS = {("sqlite", "tell"): 5000, ("sqlite", "tells"): 100_000, ("postgres", "tell"): 1000}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append the figures to results/stored.jsonl")


def run(arguments: argparse.Namespace) -> int:
    held = []
    for (library, storage), trials in TRIALS.items():
        module, peer = SIDES[library]
        if arguments.only_ours and peer:
            continue
        for case, n in trials.items():
            options: dict[str, Any] = {"space": SPACE, "storage": storage, "case": case, "n": n}
            with postgres.server() if storage == "postgres" else contextlib.nullcontext():
                record = {**options, **isolate.call(module, "stored", peer=peer, **options)}
            record = isolate.stamped("study", case, {"library": library, **record})
            if arguments.record:
                records.append(FILE, record)
            held.append(record)
    if arguments.record:
        records.keep_passes(FILE)
    print(table(held))
    return int(any(r["error"] for r in held))


def per_second(record: Record) -> float:
    return float(record["n"] / record["seconds"]["median"])


def table(held: Iterable[Record]) -> str:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for r in held:
        speed = r["error"] or f"{per_second(r):,.0f}" + " unstable" * r.get("unstable", False)
        rows.setdefault((r["library"], r["storage"]), {})[r["case"]] = speed
    cells = [[*row, *(found.get(case, "") for case in CASES)] for row, found in rows.items()]
    return markdown(["library", "storage", *(f"{what}, /s" for what in CASES.values())], cells)
