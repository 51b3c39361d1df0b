"""SMAC3's MultiFidelityFacade: Hyperband over epochs as budgets, its random forest, through ask and tell.

A configuration that is asked for again with a greater budget goes on where it was: its epochs are counted
once, which SMAC3 itself does not arrange. The cost of a budget is the loss after its last epoch. ``eta`` is 3
and the incumbent the best at the highest budget observed, the facade's defaults. ``n_trials`` is beyond what
a run reaches: it ends by its epochs. ``deterministic`` is True, as in the other benches.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from ConfigSpace import ConfigurationSpace
from smac import MultiFidelityFacade, Scenario
from smac.runhistory import TrialValue

from bench.fidelity.optimiser import Training
from bench.quality.peers.smac3 import declare, value_of

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task

N_TRIALS = 5000


class Smac3Hyperband:
    def __init__(self, task: Task, seed: int, settings: dict[str, Any]) -> None:
        self._parameters, self._epochs = task.parameters, task.epochs
        folder = tempfile.mkdtemp(prefix="smac3-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        space = ConfigurationSpace(seed=seed)
        space.add([declare(p) for p in task.parameters])
        scenario = Scenario(
            space,
            seed=seed,
            deterministic=True,
            min_budget=1,
            max_budget=task.epochs,
            n_trials=N_TRIALS,
            output_directory=folder,
            **settings,
        )
        self._facade = MultiFidelityFacade(scenario, logging_level=False, overwrite=True)
        self._done: dict[Any, tuple[int, float]] = {}  # epochs of each configuration, and the last loss

    def ask(self) -> Training | None:
        while True:
            info = self._facade.ask()
            until = min(self._epochs, max(1, round(info.budget)))
            done, loss = self._done.get(info.config, (0, 0.0))
            if done < until:
                given = dict(info.config)
                return Training(
                    info, {p.name: value_of(p, given[p.name]) for p in self._parameters}, done, until
                )
            self._facade.tell(info, TrialValue(cost=loss), save=False)  # nothing is left to train

    def report(self, training: Training, loss: float) -> bool:
        self._done[training.handle.config] = (training.done, loss)
        return True

    def end(self, training: Training, loss: float) -> None:
        self._facade.tell(training.handle, TrialValue(cost=loss), save=False)


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    return Smac3Hyperband(task, seed, settings)
