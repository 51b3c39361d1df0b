"""Importance beside Optuna's evaluators, on the same trials: ``python -m bench.importance``.

Latency: 500 and 10,000 random trials of 32 parameters, in memory; the evaluators take turns. Ours is timed
through ``Study.importance``, Optuna's through ``get_param_importances``: all that a user waits for. Optuna's
fANOVA has one turn, which ends at a limit.

Agreement: trials of a random search and of TPE on functions with parameters that do nothing.

lost    share given to parameters that do nothing
off     distance from the exact shares, half the sum of absolute differences, from 0 to 1. Those of PED-ANOVA
        are the divergences in 400,000 random trials, and belong to a random search only; those of functional
        ANOVA the variances of conditional means in them
rank    Spearman's correlation with Optuna's PED-ANOVA; 0 where all shares are equal

Narrowed: trials of samplers that settle, on a training of which the batch size does nothing; the share that
the batch size gets, and in how many studies it comes first.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import signal
import statistics
import warnings
from contextlib import contextmanager
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
    from collections.abc import Callable, Iterator, Sequence

    Columns = dict[str, np.ndarray]
    Shares = dict[str, float]

FILE = records.RESULTS / "importance.jsonl"
ROWS = ("Study, ped-anova", "Study, fanova", "Optuna, PedAnova", "Optuna, Fanova")
TRIALS, PARAMETERS, TURNS = (500, 10_000), 32, 7
# Trials up to which Optuna's fANOVA takes its turn: three seconds. It sees the 20 choices of "mixed" as 20
# columns, and takes more than six minutes for 200 trials.
SLOW = {"linear": 200, "bowl": 200, "mixed": 50}
KEYS = ("lost", "off", "rank")
NARROWED_SIZES, SLOW_NARROWED = (100, 300), 100
NOISE = 0.05  # of results of the training, which are up to 5


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

TRAINING = Problem(
    {
        "lr": hpo.Float(1e-5, 1e-1, log=True),
        "momentum": hpo.Float(0.0, 0.99),
        "depth": hpo.Int(1, 8),
        "batch": hpo.Categorical([16, 32, 64, 128, 256]),
    },
    ["lr", "momentum", "depth"],
    lambda c: (
        (np.log10(c["lr"]) + 3.0) ** 2 + 0.5 * (c["momentum"] - 0.9) ** 2 + 0.02 * (c["depth"] - 5) ** 2
    ),
)


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


@contextmanager
def at_most(limit: float) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds."""

    def over(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def latencies(n: int, limit: float) -> list[records.Record]:
    """Each evaluator in turn; Optuna's fANOVA once, for as long as the limit allows."""
    rng = np.random.default_rng(0)
    x = rng.random((PARAMETERS, n))
    y = np.arange(PARAMETERS, 0, -1) ** 2.0 @ x
    ours, theirs = both(_unit(PARAMETERS), {f"x{k}": row for k, row in enumerate(x)}, y)
    seconds: dict[str, list[float]] = {row: [] for row in ROWS}
    shares("Study, ped-anova", ours, theirs)  # loads what it needs
    for _, row in itertools.product(range(TURNS), ROWS[:-1]):
        seconds[row].append(clock(lambda row=row: shares(row, ours, theirs)))
    ended = True
    try:
        with at_most(limit):
            seconds[ROWS[-1]].append(clock(lambda: shares(ROWS[-1], ours, theirs)))
    except TimeoutError:
        seconds[ROWS[-1]].append(limit)
        ended = False
    return [
        {
            "case": "latency",
            "evaluator": row,
            "trials": n,
            "parameters": PARAMETERS,
            "versions": machine.versions("optuna", "hpo_core", "numpy"),
            "ended": ended or row != ROWS[-1],
            "seconds": spread(each),
        }
        for row, each in seconds.items()
    ]


def searched(
    problem: Problem, sampler: str, n: int, seed: int, noise: float = 0.0
) -> tuple[Columns, np.ndarray]:
    """The trials of a search."""
    rng = np.random.default_rng(seed)
    study = hpo.Study(problem.space, sampler=sampler, seed=seed, allow_duplicates=True)
    for _ in range(n):
        batch = study.ask(1)
        study.tell(batch, problem.f(batch) + noise * rng.standard_normal(len(batch)))
    trials = study.trials
    return {name: trials[name] for name in problem.space}, trials.value


def judged(problem: Problem, row: str, sampler: str, found: Shares, peer: Shares) -> records.Record:
    names = list(problem.space)
    lost = sum(found[name] for name in names if name not in problem.matter)
    method = "fanova" if row.lower().endswith("fanova") else "ped-anova"
    exact = problem.exact[method]
    off = 0.5 * sum(abs(found[name] - exact[name]) for name in names)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        rank = spearmanr([found[name] for name in names], [peer[name] for name in names]).statistic
    known = method == "fanova" or sampler == "random"
    numbers = {"lost": lost, "off": off if known else None, "rank": rank if np.isfinite(rank) else 0.0}
    return {key: value if value is None else float(f"{value:.4g}") for key, value in numbers.items()}


def agreements(sizes: Sequence[int], seeds: int) -> list[records.Record]:
    held = []
    for (name, problem), sampler, n, seed in itertools.product(
        PROBLEMS.items(), ("random", "tpe"), sizes, range(seeds)
    ):
        ours, theirs = both(problem.space, *searched(problem, sampler, n, seed))
        rows = [row for row in ROWS if n <= SLOW[name] or row != "Optuna, Fanova"]
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


def narrowed(seeds: int) -> list[records.Record]:
    held = []
    for n, sampler, seed in itertools.product(NARROWED_SIZES, ("random", "tpe", "auto"), range(seeds)):
        ours, theirs = both(TRAINING.space, *searched(TRAINING, sampler, n, seed, NOISE))
        for row in ROWS if n <= SLOW_NARROWED else ROWS[:-1]:
            found = shares(row, ours, theirs)
            held.append(
                {
                    "case": "narrowed",
                    "evaluator": row,
                    "sampler": sampler,
                    "trials": n,
                    "seed": seed,
                    "share": float(f"{found['batch']:.4g}"),
                    "first": int(max(found, key=found.__getitem__) == "batch"),
                }
            )
    return held


def latency_table(held: Sequence[records.Record]) -> str:
    medians = {(r["trials"], r["evaluator"]): r["seconds"]["median"] for r in held}
    rows = [
        [
            f"{r['trials']:,}",
            r["evaluator"] + ("" if r["ended"] else ", given up"),
            *(f"{1e3 * r['seconds'][key]:,.1f}" for key in ("median", "p10", "p90")),
            f"{r['seconds']['median'] / medians[r['trials'], ROWS[0]]:,.1f}",
        ]
        for r in held
    ]
    return markdown(["trials", "evaluator", "ms, median", "p10", "p90", f"times {ROWS[0]}"], rows)


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


def narrowed_table(held: Sequence[records.Record]) -> str:
    held_by: dict[tuple[str, int, str], list[records.Record]] = {}
    for r in held:
        held_by.setdefault((r["sampler"], r["trials"], r["evaluator"]), []).append(r)
    rows = []
    for (sampler, n, row), each in held_by.items():
        owned = [r["share"] for r in each]
        first = f"{sum(r['first'] for r in each)} of {len(each)}"
        rows.append([f"{sampler}, {n:,}", row, f"{statistics.median(owned):.2f}", f"{max(owned):.2f}", first])
    return markdown(["trials of", "evaluator", "share, median", "largest", "first"], rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = ("latency", "agreement", "narrowed")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000], help="trials, for agreement")
    parser.add_argument("--seeds", type=int, default=5, help="of agreement; of narrowed four times as many")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds, for Optuna's fANOVA")
    parser.add_argument("--record", action="store_true", help="append to results/importance.jsonl")


def run(arguments: argparse.Namespace) -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    parts: dict[str, tuple[Callable[[], list[records.Record]], Callable[..., str]]] = {
        "latency": (lambda: [r for n in TRIALS for r in latencies(n, arguments.limit)], latency_table),
        "agreement": (lambda: agreements(arguments.sizes, arguments.seeds), agreement_table),
        "narrowed": (lambda: narrowed(4 * arguments.seeds), narrowed_table),
    }
    held = []
    for part in arguments.parts:
        measure, table = parts[part]
        found = measure()
        print(table(found), end="\n\n", flush=True)
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
