"""``python -m bench samplers``: latency, throughput, memory and import time beside peers.

With ``--record`` a comparison is measured again, both sides in one run, until each has two passes on file by
this machine, ours by the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import machine, records
from bench.samplers import cases, fronts, imports, models, sides
from bench.samplers.sides import FILE, Side
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

SPACES = ("mixed20", "mixed5", "mixed50", "conditional")
SIZES = (100, 1000, 10_000)
CYCLES, BLOCKS = 200, 10
# n -> cycles and blocks of a peer that slows down as n grows; ours has the same at every n.
GROWTH = {1000: (60, 2), 10_000: (20, 1), 100_000: (4, 1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument(
        "--sizes", nargs="+", type=int, help="trials before the clock starts, in the cases cycle and model"
    )
    parser.add_argument(
        "--space", choices=sorted(cases.SPACES), help="the only one, in the cases cycle and model"
    )
    parser.add_argument("--cycles", type=int, default=CYCLES)
    models.add_arguments(parser)
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="append the figures to results/samplers.jsonl")


def cycle(arguments: argparse.Namespace) -> None:
    """TPE beside Optuna's and Rustuna's."""
    for space in [arguments.space] if arguments.space else SPACES:
        rows = []
        for n in arguments.sizes or SIZES:
            options = {"space": space, "n": n, "cycles": arguments.cycles, "n_blocks": BLOCKS}
            peers = (None, *(f"{name}-tpe" for name in CYCLE_PEERS))
            group = [Side("cycle", options, peer) for peer in peers]
            ours, *theirs = sides.measure(arguments, "cycle", group)
            rows.append(cycle_row(ours, {record["library"]: record for record in theirs}))
        print(f"TPE ask -> tell, {space}\n\n" + markdown(CYCLE_HEADER, rows))


def model(arguments: argparse.Namespace) -> None:
    for space, held in models.measure(arguments):
        print(f"Model-based ask -> tell, {space}\n\n" + models.table(held), flush=True)


def batch(arguments: argparse.Namespace) -> None:
    rows = []
    for n in (10_000, 100_000):
        (record,) = sides.measure(
            arguments, "batch", [Side("ask_batch", {"space": "mixed20", "n": n, "m": 1000})]
        )
        rows.append([str(n), *_cells(record, "per_second", "ask", "tell")])
    print("ask(1000) and telling 1,000\n\n" + markdown(["n", "suggestions/s", "ask s", "tell s"], rows))


def growth(arguments: argparse.Namespace) -> None:
    """To 100,000 trials, ours and Optuna's TPE; the other peers cannot within minutes."""
    rows = []
    for n, (cycles, n_blocks) in GROWTH.items():
        options: dict[str, Any] = {"space": "mixed20", "n": n}
        ours = Side("cycle", options | {"cycles": 60, "n_blocks": 2})
        theirs = Side("cycle", options | {"cycles": cycles, "n_blocks": n_blocks}, "optuna-tpe")
        held = sides.measure(arguments, "growth", [ours, theirs])
        rows += [[str(n), r["library"], sides.milliseconds(r), _first(r)] for r in held]
    print("Growth of ask -> tell\n\n" + markdown(["n", "library", "ms", "first ask ms"], rows))


def memory(arguments: argparse.Namespace) -> None:
    (record,) = sides.measure(arguments, "memory", [Side("memory", {"space": "mixed20", "n": 100_000})])
    names = ("columns", "study_over_columns", "sampler_over_columns")
    print("Memory at n = 100,000\n\n" + markdown(names, [_cells(record, *names)]))


def random(arguments: argparse.Namespace) -> None:
    space = "mixed10"
    one, many = "one_by_one", "batches"
    ours = {"space": space, "sampler": "random"}
    group = [
        Side(one, ours | {"n": 20_000}, named={"how": one}),
        Side(many, ours | {"m": 10_000, "n_batches": 50}, named={"how": many}),
        Side(one, {"space": space, "n": 2000}, "optuna-random", named={"how": one}),
    ]
    rows = [
        [r["library"], r["how"], *_cells(r, "per_second")] for r in sides.measure(arguments, "random", group)
    ]
    print("random ask + tell, 10 parameters\n\n" + markdown(["library", "how", "trials/s"], rows))


def importing(arguments: argparse.Namespace) -> None:
    row = {"case": "import", "library": "hpo_core"}
    if arguments.record and records.is_done(records.read(FILE), row, machine.versions("hpo_core")):
        return
    rows = []
    for record in imports.measure():
        sides.put(arguments, "import", record)
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
    "fronts": fronts.run,
}


def run(arguments: argparse.Namespace) -> int:
    for name in arguments.cases:
        CASES[name](arguments)
        print(flush=True)
    if arguments.record:
        records.keep_passes(FILE)
    return 0


CYCLE_PEERS = ("optuna", "rustuna")
CYCLE_HEADER = (
    "n",
    "hpo_core ms: mean (median, p10-p90; CPU)",
    "Optuna ms",
    "ratio of means",
    "Rustuna ms",
    "ratio of means",
    "first cycle ms",
)


def cycle_row(ours: records.Record, theirs: dict[str, records.Record]) -> list[str]:
    row = [f"{ours['n']:,}", sides.milliseconds(ours)]
    for library in CYCLE_PEERS:
        peer = theirs.get(library, {})
        row += [sides.milliseconds(peer), _ratio(ours, peer)]
    return [*row, _first(ours)]


def _first(record: records.Record) -> str:
    return f"{1e3 * record['first']['median']:.3g}" if "first" in record else "-"


def _ratio(ours: records.Record, theirs: records.Record) -> str:
    if "seconds" not in ours or "seconds" not in theirs:
        return "-"
    return f"{theirs['seconds']['mean'] / ours['seconds']['mean']:,.0f}"


def _cells(record: records.Record, *names: str) -> list[str]:
    if record.get("error"):
        return [str(record["error"])] + ["-"] * (len(names) - 1)
    values = (record[name]["median"] if isinstance(record[name], dict) else record[name] for name in names)
    return [f"{value:.4g}" if isinstance(value, float) else f"{value:,}" for value in values]
