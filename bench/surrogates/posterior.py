"""``python -m bench posterior``: what a Gaussian process of many trials costs beside the BLAS under it.

Posterior and log EI of a pool beside one triangular solve of its size by SciPy's BLAS, and the pruned arg
max, checked to name the same winner: one process, one thread, samples alternating. Then suggestions of
studies that hold many trials, and the memory they take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench import isolate, machine, records, timing
from bench.surrogates import data
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

FILE = records.RESULTS / "posterior.jsonl"
N, M, REPEATS = 1000, 8192, 15
# Trials of a study, and how many are asked for at once.
ASKS = ((500, 64), (1000, 1), (10_000, 1))
CYCLES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true", help="append the figures to results/posterior.jsonl")


def run(arguments: argparse.Namespace) -> int:
    held = []
    for case, options in (("pool", {}), *(("ask", {"n": n, "q": q}) for n, q in ASKS)):
        record = {**options, **isolate.call("bench.surrogates.posterior", case, **options)}
        record = isolate.stamped("posterior", case, record)
        if arguments.record:
            records.append(FILE, record)
        held.append(record)
    print("\n\n".join(tables(held)))
    return int(any(r["error"] for r in held))


def pool() -> dict[str, Any]:
    """Seconds of each step for 8,192 candidates and 1,000 data in 20 dimensions."""
    from scipy.linalg import solve_triangular

    import hpo_core as hpo
    from hpo_core.gp.criteria import LogEI
    from hpo_core.gp.fit import fit
    from hpo_core.gp.maximize import best_of
    from hpo_core.gp.posterior import Posterior
    from hpo_core.native.covariance import Structure

    hpo.set_num_threads(1)
    rows, y = data.draw(N)
    x = np.ascontiguousarray(rows.T)
    structure = Structure(hpo.Space({f"x{i}": hpo.Float(0, 1) for i in range(data.D)}).layout)
    posterior = Posterior(structure, fit(structure, x, y), x, y)
    criterion = LogEI(posterior, float(y.min()))
    candidates = np.random.default_rng(1).random((data.D, M))
    right = np.asfortranarray(posterior.cross(candidates))
    full = criterion.value(candidates)
    if best_of(criterion, candidates, 1)[0][0] != full.argmax():
        msg = "the pruned arg max is another candidate"
        raise AssertionError(msg)
    seconds = _alternating(
        {
            "solve": lambda: solve_triangular(posterior.factor, right, lower=True, check_finite=False),
            "full": lambda: criterion.value(candidates),
            "pruned": lambda: best_of(criterion, candidates, 1),
        }
    )
    return {"threads": 1, "versions": machine.versions("hpo_core", "numpy", "scipy"), **seconds}


def ask(n: int, q: int) -> dict[str, Any]:
    """Seconds of a suggestion after n trials, and resident MiB that the study took.

    One by one, ten in a row with what refits fall among them; many at once, each after the fit of the
    same n trials.
    """
    from bench.samplers.hpo_core_side import resident, study_of

    study_of("float20", 100, "gp").ask()  # what is loaded and allocated once
    before = resident()
    seconds: list[float] = []
    while len(seconds) < CYCLES:
        held = study_of("float20", n, "gp")
        held.tell(held.ask(), 1.0)
        if q > 1:
            seconds.append(timing.clock(lambda: held.ask(q)))  # noqa: B023 - called at once
        else:
            seconds += [timing.clock(lambda: held.tell(held.ask(), 1.0)) for _ in range(CYCLES)]  # noqa: B023
    megabytes = (resident() - before) / 2**20
    return {
        "seconds": timing.spread(seconds) | {"max": float(f"{max(seconds):.4g}")},
        "mebibytes": round(megabytes, 1),
        "threads": 1,
        "versions": machine.versions("hpo_core", "numpy"),
    }


def _alternating(functions: dict[str, Callable[[], object]]) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(REPEATS):
        for name, function in functions.items():
            seconds[name].append(timing.clock(function))
    return {name: timing.spread(values) for name, values in seconds.items()}


def tables(held: list[records.Record]) -> list[str]:
    """The two tables of the report."""
    rows, asks = [], []
    for r in held:
        if r["error"]:
            continue
        if r["case"] == "pool":
            solve = r["solve"]["median"]
            for name, what in (
                ("solve", "triangular solve, SciPy's BLAS"),
                ("full", "mean, variance, log EI of all"),
                ("pruned", "the best one, pruned exactly"),
            ):
                seconds = r[name]
                figures = (f"{1e3 * seconds[k]:.3g}" for k in ("median", "p10", "p90"))
                rows.append([what, *figures, f"{seconds['median'] / solve:.2f}"])
        else:
            seconds = r["seconds"]
            figures = (f"{1e3 * seconds[k]:.3g}" for k in ("median", "mean", "max"))
            asks.append([f"{r['n']:,}", str(r["q"]), *figures, f"{r['mebibytes']:,.0f}"])
    title = f"{M:,} candidates, n = {N:,}, d = {data.D}, one thread"
    return [
        title + "\n\n" + markdown(["step", "median ms", "p10", "p90", "of the solve"], rows),
        "Suggestions of `gp` in a study of n trials, 20 floats, one thread\n\n"
        + markdown(["n", "asked at once", "median ms", "mean", "max", "MiB"], asks),
    ]
