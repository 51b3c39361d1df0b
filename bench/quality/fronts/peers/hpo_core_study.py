"""hpo_core through its public ask and tell, with a metric for every objective and constraint.

``sampler`` names it; ``known`` says that an objective which is a formula over columns is given as one; other
settings are options of the sampler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from bench.quality.peers.hpo_core_study import make_sampler, space

if TYPE_CHECKING:
    from bench.quality.fronts.optimiser import Optimiser
    from bench.quality.fronts.spec import Problem
    from bench.quality.spec import Config


class HpoCore:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        options = dict(settings)
        known = problem.known if options.pop("known", False) else {}
        self._names = (*problem.objectives, *problem.constraints)
        self._measured = [name for name in self._names if name not in known]
        metrics = {name: hpo.Minimize(known=known.get(name)) for name in problem.objectives}
        metrics |= {name: hpo.AtMost(0.0) for name in problem.constraints}
        sampler = make_sampler(options.pop("sampler"), options)
        self._study = hpo.Study(space(problem), metrics=metrics, sampler=sampler, seed=seed)

    def ask(self) -> tuple[Any, Config]:
        trial = self._study.ask()
        return trial, trial.params

    def tell(self, handle: Any, outcome: list[float]) -> None:
        values = dict(zip(self._names, outcome, strict=True))
        self._study.tell(handle, {name: values[name] for name in self._measured})


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return HpoCore(problem, seed, settings)
