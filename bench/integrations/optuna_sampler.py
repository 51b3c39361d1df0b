"""Our samplers in studies of Optuna, beside its own: ``python -m bench.integrations.optuna_sampler``.

Latency: ``study.ask``, the suggestions of the objective and ``study.tell``, with Optuna's storage in memory,
after ``n`` trials with random values. The samplers take turns, a block of trials each, so that all meet the
same machine; each block is compared with that of ``TPESampler`` in the same turn.

Regret: what the best configuration is after 100 trials, define by run, as the objective suggests one
parameter after the other; and of our own study over the declared space, with the same seeds.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from bench import isolate, machine, records
from bench.quality import problems
from bench.quality.peers import hpo_core_study, optuna_study
from bench.tables import markdown
from hpo_core.integrations.optuna import HpoSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.quality.spec import Problem

FILE = records.RESULTS / "optuna-sampler.jsonl"
TURNS, CYCLES = 12, 10
SAMPLERS: dict[str, Callable[[int], Any]] = {
    "TPESampler": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "RandomSampler": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    'HpoSampler("tpe")': lambda seed: HpoSampler("tpe", seed=seed),
    'HpoSampler("auto")': lambda seed: HpoSampler("auto", seed=seed),
    'HpoSampler("random")': lambda seed: HpoSampler("random", seed=seed),
}
PROBLEMS = ("branin", "hartmann6", "ackley10", "coupled_branches", "training_curve")
ROWS = ("TPESampler", 'HpoSampler("tpe")', 'HpoSampler("auto")', 'Study("tpe")', 'Study("auto")')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=("latency", "regret"), default=["latency", "regret"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--record", action="store_true", help="append to results/optuna-sampler.jsonl")


def run(arguments: argparse.Namespace) -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    held = []
    if "latency" in arguments.parts:
        for n in arguments.sizes:
            held += latencies(n)
        print(latency_table(held), end="\n\n")
    if "regret" in arguments.parts:
        found = regrets(arguments.seeds, arguments.trials)
        print(regret_table(found, arguments.seeds), flush=True)
        held += found
    if arguments.record:
        for record in held:
            records.append(FILE, isolate.stamped("optuna-sampler", record.pop("case"), record))
    return 0


def suggest_all(trial: optuna.Trial) -> float:
    """Ten floats and ten others, as an objective asks for them."""
    total = sum(trial.suggest_float(f"x{k}", -1.0, 1.0) ** 2 for k in range(10))
    total += sum(trial.suggest_int(f"n{k}", 1, 100, log=True) for k in range(5)) / 100
    return total + sum(trial.suggest_categorical(f"c{k}", ["a", "b", "c"]) == "b" for k in range(5))


def prepared(sampler: Any, n: int) -> optuna.Study:
    """A study with ``n`` finished trials, whose sampler has seen them."""
    rng = np.random.default_rng(0)
    source = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = source.ask()
    suggest_all(trial)
    distributions = trial.distributions
    study = optuna.create_study(sampler=sampler)
    for _ in range(n):
        params = {name: _drawn(each, rng) for name, each in distributions.items()}
        study.add_trial(
            optuna.create_trial(params=params, distributions=distributions, value=float(rng.random()))
        )
    for _ in range(3):
        cycle(study)
    return study


def _drawn(distribution: Any, rng: np.random.Generator) -> Any:
    match distribution:
        case optuna.distributions.FloatDistribution():
            return float(rng.uniform(distribution.low, distribution.high))
        case optuna.distributions.IntDistribution():
            return int(rng.integers(distribution.low, distribution.high + 1))
    return distribution.choices[int(rng.integers(len(distribution.choices)))]


def cycle(study: optuna.Study) -> float:
    """Seconds of one trial."""
    start = time.perf_counter()
    trial = study.ask()
    value = suggest_all(trial)
    study.tell(trial, value)
    return time.perf_counter() - start


def latencies(n: int) -> list[records.Record]:
    """Each sampler after ``n`` trials; the blocks of all take turns."""
    studies = {name: prepared(make(0), n) for name, make in SAMPLERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in studies}
    cycles = CYCLES if n <= 1000 else 3
    for _ in range(TURNS):
        for name, study in studies.items():
            seconds[name].append(statistics.median(cycle(study) for _ in range(cycles)))
    peer = seconds["TPESampler"]
    return [
        {
            "case": "latency",
            "sampler": name,
            "n": n,
            "versions": machine.versions("optuna", "hpo_core", "numpy"),
            "ms": 1e3 * statistics.median(each),
            "ratios": sorted(float(f"{a / b:.4g}") for a, b in zip(peer, each, strict=True)),
        }
        for name, each in seconds.items()
    ]


def latency_table(held: Sequence[records.Record]) -> str:
    rows = []
    for r in held:
        ratios = r["ratios"]
        ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        rows.append([f"{r['n']:,}", r["sampler"], f"{r['ms']:.3f}", ratio])
    return markdown(["trials", "sampler", "ms a trial, median", "times as fast as TPESampler"], rows)


def best(problem: Problem, row: str, seed: int, n_trials: int) -> float:
    """The regret of the best observed configuration."""
    luck = np.random.default_rng((seed, 7)).random(n_trials)
    if row.startswith("Study"):
        optimiser = hpo_core_study.create(problem, seed, {"sampler": row.split('"')[1]})
        configs, values = [], []
        for k in range(n_trials):
            handle, config = optimiser.ask()
            values.append(problem.observed(config, luck[k]))
            configs.append(config)
            optimiser.tell(handle, values[-1])
        return float(problem.regret(problem.true_value(configs[int(np.argmin(values))])))
    study = optuna.create_study(sampler=SAMPLERS[row](seed))
    configs = []

    def objective(trial: optuna.Trial) -> float:
        config: dict[str, Any] = {}
        for parameter in problem.parameters:
            if parameter.when is None or parameter.when.holds(config):
                config[parameter.name] = optuna_study.suggest(trial, parameter)
        configs.append(config)
        return problem.observed(config, luck[trial.number])

    study.optimize(objective, n_trials=n_trials)
    return float(problem.regret(problem.true_value(configs[study.best_trial.number])))


def regrets(seeds: int, n_trials: int) -> list[records.Record]:
    return [
        {
            "case": "regret",
            "sampler": row,
            "problem": name,
            "seed": seed,
            "trials": n_trials,
            "regret": best(problems.get(name), row, seed, n_trials),
        }
        for name in PROBLEMS
        for seed in range(seeds)
        for row in ROWS
    ]


def regret_table(found: Sequence[records.Record], seeds: int) -> str:
    """Mean regret of each row, and its mean rank over problems and seeds."""
    cells = {(r["problem"], r["seed"], r["sampler"]): r["regret"] for r in found}
    rows = []
    for row in ROWS:
        means = [np.mean([cells[name, seed, row] for seed in range(seeds)]) for name in PROBLEMS]
        ranks = [
            sum(cells[name, seed, other] < cells[name, seed, row] for other in ROWS)
            + (1 + sum(cells[name, seed, other] == cells[name, seed, row] for other in ROWS)) / 2
            for name in PROBLEMS
            for seed in range(seeds)
        ]
        rows.append([row, *(f"{mean:.2g}" for mean in means), f"{np.mean(ranks):.2f}"])
    return markdown(["", *PROBLEMS, "mean rank"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
