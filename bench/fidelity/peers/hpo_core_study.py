"""hpo_core through its public ask, report, ``should_stop`` and tell.

``sampler`` and ``scheduler`` name them, "" for full trainings without reports; ``min_steps``, ``factor``, ``mode`` and other
names of ``SCHEDULER`` are options of the scheduler, the rest of the sampler. The number of epochs is told by
``trial.steps``; a trial that was paused goes on after its last report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from bench.fidelity.optimiser import Training
from bench.quality.peers.hpo_core_study import make_sampler, space

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task

SCHEDULER = ("min_steps", "max_steps", "factor", "mode", "brackets", "growing")


class FullTrainings:
    def __init__(self, task: Task, seed: int, sampler: str, options: dict[str, Any]) -> None:
        self._epochs = task.epochs
        self._study = hpo.Study(space(task), sampler=make_sampler(sampler, options), seed=seed)

    def ask(self) -> Training:
        trial = self._study.ask()
        return Training(trial, trial.params, 0, self._epochs)

    def report(self, training: Training, loss: float) -> bool:
        return True

    def end(self, training: Training, loss: float) -> None:
        self._study.tell(training.handle, loss)


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    options = dict(settings)
    sampler, scheduler = options.pop("sampler"), options.pop("scheduler")
    if not scheduler:
        return FullTrainings(task, seed, sampler, options)
    msg = f"scheduler {scheduler!r}"
    raise NotImplementedError(msg)
