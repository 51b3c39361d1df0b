"""Importance beside Optuna's evaluators, on the same trials: ``python -m bench.importance``.

Latency: 10,000 random trials of 32 parameters, in memory; the evaluators take turns. Ours is timed through
``Study.importance``, Optuna's through ``get_param_importances``: all that a user waits for.

Agreement: trials of a random search and of TPE on functions with parameters that do nothing, where it is known
which parameter matters more. "Lost" is the share given to parameters that do nothing, "order" how many pairs
of the others are in the right order, and "rank" the rank correlation with Optuna's PED-ANOVA.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

import hpo_core as hpo
from bench import isolate, machine, records
from bench.tables import markdown
from bench.timing import clock, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Columns = dict[str, np.ndarray]
    Shares = dict[str, float]

FILE = records.RESULTS / "importance.jsonl"
ROWS = ("Study, ped-anova", "Study, fanova", "Optuna, PedAnova", "Optuna, Fanova")
TRIALS, PARAMETERS, TURNS = 10_000, 32, 7


class Problem:
    """A function of parameters of which only some matter, the most important first."""

    def __init__(self, space: dict[str, Any], matter: Sequence[str], f: Callable[[Any], Any]) -> None:
        self.space, self.matter, self.f = space, matter, f


def _unit(d: int) -> dict[str, Any]:
    return {f"x{k}": hpo.Float(0.0, 1.0) for k in range(d)}


def _mixed() -> dict[str, Any]:
    return {
        "lr": hpo.Float(1e-5, 1e-1, log=True),
        "depth": hpo.Int(1, 8),
        "kind": hpo.Categorical(["a", "b", "c"]),
        "seed": hpo.Categorical([f"s{k}" for k in range(20)]),
        "noise": hpo.Float(0.0, 1.0),
        "level": hpo.Int(1, 100, log=True),
    }


PROBLEMS = {
    "linear": Problem(_unit(8), ["x0", "x1", "x2"], lambda c: 4.0 * c["x0"] + 2.0 * c["x1"] + c["x2"]),
    "bowl": Problem(
        _unit(8),
        ["x0", "x1", "x2"],
        lambda c: 4.0 * (c["x0"] - 0.4) ** 2 + 2.0 * (c["x1"] - 0.6) ** 2 + (c["x2"] - 0.5) ** 2,
    ),
    "mixed": Problem(
        _mixed(),
        ["lr", "kind", "depth"],
        lambda c: 3.0 * (np.log10(c["lr"]) + 3.0) ** 2 / 4.0 + 1.0 * (c["kind"] != "b") + 0.05 * c["depth"],
    ),
}


def shares(row: str, ours: hpo.Study, theirs: optuna.Study) -> Shares:
    """Importances by one evaluator."""
    match row:
        case "Study, ped-anova":
            return ours.importance()
        case "Study, fanova":
            return ours.importance(evaluator="fanova")
        case "Optuna, PedAnova":
            evaluator: Any = PedAnovaImportanceEvaluator()
        case _:
            evaluator = FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(theirs, evaluator=evaluator))


def both(space: dict[str, Any], columns: Columns, y: np.ndarray) -> tuple[hpo.Study, optuna.Study]:
    """The same trials as a study of ours and of Optuna."""
    ours = hpo.Study(space, sampler="random", seed=0, allow_duplicates=True)
    ours.add(columns, y)
    distributions = {name: distribution(each) for name, each in space.items()}
    theirs = optuna.create_study()
    listed = {name: column.tolist() for name, column in columns.items()}
    theirs.add_trials(
        [
            optuna.create_trial(
                params={name: column[i] for name, column in listed.items()},
                distributions=distributions,
                value=value,
            )
            for i, value in enumerate(y.tolist())
        ]
    )
    return ours, theirs


def distribution(parameter: Any) -> Any:
    if isinstance(parameter, hpo.Float):
        return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, hpo.Int):
        return optuna.distributions.IntDistribution(parameter.low, parameter.high, log=parameter.log)
    return optuna.distributions.CategoricalDistribution(list(parameter.choices))


def latencies(*, slow: bool) -> list[records.Record]:
    """Each evaluator in turn; Optuna's fANOVA once, because it takes minutes."""
    rng = np.random.default_rng(0)
    x = rng.random((PARAMETERS, TRIALS))
    y = np.arange(PARAMETERS, 0, -1) ** 2.0 @ x
    ours, theirs = both(_unit(PARAMETERS), {f"x{k}": row for k, row in enumerate(x)}, y)
    turns = {row: 1 if row == "Optuna, Fanova" else TURNS for row in ROWS if slow or row != "Optuna, Fanova"}
    seconds: dict[str, list[float]] = {row: [] for row in turns}
    shares("Study, ped-anova", ours, theirs)  # loads what it needs
    for turn in range(TURNS):
        for row, most in turns.items():
            if turn < most:
                seconds[row].append(clock(lambda row=row: shares(row, ours, theirs)))
    return [
        {
            "case": "latency",
            "evaluator": row,
            "trials": TRIALS,
            "parameters": PARAMETERS,
            "versions": machine.versions("optuna", "hpo_core", "numpy"),
            "seconds": spread(each),
        }
        for row, each in seconds.items()
    ]


