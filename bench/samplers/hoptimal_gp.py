"""hoptimal's Gaussian process at its defaults, on floats.

It asks for an objective and has no ask and tell: each suggestion is a call of ``optimize`` for one trial on a
thread, which waits in the objective for the value.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import hoptimal

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Problem


class Hoptimal:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = problem.parameters
        self._study = hoptimal.create_study("minimize", sampler=hoptimal.GPSampler(seed=seed))
        self._configs: queue.SimpleQueue[Config] = queue.SimpleQueue()
        self._values: queue.SimpleQueue[float] = queue.SimpleQueue()

    def load(self, configs: list[Config], values: list[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            self._study.add_trial(config, value)

    def ask(self) -> tuple[threading.Thread, Config]:
        trial = threading.Thread(target=self._study.optimize, args=(self._objective, 1), daemon=True)
        trial.start()
        return trial, self._configs.get()

    def tell(self, handle: threading.Thread, value: float) -> None:
        self._values.put(value)
        handle.join()

    def _objective(self, trial: Any) -> float:
        self._configs.put({p.name: trial.suggest_float(p.name, p.low, p.high) for p in self._parameters})
        return self._values.get()


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    assert not settings
    assert all(p.kind == "float" and not p.log for p in problem.parameters)
    return Hoptimal(problem, seed)
