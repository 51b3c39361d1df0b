"""Optuna's samplers through define-by-run suggestions, as its users write them.

``sampler`` names one of ``SAMPLERS``; other settings are its arguments, and there are none beside
the seed unless the entry lists them. An ordinal parameter is suggested as the integer index of its
choice, which keeps the order; as a category Optuna would lose it.

``failures`` says what becomes of a trial that fails: "failed" (the default, as an exception leaves
it), "pruned" (which TPE ranks last, as what was stopped early), or "constraint": every trial has one,
1 if it failed and else -1, and one that failed is told the worst value so far (0 before the first),
since a constraint counts on a complete trial alone.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cma": optuna.samplers.CmaEsSampler,
    "random": optuna.samplers.RandomSampler,
}


def suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    name, low, high = parameter.name, parameter.low, parameter.high
    match parameter.kind:
        case "float":
            return trial.suggest_float(name, low, high, log=parameter.log)
        case "int":
            return trial.suggest_int(name, int(low), int(high), log=parameter.log)
        case "ordinal":
            return parameter.choices[trial.suggest_int(name, 0, len(parameter.choices) - 1)]
        case "categorical":
            return trial.suggest_categorical(name, parameter.choices)


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """What ``suggest`` leaves in a trial."""
    p = parameter
    match p.kind:
        case "float":
            return optuna.distributions.FloatDistribution(p.low, p.high, log=p.log)
        case "int":
            return optuna.distributions.IntDistribution(int(p.low), int(p.high), log=p.log)
        case "ordinal":
            return optuna.distributions.IntDistribution(0, len(p.choices) - 1)
        case "categorical":
            return optuna.distributions.CategoricalDistribution(p.choices)


def past_trial(parameters: Sequence[Parameter], config: Config, **result: Any) -> optuna.trial.FrozenTrial:
    """A finished trial of the configuration, ``value`` or ``values`` its result."""
    active = [p for p in parameters if p.name in config]
    given = {p.name: config[p.name] for p in active}
    params = {
        p.name: p.choices.index(given[p.name]) if p.kind == "ordinal" else given[p.name] for p in active
    }
    distributions = {p.name: distribution(p) for p in active}
    return optuna.trial.create_trial(params=params, distributions=distributions, **result)


class OptunaStudy:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        self._parameters = problem.parameters
        options = dict(settings)
        self._failures = options.pop("failures", "failed")
        self._worst: float | None = None
        sampler = SAMPLERS[options.pop("sampler")](seed=seed, **options)
        self._study = optuna.create_study(sampler=sampler)

    def load(self, configs: list[Config], values: list[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            self._study.add_trial(past_trial(self._parameters, config, value=value))

    def ask(self) -> tuple[optuna.Trial, Config]:
        trial = self._study.ask()
        config: Config = {}
        for parameter in self._parameters:
            if parameter.when is None or parameter.when.holds(config):
                config[parameter.name] = suggest(trial, parameter)
        return trial, config

    def tell(self, handle: optuna.Trial, value: float) -> None:
        self._worst = value if self._worst is None else max(self._worst, value)
        if self._failures == "constraint":
            handle.set_constraint("feasible", -1.0)
        self._study.tell(handle, value)

    def fail(self, handle: optuna.Trial) -> None:
        match self._failures:
            case "constraint":
                handle.set_constraint("feasible", 1.0)
                self._study.tell(handle, self._worst or 0.0)
            case "pruned":
                self._study.tell(handle, state=optuna.trial.TrialState.PRUNED)
            case "failed":
                self._study.tell(handle, state=optuna.trial.TrialState.FAIL)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return OptunaStudy(problem, seed, settings)
