"""Two rules in a few lines of numpy: the floor, and the baseline that is often left out.

``random``        random configurations, each trained to the end
``three-epochs``  rounds of ``WIDTH`` random configurations, each trained for three epochs, after which the
                  best so far that was not trained on is trained to the end
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.fidelity.optimiser import Training
from bench.quality.spec import draw

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task
    from bench.quality.spec import Config

FIRST = 3
WIDTH = 26  # of a round, which then takes 127 epochs of 52: 20 rounds in 2,600


class PlainRandom:
    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._rng = np.random.default_rng(seed)

    def ask(self) -> Training:
        return Training(None, draw(self._task.parameters, self._rng), 0, self._task.epochs)

    def report(self, training: Training, loss: float) -> bool:  # noqa: ARG002 - every training goes on
        return True

    def end(self, training: Training, loss: float) -> None:
        pass


class ThreeEpochs(PlainRandom):
    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._started = 0
        self._seen: list[tuple[float, int, Config]] = []  # after three epochs, not trained on

    def ask(self) -> Training:
        if self._started == WIDTH and self._seen:
            self._started = 0
            best = self._seen.pop(self._seen.index(min(self._seen, key=lambda s: s[:2])))
            return Training(None, best[2], FIRST, self._task.epochs)
        self._started += 1
        return Training(None, draw(self._task.parameters, self._rng), 0, FIRST)

    def end(self, training: Training, loss: float) -> None:
        if training.until == FIRST:
            self._seen.append((loss, len(self._seen), training.config))


RULES = {"random": PlainRandom, "three-epochs": ThreeEpochs}


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    options = dict(settings)
    rule = RULES[options.pop("rule")]
    if options:
        msg = f"plain rules have no settings, got {sorted(options)}"
        raise ValueError(msg)
    return rule(task, seed)
