"""Importance beside Optuna's evaluators, on the same trials: ``python -m bench.importance``.

Latency: 10,000 random trials of 32 parameters, in memory; the evaluators take turns. Ours is timed through
``Study.importance``, Optuna's through ``get_param_importances``: all that a user waits for.

Agreement: trials of a random search and of TPE on functions with parameters that do nothing.

lost    share given to parameters that do nothing
off     distance from the exact shares, half the sum of absolute differences, from 0 to 1. Those of PED-ANOVA
        are the divergences in 400,000 random trials, and belong to a random search only; those of functional
        ANOVA the variances of conditional means in them
rank    Spearman's correlation with Optuna's PED-ANOVA
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from scipy.stats import spearmanr

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
SLOW = 200  # trials up to which Optuna's fANOVA takes its turn: five seconds
KEYS = ("lost", "off", "rank")


class Problem:
    """A function of parameters of which only some matter."""

    def __init__(self, space: dict[str, Any], matter: Sequence[str], f: Callable[[Any], Any]) -> None:
        self.space, self.matter, self.f = space, matter, f

    @functools.cached_property
    def exact(self) -> dict[str, Shares]:
        """Exact shares by name of the method, from the cells of a large random sample."""
        columns = hpo.Space(self.space).sample(400_000, seed=1)
        y = self.f(columns)
        best = y <= np.quantile(y, 0.1)
        found: dict[str, Shares] = {"ped-anova": {}, "fanova": {}}
        for name in self.space:
            n, n_best, sums = cells(columns[name], best, y)
            p, p_best = n / n.sum(), n_best / n_best.sum()
            found["ped-anova"][name] = float(np.sum((p_best - p) ** 2 / p)) if name in self.matter else 0.0
            mean = sums / n - y.mean()
            found["fanova"][name] = float(p @ mean**2) if name in self.matter else 0.0
        return {
            method: {k: v / sum(each.values()) for k, v in each.items()} for method, each in found.items()
        }


def cells(column: np.ndarray, best: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Number of trials, number of the best, and sum of values in each of up to 200 cells."""
    _, at = np.unique(column, return_inverse=True)
    if at.max() >= 200:
        at = at * 200 // (at.max() + 1)
    return np.bincount(at), np.bincount(at, best), np.bincount(at, y)


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


def judged(problem: Problem, row: str, sampler: str, found: Shares, peer: Shares) -> records.Record:
    names = list(problem.space)
    lost = sum(found[name] for name in names if name not in problem.matter)
    method = "fanova" if row.lower().endswith("fanova") else "ped-anova"
    exact = problem.exact[method]
    off = 0.5 * sum(abs(found[name] - exact[name]) for name in names)
    rank = spearmanr([found[name] for name in names], [peer[name] for name in names]).statistic
    known = method == "fanova" or sampler == "random"
    numbers = {"lost": lost, "off": off if known else None, "rank": rank}
    return {key: value if value is None else float(f"{value:.4g}") for key, value in numbers.items()}


def agreements(sizes: Sequence[int], seeds: int) -> list[records.Record]:
    held = []
    for (name, problem), sampler, n, seed in itertools.product(
        PROBLEMS.items(), ("random", "tpe"), sizes, range(seeds)
    ):
        ours, theirs = both(problem.space, *searched(problem, sampler, n, seed))
        rows = [row for row in ROWS if n <= SLOW or row != "Optuna, Fanova"]
        found = {row: shares(row, ours, theirs) for row in rows}
        held += [
            {
                "case": "agreement",
                "evaluator": row,
                "problem": name,
                "sampler": sampler,
                "trials": n,
                "seed": seed,
                **judged(problem, row, sampler, found[row], found["Optuna, PedAnova"]),
            }
            for row in rows
        ]
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
    held_by: dict[tuple[str, str, int, str], list[records.Record]] = {}
    for r in held:
        held_by.setdefault((r["problem"], r["sampler"], r["trials"], r["evaluator"]), []).append(r)
    rows = []
    for (problem, sampler, n, row), each in held_by.items():
        numbers = ([r[key] for r in each if r[key] is not None] for key in KEYS)
        means = (f"{statistics.mean(own):.2f}" if own else "" for own in numbers)
        rows.append([f"{problem}, {sampler}, {n:,}", row, *means])
    return markdown(["trials of", "evaluator", *KEYS], rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=("latency", "agreement"), default=["latency", "agreement"]
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, default=5)
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
