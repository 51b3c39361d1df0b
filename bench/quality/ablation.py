"""``python -m bench ablate``: one option at a time, each beside our own defaults and the peer.

``--vary key=a,b,c`` runs the sampler with each value over ``--set`` (which applies to all rows, the
base row included). With ``--record`` a line per row goes to ``results/ablation.jsonl``, the table
that says why a default is what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import machine, records
from bench.quality import command, statistics
from bench.quality.optimiser import ENTRIES
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.quality.statistics import Runs

FILE = records.RESULTS / "ablation.jsonl"
PEER = "optuna-tpe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_common_arguments(parser)
    parser.add_argument("--optimiser", default="tpe", choices=sorted(ENTRIES))
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=A,B,C")
    parser.add_argument("--record", action="store_true", help="append the table to results/ablation.jsonl")


def variations(pairs: Sequence[str]) -> list[dict[str, Any]]:
    """One setting a row: ``["a=1,2", "b=x"]`` gives ``{a: 1}, {a: 2}, {b: "x"}``."""
    rows = []
    for pair in pairs:
        key, _, values = pair.partition("=")
        rows += [{key: command.literal(value)} for value in values.split(",")]
    return rows


def run(arguments: argparse.Namespace) -> int:
    base_settings = command.parse_settings(arguments.settings)
    peer = command.baseline(PEER, arguments)
    base = command.measure(arguments.optimiser, base_settings, arguments, path=command.SCRATCH)
    print_header = True
    failed = base.failed
    for settings in [{}, *variations(arguments.vary)]:
        merged = {**base_settings, **settings}
        runs = command.measure(arguments.optimiser, merged, arguments, path=command.SCRATCH)
        failed += runs.failed
        row = summary(runs, base, peer)
        if print_header:
            print(markdown(list(row), [list(row.values())]))
            print_header = False
        else:
            print(markdown(list(row), [list(row.values())]).splitlines()[-1], flush=True)
        if arguments.record:
            records.append(FILE, _record(arguments, merged, runs, base, peer))
    return 1 if failed else 0


def summary(runs: Runs, base: Runs, peer: Runs) -> dict[str, str]:
    """A row: rank against the base and the peer, regret, and the families where the peer is ahead."""
    last = statistics.checkpoints(runs, base, peer)[-1]
    cells = statistics.shared_cells(runs, base, peer)
    tests = statistics.family_tests(runs, peer, last)
    return {
        "settings".ljust(44): (runs.label + (f" ({runs.failed} failed)" if runs.failed else "")).ljust(44),
        f"rank - base at {last}".rjust(25): str(statistics.rank_difference(runs, base, cells, last)).rjust(
            25
        ),
        f"rank - {peer.label} at {last}": str(statistics.rank_difference(runs, peer, cells, last)).rjust(25),
        "regret " + "/".join(str(c) for c in statistics.checkpoints(runs)): "/".join(
            f"{statistics.mean_regret(runs, cells, c):.4f}" for c in statistics.checkpoints(runs)
        ).rjust(22),
        "families: rank sum (p)": " ".join(
            f"{t.family[:5]}{'+' if t.ahead else '-'}{(t.win - t.loss) / max(t.win + t.tie + t.loss, 1):+.2f}"
            f"{'*' if t.p < statistics.LEVEL else ' '}"
            for t in tests
        ),
    }


def _record(
    arguments: argparse.Namespace, settings: dict[str, Any], runs: Runs, base: Runs, peer: Runs
) -> records.Record:
    cells = statistics.shared_cells(runs, base, peer)
    return {
        "optimiser": arguments.optimiser,
        "settings": settings,
        "base": base.label,
        "peer": peer.label,
        "seeds": [arguments.first_seed, arguments.first_seed + arguments.seeds - 1],
        "problems": sorted({problem for problem, _ in cells}),
        "failed": runs.failed,
        "rank_minus_base": {c: _interval(runs, base, cells, c) for c in statistics.checkpoints(runs, base)},
        "rank_minus_peer": {c: _interval(runs, peer, cells, c) for c in statistics.checkpoints(runs, peer)},
        "regret": {c: statistics.mean_regret(runs, cells, c) for c in statistics.checkpoints(runs)},
        "versions": machine.versions(*ENTRIES[arguments.optimiser].distributions),
        "machine": machine.describe(),
        "date": machine.today(),
    }


def _interval(runs: Runs, other: Runs, cells: list[statistics.Cell], checkpoint: int) -> list[float]:
    interval = statistics.rank_difference(runs, other, cells, checkpoint)
    return [round(v, 4) for v in (interval.estimate, interval.low, interval.high)]
