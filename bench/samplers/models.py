"""The case ``model``: ask -> tell of samplers that fit a model to all trials, from n trials on.

Ours is timed over a whole refit cycle, n to 1.08 n. A peer that refits at every suggestion is timed
over a few, SMAC3, which refits at every eighth, over sixteen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench import isolate, records
from bench.samplers.peer_side import PEERS
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

OURS = "bench.samplers.hpo_core_side"
SIZES = (50, 200, 1000)
GROWTH = 0.08
# Cycles that are timed, after a first one.
CYCLES = {
    "optuna-gp": 4,
    "botorch": 4,
    "sklearn-gp": 4,
    "egobox": 4,
    "smac3": 16,
    "optuna-cma": 32,
    "hyperopt": 32,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--space", default="float20", help="of the case model: float or mixed, and d")
    parser.add_argument("--peers", nargs="*", choices=sorted(CYCLES), default=list(CYCLES), metavar="NAME")


def measure(arguments: argparse.Namespace) -> Iterator[records.Record]:
    """A record for each n and side, as they are made; prints each as a line."""
    for n in arguments.sizes or SIZES:
        for library in ("gp", *(() if arguments.only_ours else arguments.peers)):
            cycles = CYCLES.get(library, max(4, math.ceil(GROWTH * n)))
            options: dict[str, Any] = {"space": arguments.space, "n": n, "cycles": cycles, "n_blocks": 1}
            if library in PEERS:
                record = isolate.call(
                    "bench.samplers.peer_side",
                    "cycle",
                    peer=PEERS[library].peer,
                    optimiser=library,
                    **options,
                )
            else:
                record = isolate.call(OURS, "cycle", sampler=library, **options)
            yield {"sampler": library, **options, **record}


def table(held: list[records.Record]) -> str:
    """Seconds of every side, and how many times as long as ours they are."""
    ours = {r["n"]: r["seconds"]["mean"] for r in held if r["sampler"] == "gp" and "seconds" in r}
    rows = []
    for r in held:
        if "seconds" not in r:
            rows.append([f"{r['n']:,}", r["sampler"], str(r["error"]), "-", "-", "-", "-"])
            continue
        figures = [
            f"{1e3 * v:,.3g}" for v in (*(r["seconds"][k] for k in ("mean", "median", "max")), r["cpu"])
        ]
        ratio = f"{r['seconds']['mean'] / ours[r['n']]:,.0f}" if r["n"] in ours else "-"
        rows.append([f"{r['n']:,}", r["sampler"], *figures, ratio])
    return markdown(["n", "sampler", "mean ms", "median", "max", "CPU", "times ours"], rows)
