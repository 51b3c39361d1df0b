"""The case ``model``: ask -> tell of samplers that fit a model to all trials, from n trials on.

Ours is timed over a whole refit cycle, n to 1.08 n. A peer that refits at every suggestion is timed
over a few, SMAC3, which refits at every eighth, over sixteen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.samplers import cases, sides
from bench.samplers.sides import Side
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bench import records

# space -> trials on file. The growth with n is shown on floats, which every peer takes.
SIZES = {
    "float20": (50, 200, 1000),
    "mixed5": (200,),
    "mixed20": (200,),
    "mixed50": (200,),
    "conditional": (200,),
}
GROWTH = 0.08
# Refit cycles of ours where one is a handful of milliseconds.
BLOCKS = 8
# Cycles that are timed, after a first one.
CYCLES = {
    "optuna-gp": 4,
    "botorch": 4,
    "sklearn-gp": 4,
    "egobox": 4,
    "hoptimal": 4,
    "smac3": 16,
    "optuna-cma": 32,
    "hyperopt": 32,
}


FLOATS_ONLY = ("egobox", "hoptimal")
# Trials up to which a peer is measured, if it takes too long beyond.
MOST = {"hoptimal": 50}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", nargs="*", choices=sorted(CYCLES), default=list(CYCLES), metavar="NAME")


def measure(arguments: argparse.Namespace) -> Iterator[tuple[str, list[records.Record]]]:
    """Each space, and the records of all sides at every n."""
    spaces = {arguments.space: SIZES.get(arguments.space, (200,))} if arguments.space else SIZES
    for space, sizes in spaces.items():
        held = []
        for n in arguments.sizes or sizes:
            held += sides.measure(arguments, "model", list(_sides(space, n, arguments.peers)))
        yield space, held


def _sides(space: str, n: int, peers: list[str]) -> Iterator[Side]:
    floats = all(p.kind == "float" for p in cases.SPACES[space])
    options = {"space": space, "n": n}
    blocks = BLOCKS if n <= 200 else 1
    cycles = blocks * max(4, math.ceil(GROWTH * n))
    yield Side("cycle", options | {"cycles": cycles, "n_blocks": blocks, "sampler": "gp"})
    for name in peers:
        if (floats or name not in FLOATS_ONLY) and n <= MOST.get(name, n):
            theirs = options | {"cycles": CYCLES[name], "n_blocks": 1}
            yield Side("cycle", theirs, name, named={"sampler": name})


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
        figures[1] += " unstable" * r.get("unstable", False)
        ratio = f"{r['seconds']['mean'] / ours[r['n']]:,.0f}" if r["n"] in ours else "-"
        rows.append([f"{r['n']:,}", r["sampler"], *figures, ratio])
    return markdown(["n", "sampler", "mean ms", "median", "max", "CPU", "times ours"], rows)
