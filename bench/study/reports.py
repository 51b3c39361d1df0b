"""``python -m bench reports``: a report and the question that follows it, beside Optuna's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import isolate, records
from bench.section import Section, signed
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.records import Record

FILE = records.RESULTS / "reports.jsonl"
STEPS = 50
SIDES = {
    "hpo_core": ("bench.study.hpo_core_reports", None),
    "optuna": ("bench.study.optuna_reports", "optuna"),
}
# Library, storage, scheduler, case and trials; Optuna's SQLite takes milliseconds a pair.
ROWS = (
    *(
        ("hpo_core", storage, name, "pairs", 1000)
        for storage in ("memory", "sqlite")
        for name in ("asha", "median")
    ),
    *(("optuna", "memory", name, "pairs", 1000) for name in ("asha", "median")),
    *(("optuna", "sqlite", name, "pairs", 40) for name in ("asha", "median")),
    *(("hpo_core", storage, "asha", "batches", 1000) for storage in ("memory", "sqlite")),
)
# Microseconds of a pair, and reports per second of batches that are durable.
MOST = {"memory": 10.0, "sqlite": 100.0}
LEAST = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append the figures to results/reports.jsonl")


def run(arguments: argparse.Namespace) -> int:
    held = []
    for library, storage, scheduler, case, n in ROWS:
        module, peer = SIDES[library]
        if arguments.only_ours and peer:
            continue
        options: dict[str, Any] = {"storage": storage, "scheduler": scheduler, "n": n, "steps": STEPS}
        record = {**options, **isolate.call(module, case, peer=peer, **options)}
        record = isolate.stamped("study", case, {"library": library, **record})
        if arguments.record:
            records.append(FILE, record)
        held.append(record)
    if arguments.record:
        records.keep_passes(FILE)
    print(table(held))
    return int(any(r["error"] for r in held))


def microseconds(record: Record) -> float:
    """Of one trial's report and question."""
    each = record["n"] if record["case"] == "batches" else 1
    return float(1e6 * record["seconds"]["median"] / each)


def table(held: Sequence[Record]) -> str:
    rows = []
    for r in held:
        what = "of 1,000 trials at once" if r["case"] == "batches" else "one by one"
        took = r["error"] or f"{microseconds(r):,.2f}" + " unstable" * r.get("unstable", False)
        rows.append([r["library"], r["storage"], r["scheduler"], what, f"{r['n']:,}", took])
    header = ["library", "storage", "scheduler", "reports", "trials", "microseconds a report and question"]
    return markdown(header, rows)


def section() -> Section:
    section = Section("Reports of running trials")
    read = [r for r in records.read(FILE) if not r["error"]]
    if not read:
        return section
    latest = records.marked(records.of_one_machine(read))
    for r in latest:
        if r["library"] != "hpo_core":
            continue
        took, where = microseconds(r), f"{r['storage']}, {r['scheduler']}"
        if r["case"] == "pairs":
            most = MOST[r["storage"]]
            section.hold(
                met=took <= most, otherwise=f"{where}: {took:.1f} us a report and question, aim {most:.0f}"
            )
        elif r["storage"] == "sqlite":
            speed = 1e6 / took
            section.hold(
                met=speed >= LEAST, otherwise=f"{where}: {speed:,.0f} durable reports/s, aim {LEAST:,}"
            )
    title = f"Median over trials of {STEPS} steps each, every trial the best yet, so that none stops\n\n"
    section.body += signed([(title + table(latest), latest)])
    return section