def searched(problem: Problem, sampler: str, n: int, seed: int) -> tuple[Columns, np.ndarray]:
    """The trials of a search."""
    study = hpo.Study(problem.space, sampler=sampler, seed=seed, allow_duplicates=True)
    for _ in range(n):
        batch = study.ask(1)
        study.tell(batch, problem.f(batch))
    trials = study.trials
    return {name: trials[name] for name in problem.space}, trials.value


def judged(problem: Problem, found: Shares, peer: Shares) -> dict[str, float]:
    lost = sum(share for name, share in found.items() if name not in problem.matter)
    pairs = list(itertools.combinations(problem.matter, 2))
    in_order = sum(found[one] > found[other] for one, other in pairs) / len(pairs)
    names = list(problem.space)
    ranks = [np.argsort(np.argsort([shares[name] for name in names])) for shares in (found, peer)]
    return {"lost": lost, "order": in_order, "rank": float(np.corrcoef(*ranks)[0, 1])}


def agreements(sizes: Sequence[int], seeds: int) -> list[records.Record]:
    held = []
    for (name, problem), sampler, n, seed in itertools.product(
        PROBLEMS.items(), ("random", "tpe"), sizes, range(seeds)
    ):
        ours, theirs = both(problem.space, *searched(problem, sampler, n, seed))
        found = {row: shares(row, ours, theirs) for row in ROWS}
        for row in ROWS:
            judgement = judged(problem, found[row], found["Optuna, PedAnova"])
            held.append(
                {
                    "case": "agreement",
                    "evaluator": row,
                    "problem": name,
                    "sampler": sampler,
                    "trials": n,
                    "seed": seed,
                    **{key: float(f"{value:.4g}") for key, value in judgement.items()},
                }
            )
    return held


def latency_table(held: Sequence[records.Record]) -> str:
    medians = {r["evaluator"]: r["seconds"]["median"] for r in held}
    rows = [
        [
            r["evaluator"],
            *(f"{1e3 * r['seconds'][key]:,.1f}" for key in ("median", "p10", "p90")),
            f"{r['seconds']['median'] / medians[ROWS[0]]:,.1f}",
        ]
        for r in held
    ]
    return markdown(["evaluator", "ms, median", "p10", "p90", f"times {ROWS[0]}"], rows)


def agreement_table(held: Sequence[records.Record]) -> str:
    cells: dict[tuple[str, str, int, str], list[records.Record]] = {}
    for r in held:
        cells.setdefault((r["problem"], r["sampler"], r["trials"], r["evaluator"]), []).append(r)
    rows = []
    for (problem, sampler, n, row), each in cells.items():
        means = (statistics.mean(r[key] for r in each) for key in ("lost", "order", "rank"))
        rows.append([f"{problem}, {sampler}, {n:,}", row, *(f"{mean:.2f}" for mean in means)])
    return markdown(["trials of", "evaluator", "lost", "order", "rank"], rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=("latency", "agreement"), default=["latency", "agreement"]
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slow", action="store_true", help="Optuna's fANOVA of 10,000 trials too")
    parser.add_argument("--record", action="store_true", help="append to results/importance.jsonl")


def run(arguments: argparse.Namespace) -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    held = []
    if "latency" in arguments.parts:
        held += latencies(slow=arguments.slow)
        print(latency_table(held), end="\n\n", flush=True)
    if "agreement" in arguments.parts:
        found = agreements(arguments.sizes, arguments.seeds)
        print(agreement_table(found), flush=True)
        held += found
    if arguments.record:
        for record in held:
            records.append(FILE, isolate.stamped("importance", record.pop("case"), record))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
