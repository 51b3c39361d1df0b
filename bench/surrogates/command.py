"""``python -m bench fit``: a Gaussian process's cold fit beside BoTorch's, GpFlash's and scikit-learn's.

Every side fits the same data with a Matern-5/2 kernel, d = 20; the oracle scores what it found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench import isolate, machine, records
from bench.surrogates import data, oracle
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

FILE = records.RESULTS / "fit.jsonl"
SIZES = (50, 200, 1000)
REPEATS = 3
SIDES = {
    "hpo_core": ("bench.surrogates.hpo_core_side", None),
    "botorch": ("bench.surrogates.botorch_side", "botorch"),
    "gpflash": ("bench.surrogates.gpflash_side", "gpflash"),
    "scikit-learn": ("bench.surrogates.sklearn_side", "sklearn"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--record", action="store_true", help="append the figures to results/fit.jsonl")


def run(arguments: argparse.Namespace) -> int:
    held = []
    for n in arguments.sizes:
        if arguments.record and all(_on_file(n, library) for library in arguments.sides):
            continue
        for library in arguments.sides:
            module, peer = SIDES[library]
            record = {"library": library, "n": n, "d": data.D}
            record |= isolate.call(module, "fit", peer=peer, n=n, repeats=REPEATS)
            if not record.get("error"):
                record |= score(record)
            if arguments.record:
                records.append(FILE, isolate.stamped("fit", "cold", record))
            held.append(record)
    if arguments.record:
        records.keep_passes(FILE)
    print("Cold fit, d = 20\n\n" + table(held))
    return int(any(r.get("error") for r in held))


def _on_file(n: int, library: str) -> bool:
    """Twice by this machine: ours by the same code, a peer's whatever its date."""
    versions = machine.versions("hpo_core", "numpy") if library == "hpo_core" else None
    return records.is_done(records.read(FILE), {"library": library, "n": n, "d": data.D}, versions)


def score(record: records.Record) -> dict[str, float]:
    """The oracle's log-likelihood and log posterior (but for a constant) of what a side found."""
    x, y = data.draw(record["n"])
    lengthscale, noise = np.array(record["lengthscale"]), record["noise"]
    likelihood = oracle.log_likelihood(x, y, lengthscale, noise)
    prior = oracle.log_prior(lengthscale, noise)
    return {"log_likelihood": round(likelihood, 4), "log_posterior": round(likelihood + prior, 4)}


def table(held: list[records.Record]) -> str:
    ours = {r["n"]: r["seconds"]["median"] for r in held if r["library"] == "hpo_core" and "seconds" in r}
    rows = []
    for r in held:
        if r.get("error"):
            rows.append([f"{r['n']:,}", r["library"], str(r["error"]), *["-"] * 6])
            continue
        seconds, n = r["seconds"], r["n"]
        times = f"{seconds['median'] / ours[n]:.1f}" if n in ours else "-"
        scores = (f"{r[k]:.2f}" for k in ("log_likelihood", "log_posterior"))
        spread = (f"{1e3 * v:,.3g}" for v in (seconds["median"], seconds["p10"], seconds["p90"], r["cpu"]))
        rows.append([f"{n:,}", r["library"], *spread, times, *scores])
    header = [
        "n",
        "library",
        "median ms",
        "p10",
        "p90",
        "CPU",
        "times ours",
        "log-likelihood",
        "log posterior",
    ]
    return markdown(header, rows)
