"""Optuna's samplers of several objectives, with the defaults that its documentation recommends.

``sampler`` names one of ``SAMPLERS``. Constraints are set on the trial, Optuna 5's way (``constraints_func``
is deprecated and does the same). NSGA-II has its population of 50, TPE and the Gaussian process 10 random
trials first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna

from bench.quality.peers.optuna_study import SAMPLERS as ONE
from bench.quality.peers.optuna_study import past_trial, suggest

if TYPE_CHECKING:
    from bench.quality.fronts.optimiser import Optimiser
    from bench.quality.fronts.spec import Problem
    from bench.quality.spec import Config

SAMPLERS = {**ONE, "nsga2": optuna.samplers.NSGAIISampler}


class OptunaStudy:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        self._problem = problem
        options = dict(settings)
        sampler = SAMPLERS[options.pop("sampler")](seed=seed, **options)
        directions = ["minimize"] * len(problem.objectives)
        self._study = optuna.create_study(sampler=sampler, directions=directions)

    def load(self, configs: list[Config], outcomes: list[list[float]]) -> None:
        """The history of the latency bench; NSGA-II, which knows its own trials alone, makes as many."""
        if isinstance(self._study.sampler, optuna.samplers.NSGAIISampler):
            for _ in configs:
                handle, config = self.ask()
                self.tell(handle, self._problem.true_outcome(config))
            return
        for config, outcome in zip(configs, outcomes, strict=True):
            self._study.add_trial(past_trial(self._problem.parameters, config, values=outcome))

    def ask(self) -> tuple[optuna.Trial, Config]:
        trial = self._study.ask()
        return trial, {p.name: suggest(trial, p) for p in self._problem.parameters}

    def tell(self, handle: optuna.Trial, outcome: list[float]) -> None:
        m = len(self._problem.objectives)
        for name, value in zip(self._problem.constraints, outcome[m:], strict=True):
            handle.set_constraint(name, value)
        self._study.tell(handle, outcome[:m])


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return OptunaStudy(problem, seed, settings)
