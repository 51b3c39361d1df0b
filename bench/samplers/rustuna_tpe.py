"""Rustuna's TPE at its defaults, in memory: Optuna's own rewrite in Rust, driven as Optuna is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rustuna
from rustuna import distributions

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem


def suggest(trial: Any, p: Parameter) -> Any:
    match p.kind:
        case "float":
            return trial.suggest_float(p.name, p.low, p.high, log=p.log)
        case "int":
            return trial.suggest_int(p.name, int(p.low), int(p.high), log=p.log)
        case "ordinal":
            return p.choices[trial.suggest_int(p.name, 0, len(p.choices) - 1)]
        case "categorical":
            return trial.suggest_categorical(p.name, list(p.choices))


def distribution(p: Parameter) -> Any:
    """What ``suggest`` leaves in a trial."""
    match p.kind:
        case "float":
            return distributions.FloatDistribution(p.low, p.high, log=p.log)
        case "int":
            return distributions.IntDistribution(int(p.low), int(p.high), log=p.log)
        case "ordinal":
            return distributions.IntDistribution(0, len(p.choices) - 1)
        case "categorical":
            return distributions.CategoricalDistribution(list(p.choices))


class Rustuna:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = problem.parameters
        self._study = rustuna.create_study(sampler=rustuna.samplers.TPESampler(seed=seed))

    def load(self, configs: list[Config], values: list[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            active = [p for p in self._parameters if p.name in config]
            params = {
                p.name: p.choices.index(config[p.name]) if p.kind == "ordinal" else config[p.name]
                for p in active
            }
            of = {p.name: distribution(p) for p in active}
            self._study.add_trial(rustuna.create_trial(params=params, distributions=of, value=value))

    def ask(self) -> tuple[int, Config]:
        trial = self._study.ask()
        config: Config = {}
        for parameter in self._parameters:
            if parameter.when is None or parameter.when.holds(config):
                config[parameter.name] = suggest(trial, parameter)
        return trial.number, config

    def tell(self, handle: int, value: float) -> None:
        self._study.tell(handle, value)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    assert not settings
    return Rustuna(problem, seed)
