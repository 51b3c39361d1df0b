"""hpo_core through its public ask, report, ``should_stop`` and tell.

``sampler`` and ``scheduler`` name them; with the scheduler "" every training is full, and reports nothing.
Settings that the scheduler's constructor takes are its options, the others are the sampler's. The number of
epochs is told by ``trial.steps``. A file in its folder says that a paused trial can go on after its last
report.
"""

from __future__ import annotations

import atexit
import inspect
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from bench.fidelity.optimiser import Training
from bench.quality.peers.hpo_core_study import make_sampler, space
from hpo_core.schedulers import registry

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task


class FullTrainings:
    def __init__(self, task: Task, seed: int, sampler: Any) -> None:
        self._epochs = task.epochs
        self._study = hpo.Study(space(task), sampler=sampler, seed=seed)

    def ask(self) -> Training:
        trial = self._study.ask()
        return Training(trial, trial.params, 0, self._epochs)

    def report(self, training: Training, loss: float) -> bool:  # noqa: ARG002 - every training goes on
        return True

    def end(self, training: Training, loss: float) -> None:
        self._study.tell(training.handle, loss)


class Scheduled:
    def __init__(self, task: Task, seed: int, sampler: Any, scheduler: Any) -> None:
        self._epochs = task.epochs
        folder = tempfile.mkdtemp(prefix="fidelity-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._study = hpo.Study(
            space(task), sampler=sampler, scheduler=scheduler, seed=seed, checkpoints=folder
        )

    def ask(self) -> Training:
        trial = self._study.ask()
        return Training(trial, trial.params, next(trial.steps(self._epochs)), self._epochs)

    def report(self, training: Training, loss: float) -> bool:
        trial = training.handle
        trial.report(training.done - 1, loss)
        stops = trial.should_stop()
        if stops:
            (trial.folder / "state").touch()
        return not stops

    def end(self, training: Training, loss: float) -> None:
        self._study.tell(training.handle, loss)


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    options = dict(settings)
    sampler, scheduler = options.pop("sampler"), options.pop("scheduler")
    if not scheduler:
        return FullTrainings(task, seed, make_sampler(sampler, options))
    kind = registry.BY_NAME[scheduler]
    taken = inspect.signature(kind).parameters.keys() & options.keys()
    own = {name: options.pop(name) for name in taken}
    return Scheduled(task, seed, make_sampler(sampler, options), kind(**own))
