"""hpo_core through its public ask and tell. ``sampler`` names it; other settings are its options."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import hpo_core as hpo

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem, When


def _condition(when: When) -> Any:
    parent = hpo.param(when.parent)
    return parent.isin(list(when.values)) if when.at_least is None else parent >= when.at_least


def declare(parameter: Parameter) -> Any:
    options = {} if parameter.when is None else {"when": _condition(parameter.when)}
    match parameter.kind:
        case "float":
            return hpo.Float(parameter.low, parameter.high, log=parameter.log, **options)
        case "int":
            return hpo.Int(int(parameter.low), int(parameter.high), log=parameter.log, **options)
        case "ordinal":
            return hpo.Ordinal(list(parameter.choices), **options)
        case "categorical":
            return hpo.Categorical(list(parameter.choices), **options)


def space(problem: Problem) -> Any:
    return hpo.Space({p.name: declare(p) for p in problem.parameters})


def make_sampler(name: str, options: dict[str, Any]) -> Any:
    """The sampler by name; options that its constructor lacks are constants of its model."""
    if not options:
        return name
    kind = getattr(hpo, {"tpe": "TPESampler", "sobol": "SobolSampler", "random": "RandomSampler"}[name])
    public = inspect.signature(kind).parameters
    sampler = kind(**{k: v for k, v in options.items() if k in public})
    constants = {k: v for k, v in options.items() if k not in public}
    if constants:
        sampler._settings = dataclasses.replace(sampler._settings, **constants)
    return sampler


class HpoCore:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        options = dict(settings)
        sampler = make_sampler(options.pop("sampler"), options)
        self._study = hpo.Study(space(problem), sampler=sampler, seed=seed)

    def ask(self) -> tuple[Any, Config]:
        trial = self._study.ask()
        return trial, trial.params

    def tell(self, handle: Any, value: float) -> None:
        self._study.tell(handle, value)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return HpoCore(problem, seed, settings)
