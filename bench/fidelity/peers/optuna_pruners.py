"""Optuna's TPE with its pruners: report, ``should_prune``, and the last value told as pruned or complete.

``pruner`` names one of ``PRUNERS``. Their arguments are the defaults. Hyperband is also told the number of
epochs, as its documentation advises: ``min_resource=1, max_resource=epochs, reduction_factor=3``. Steps count
from 1, so that a resource is a number of epochs. The study has a name, from which Hyperband draws brackets.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import optuna

from bench.fidelity.optimiser import Training
from bench.quality.peers.optuna_study import suggest

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

PRUNERS = {
    "none": lambda _: optuna.pruners.NopPruner(),
    "median": lambda _: optuna.pruners.MedianPruner(),
    "halving": lambda _: optuna.pruners.SuccessiveHalvingPruner(),
    "hyperband": lambda epochs: optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=epochs, reduction_factor=3
    ),
}


class OptunaStudy:
    def __init__(self, task: Task, seed: int, settings: dict[str, Any]) -> None:
        self._task = task
        options = dict(settings)
        pruner = PRUNERS[options.pop("pruner")](task.epochs)
        sampler = optuna.samplers.TPESampler(seed=seed, **options)
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=f"{task.name}-{seed}")

    def ask(self) -> Training:
        trial = self._study.ask()
        return Training(
            trial, {p.name: suggest(trial, p) for p in self._task.parameters}, 0, self._task.epochs
        )

    def report(self, training: Training, loss: float) -> bool:
        training.handle.report(loss, step=training.done)
        return not training.handle.should_prune()

    def end(self, training: Training, loss: float) -> None:
        if training.done == training.until:
            self._study.tell(training.handle, loss)
        else:
            self._study.tell(training.handle, state=optuna.trial.TrialState.PRUNED)


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    return OptunaStudy(task, seed, settings)
