"""Optuna's samplers: in-memory storage (its default), history loaded through ``study.add_trials``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import optuna

from bench import machine, timing
from bench.quality.peers.optuna_study import suggest
from bench.samplers import cases

if TYPE_CHECKING:
    from bench.quality.spec import Parameter

SAMPLERS = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}


def _distribution(p: Parameter) -> optuna.distributions.BaseDistribution:
    if p.kind == "float":
        return optuna.distributions.FloatDistribution(p.low, p.high, log=p.log)
    if p.kind == "int":
        return optuna.distributions.IntDistribution(int(p.low), int(p.high), log=p.log)
    return optuna.distributions.CategoricalDistribution(p.choices)


def _frozen(space: str, n: int) -> list[optuna.trial.FrozenTrial]:
    distributions = {p.name: _distribution(p) for p in cases.SPACES[space]}
    configs, values = cases.history(space, n)
    return [
        optuna.trial.create_trial(params=c, distributions=distributions, value=v)
        for c, v in zip(configs, values, strict=True)
    ]


def _study(sampler: str, trials: list[optuna.trial.FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(sampler=SAMPLERS[sampler](seed=0))
    study.add_trials(trials)
    return study


def _ask(study: optuna.Study, parameters: tuple[Parameter, ...]) -> tuple[optuna.Trial, dict[str, Any]]:
    trial = study.ask()
    return trial, {p.name: suggest(trial, p) for p in parameters}


def cycle(space: str, n: int, cycles: int, n_blocks: int, sampler: str = "tpe") -> dict[str, Any]:
    """Seconds of ask -> all parameters -> tell, from n trials on; a block's first cycle is apart."""
    frozen, parameters = _frozen(space, n), cases.SPACES[space]
    length = cycles // n_blocks
    values = cases.results(space, length + 1)
    first: list[float] = []
    seconds: list[float] = []
    cpu = 0.0
    for _ in range(n_blocks):
        study = _study(sampler, frozen)
        for i, value in enumerate(values):
            if i == 1:
                cpu_start = time.process_time()
            start = time.perf_counter()
            trial, _config = _ask(study, parameters)
            study.tell(trial, value)
            (seconds if i else first).append(time.perf_counter() - start)
        cpu += time.process_time() - cpu_start
    return timing.cycles(seconds, first, cpu) | stamp()


def one_by_one(space: str, n: int, sampler: str) -> dict[str, Any]:
    """Trials a second over n trials from an empty study."""
    study, parameters = _study(sampler, []), cases.SPACES[space]

    def run() -> None:
        for _ in range(n):
            trial, _config = _ask(study, parameters)
            study.tell(trial, 0.5)

    return {"per_second": n / timing.clock(run), **stamp()}


def stamp() -> dict[str, Any]:
    return {"library": "optuna", "versions": machine.versions("optuna", "numpy"), "threads": 1}
