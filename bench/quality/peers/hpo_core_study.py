"""hpo_core through its public ask and tell.

``sampler`` names it; ``batch`` trials are asked at once and told together; with ``failures="penalty"`` a
trial that fails is told a value of ``PENALTY``; other settings are options of the sampler.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from hpo_core import samplers

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem, When


PENALTY = 1e3  # beyond every value of the problems that fail


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
    kind = samplers.BY_NAME[name]
    public = inspect.signature(kind).parameters
    sampler = kind(**{k: v for k, v in options.items() if k in public})
    constants = {k: v for k, v in options.items() if k not in public}
    if constants:
        sampler._settings = dataclasses.replace(sampler._settings, **constants)
    return sampler


class HpoCore:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        options = dict(settings)
        self._size = options.pop("batch", 1)
        self._penalised = options.pop("failures", "failed") == "penalty"
        sampler = make_sampler(options.pop("sampler"), options)
        self._study = hpo.Study(space(problem), sampler=sampler, seed=seed)
        self._waiting: list[Any] = []
        self._told: list[tuple[Any, float]] = []

    def ask(self) -> tuple[Any, Config]:
        if not self._waiting:
            self._waiting = list(self._study.ask(self._size))[::-1]
        trial = self._waiting.pop()
        return trial, trial.params

    def tell(self, handle: Any, value: float) -> None:
        self._told.append((handle, value))
        self._tell_batch()

    def fail(self, handle: Any) -> None:
        if self._penalised:
            self.tell(handle, PENALTY)
            return
        self._study.fail(handle, reason="oom")
        self._tell_batch()

    def recommend(self) -> Config:
        return self._study.recommend()

    def _tell_batch(self) -> None:
        if self._told and not self._waiting:
            trials, values = zip(*self._told, strict=True)
            self._study.tell(trials, values)
            self._told.clear()


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return HpoCore(problem, seed, settings)
