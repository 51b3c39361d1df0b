"""Trainings on a virtual clock: what is found by when, with one worker or many.

Glossary
--------
time     seconds, or epochs where every epoch takes one unit
horizon  when the run ends; an epoch that ends later does not count
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench.quality.spec import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bench.fidelity.optimiser import Optimiser, Training
    from bench.fidelity.tables import Task
    from bench.quality.spec import Config

T = TypeVar("T")

SAMPLED = 256  # trainings whose mean time sets the horizon of many workers


@dataclass
class Found:
    """What a run has found: ``curve`` gains (time, loss) wherever the least loss of any epoch falls."""

    curve: list[tuple[float, float]] = field(default_factory=list)
    epochs: int = 0
    trainings: int = 0  # configurations that were started
    full: int = 0  # trainings that reached their last epoch
    seconds: float = 0.0  # in the optimiser

    def add(self, now: float, loss: float) -> None:
        self.epochs += 1
        if not self.curve or loss < self.curve[-1][1]:
            self.curve.append((now, loss))


def train(
    optimiser: Optimiser,
    task: Task,
    found: Found,
    *,
    workers: int,
    ends: Callable[[Config], NDArray[np.float64]],
    horizon: float,
) -> None:
    """Run to the horizon. ``ends`` gives the time of the end of each epoch from a training's start.

    A free worker asks at once. Epochs that end at the same time report in the order in which they began.
    """
    running: list[tuple[float, int, Training]] = []
    free, now, began = workers, 0.0, 0

    def start(training: Training) -> None:
        nonlocal began
        times, done = ends(training.config), training.done
        began += 1
        took = float(times[done] - (times[done - 1] if done else 0.0))
        heapq.heappush(running, (now + took, began, training))

    while True:
        while free:
            training = _timed(found, optimiser.ask)
            if training is None:
                break
            found.trainings += training.done == 0
            start(training)
            free -= 1
        if not running or running[0][0] > horizon:
            return
        now, _, training = heapq.heappop(running)
        loss = float(task.curve(training.config)[training.done])
        found.add(now, loss)
        training.done += 1
        found.full += training.done == task.epochs
        goes_on = _timed(found, lambda t=training, v=loss: optimiser.report(t, v))  # type: ignore[misc]
        if goes_on and training.done < training.until:
            start(training)
        else:
            _timed(found, lambda t=training, v=loss: optimiser.end(t, v))  # type: ignore[misc]
            free += 1


def _timed(found: Found, call: Callable[[], T]) -> T:
    began = time.perf_counter()
    answer = call()
    found.seconds += time.perf_counter() - began
    return answer


def unit_epochs(task: Task) -> Callable[[Config], NDArray[np.float64]]:
    """Times of a single worker, which are counted in epochs."""
    times = np.arange(1.0, task.epochs + 1)
    return lambda _: times


def horizon(task: Task, epochs: int, workers: int) -> float:
    """Seconds in which ``workers`` do so many epochs of random configurations, whatever they find."""
    rng = np.random.default_rng(0)
    full = np.mean([task.seconds(draw(task.parameters, rng))[-1] for _ in range(SAMPLED)])
    return float(full) * epochs / task.epochs / workers
