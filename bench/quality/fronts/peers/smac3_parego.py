"""SMAC3's ParEGO with the random forest of its facade for hyperparameters, as its example has it.

At every suggestion a random weighting makes one value of the objectives, each scaled by its range so far.
SMAC3 has no constraints, so it runs on the problems without. ``n_trials`` is the length of the run, of which
a quarter goes into the initial design; ``deterministic`` is True, as in the one-objective bench.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from smac import HyperparameterOptimizationFacade, Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory import TrialValue

from bench.quality.peers.smac3 import configuration_space, value_of

if TYPE_CHECKING:
    from smac.runhistory import TrialInfo

    from bench.quality.fronts.optimiser import Optimiser
    from bench.quality.fronts.spec import Problem
    from bench.quality.spec import Config


class Smac3ParEGO:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        assert not problem.constraints
        self._parameters = problem.parameters
        folder = tempfile.mkdtemp(prefix="smac3-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        scenario = Scenario(
            configuration_space(problem),
            objectives=list(problem.objectives),
            seed=seed,
            deterministic=True,
            output_directory=folder,
            **settings,
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario,
            multi_objective_algorithm=ParEGO(scenario),
            logging_level=False,
            overwrite=True,
        )

    def ask(self) -> tuple[TrialInfo, Config]:
        info = self._facade.ask()
        given = dict(info.config)
        return info, {p.name: value_of(p, given[p.name]) for p in self._parameters}

    def tell(self, handle: TrialInfo, outcome: list[float]) -> None:
        self._facade.tell(handle, TrialValue(cost=outcome), save=False)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return Smac3ParEGO(problem, seed, settings)
