"""``python -m bench samplers``: latency, throughput, memory and import time beside peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import isolate, records
from bench.samplers import imports, models
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

FILE = records.RESULTS / "samplers.jsonl"
OURS, PEER = "bench.samplers.hpo_core_side", "bench.samplers.peer_side"
SIZES = (100, 1000, 10_000)
CYCLES, BLOCKS = 200, 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument(
        "--sizes", nargs="+", type=int, help="trials before the clock starts, in the cases cycle and model"
    )
    parser.add_argument("--cycles", type=int, default=CYCLES)
    models.add_arguments(parser)
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append the figures to results/samplers.jsonl")


def cycle(arguments: argparse.Namespace) -> None:
    """One run: for each n, both sides one after the other."""
    rows = []
    for n in arguments.sizes or SIZES:
        options: dict[str, Any] = {
            "space": "mixed20",
            "n": n,
            "cycles": arguments.cycles,
            "n_blocks": BLOCKS,
        }
        ours = isolate.call(OURS, "cycle", **options)
        theirs = (
            {}
            if arguments.only_ours
            else isolate.call(PEER, "cycle", peer="optuna", optimiser="optuna-tpe", **options)
        )
        for record in filter(None, (ours, theirs)):
            _file(arguments, "cycle", {**options, **record})
        rows.append([str(n), milliseconds(ours), milliseconds(theirs), _ratio(ours, theirs), _first(ours)])
    header = [
        "n",
        "hpo_core ms: mean (median, p10-p90; CPU)",
        "Optuna ms",
        "ratio of means",
        "first cycle ms",
    ]
    print("TPE ask -> tell, d = 20 mixed\n\n" + markdown(header, rows))


def model(arguments: argparse.Namespace) -> None:
    held = []
    for record in models.measure(arguments):
        _file(arguments, "model", record)
        held.append(record)
    print(f"Model-based ask -> tell, {arguments.space}\n\n" + models.table(held))


def batch(arguments: argparse.Namespace) -> None:
    rows = []
    for n in (10_000, 100_000):
        options: dict[str, Any] = {"space": "mixed20", "n": n, "m": 1000}
        record = isolate.call(OURS, "ask_batch", **options)
        _file(arguments, "batch", {**options, **record})
        rows.append([str(n), *_cells(record, "per_second", "ask", "tell")])
    print("ask(1000) and telling 1,000\n\n" + markdown(["n", "suggestions/s", "ask s", "tell s"], rows))


def growth(arguments: argparse.Namespace) -> None:
    """ask -> tell at 10,000 and at 100,000 trials, ours only."""
    rows = []
    for n in (1000, 10_000, 100_000):
        options: dict[str, Any] = {"space": "mixed20", "n": n, "cycles": 60, "n_blocks": 2}
        record = isolate.call(OURS, "cycle", **options)
        _file(arguments, "growth", {**options, **record})
        rows.append([str(n), milliseconds(record), _first(record)])
    print("Growth of ask -> tell\n\n" + markdown(["n", "ms", "first ask ms"], rows))


def memory(arguments: argparse.Namespace) -> None:
    options: dict[str, Any] = {"space": "mixed20", "n": 100_000}
    record = isolate.call(OURS, "memory", **options)
    _file(arguments, "memory", {**options, **record})
    names = ("columns", "study_over_columns", "sampler_over_columns")
    print("Memory at n = 100,000\n\n" + markdown(names, [_cells(record, *names)]))


def random(arguments: argparse.Namespace) -> None:
    runs: list[tuple[str, str, str | None, dict[str, Any]]] = [
        (OURS, "one_by_one", None, {"sampler": "random", "n": 20_000}),
        (OURS, "batches", None, {"sampler": "random", "m": 10_000, "n_batches": 50}),
    ]
    if not arguments.only_ours:
        runs.append((PEER, "one_by_one", "optuna", {"optimiser": "optuna-random", "n": 2000}))
    rows = []
    for module, function, peer, options in runs:
        options |= {"space": "mixed10"}
        record = isolate.call(module, function, peer=peer, **options)
        _file(arguments, "random", {"how": function, **options, **record})
        rows.append([record.get("library", "?"), function, *_cells(record, "per_second")])
    print("random ask + tell, 10 parameters\n\n" + markdown(["library", "how", "trials/s"], rows))


def importing(arguments: argparse.Namespace) -> None:
    rows = []
    for record in imports.measure():
        _file(arguments, "import", record)
        rows.append([str(record[k]) for k in ("library", "best", "median", "late_modules_loaded")])
    print(
        "import, fresh interpreters\n\n"
        + markdown(["library", "best s", "median s", "late modules loaded"], rows)
    )


CASES = {
    "cycle": cycle,
    "model": model,
    "batch": batch,
    "growth": growth,
    "memory": memory,
    "random": random,
    "import": importing,
}


def run(arguments: argparse.Namespace) -> int:
    for name in arguments.cases:
        CASES[name](arguments)
        print(flush=True)
    return 0


def _file(arguments: argparse.Namespace, case: str, record: records.Record) -> None:
    if arguments.record:
        records.append(FILE, isolate.stamped("samplers", case, record))


def milliseconds(record: records.Record) -> str:
    if "seconds" not in record:
        return record.get("error") or "-"
    mean, median, p10, p90 = (1e3 * record["seconds"][k] for k in ("mean", "median", "p10", "p90"))
    return f"{mean:.3g} ({median:.3g}, {p10:.3g}-{p90:.3g}; {1e3 * record['cpu']:.3g})"


def _first(record: records.Record) -> str:
    return f"{1e3 * record['first']['median']:.3g}" if "first" in record else "-"


def _ratio(ours: records.Record, theirs: records.Record) -> str:
    if "seconds" not in ours or "seconds" not in theirs:
        return "-"
    return f"{theirs['seconds']['mean'] / ours['seconds']['mean']:.0f}"


def _cells(record: records.Record, *names: str) -> list[str]:
    if record.get("error"):
        return [str(record["error"])] + ["-"] * (len(names) - 1)
    values = (record[name]["median"] if isinstance(record[name], dict) else record[name] for name in names)
    return [f"{value:.4g}" if isinstance(value, float) else f"{value:,}" for value in values]
