"""Random asynchronous studies, played on a history alone, that put every decision on record."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import hpo_core as hpo
from hpo_core.log import History, State
from hpo_core.log.columns import Move
from hpo_core.log.events import Asked, Decided, Failed, Paused, Reported, Resumed, Stopped, Told
from hpo_core.metrics import PLAIN, Metrics
from hpo_core.native.domain import Domain, random_draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.schedulers import Scheduler, Verdict

LAYOUT = hpo.Space({"x": hpo.Float(0, 1)}).layout
X = random_draws(Domain(LAYOUT), 3, 0, 0, 1)


def empty(metrics: Metrics = PLAIN) -> History:
    return History(LAYOUT, metrics)


def ask(history: History, n: int = 1) -> list[int]:
    first = len(history)
    history.apply(Asked(first, np.repeat(X, n, axis=1), 0, "random", 0.0))
    return list(range(first, first + n))


def report(history: History, rows: list[int], step: int, values: Any, planned: int = 0) -> None:
    """Values are signed: one for each row, or a row of metrics for each."""
    history.apply(Reported(np.array(rows), step, np.array(values, float).T, planned))


def told(history: History, row: int, verdict: Verdict) -> None:
    history.apply(Decided(np.array([row]), int(verdict.move), verdict.rung, verdict.reason))


def pause(history: History, row: int) -> None:
    history.apply(Paused(np.array([row]), np.zeros(1)))


def go_on(history: History, row: int) -> None:
    history.apply(Resumed(np.array([row]), history.position, 0.0))


def end(history: History, row: int, state: State) -> None:
    rows, cost = np.array([row]), np.zeros(1)
    if state == State.FAILED:
        history.apply(Failed(rows, "oom", cost))
        return
    value = history.reports.value[..., history.last_report.item(row)].reshape(-1, 1)
    history.apply((Told if state == State.COMPLETE else Stopped)(rows, value, cost))


@dataclass
class Play:
    """A study of some workers. What the scheduler says is checked by the functions given, and then done.

    A told trial may report again before it ends. Some trials fail, some reports are not finite, and some
    trials report only at every few steps. Two trials at one step may report at once, as cohorts do.
    """

    scheduler: Scheduler
    seed: int
    planned: int = 27
    says_planned: bool = True
    n_workers: int = 4
    n_trials: int = 30
    metrics: Metrics = field(default_factory=lambda: PLAIN)
    draw: Callable[[random.Random], Any] = lambda rng: float(rng.randint(0, 8))
    on_decide: Callable[[Play, int, Verdict], None] = lambda play, row, verdict: None
    on_resume: Callable[[Play, int, list[int]], None] = lambda play, n, rows: None
    log: list[tuple[int, int, Any]] = field(default_factory=list)  # finite reports
    promoted: list[tuple[int, int]] = field(default_factory=list)  # trial, depth at which it was paused
    paused: dict[int, int] = field(default_factory=dict)  # trial: depth at which it is paused

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.history = empty(self.metrics)
        self.scheduler.start(seed=self.seed)
        self.strides: dict[int, int] = {}
        self.told: dict[int, Verdict] = {}

    def run(self) -> Play:
        for _ in range(100_000):
            while len(self.history.running) < self.n_workers and self._give():
                pass
            running = self.history.running.tolist()
            if not running:
                return self
            self._advance(self.rng.choice(running))
        raise AssertionError("the study does not end")

    def _give(self) -> bool:
        n = self.rng.choice([1, 1, 1, 3])
        rows = self.scheduler.resume(self.history, n)
        self.on_resume(self, n, rows)
        for row in rows:
            go_on(self.history, row)
            self.promoted.append((row, self.paused.pop(row)))
            del self.told[row]
        if rows:
            return True
        if len(self.history) < self.n_trials:
            (row,) = ask(self.history)
            self.strides[row] = self.rng.choice([1, 1, 1, 1, 5])
            return True
        return False

    def _advance(self, row: int) -> None:
        rng, history = self.rng, self.history
        if row in self.told and rng.random() < 0.7:
            self._leave(row)
            return
        if rng.random() < 0.01:
            end(history, row, State.FAILED)
            return
        step = min(history.last_step(row) + self.strides[row], self.planned - 1)
        if step == history.last_step(row):  # told to stop or pause, but it has done all
            end(history, row, State.COMPLETE)
            return
        rows = [row]
        if rng.random() < 0.2:  # others that come to the same step
            rows += [
                other
                for other in history.running.tolist()
                if other != row and history.last_step(other) < step and other not in self.told
            ]
        values = [self.draw(rng) for _ in rows]
        if len(rows) == 1 and rng.random() < 0.01:
            flat = np.full(len(self.metrics.rows), math.nan)
            report(history, rows, step, [flat if len(flat) > 1 else math.nan], self._said)
            end(history, row, State.FAILED)
            return
        flat_values = [[*value[0], *value[1]] if isinstance(value, tuple) else value for value in values]
        report(history, rows, step, flat_values, self._said)
        self.log += [(each, step, value) for each, value in zip(rows, values, strict=True)]
        for each in rows:
            if each not in self.told:
                self._decide(each)
        for each in rows:
            if step == self.planned - 1:
                end(history, each, State.COMPLETE)

    @property
    def _said(self) -> int:
        return self.planned if self.says_planned else 0

    def _decide(self, row: int) -> None:
        verdict = self.scheduler.decide(self.history, row)
        assert self.scheduler.decide(self.history, row) == verdict
        if self.rng.random() < 0.1:
            assert self.fresh().decide(self.history, row) == verdict
        self.on_decide(self, row, verdict)
        assert (verdict.move is None) == (not verdict.reason)
        if verdict.move is not None:
            told(self.history, row, verdict)
            self.told[row] = verdict

    def _leave(self, row: int) -> None:
        verdict = self.told[row]
        if verdict.move == Move.PAUSE:
            pause(self.history, row)
            self.paused[row] = self.scheduler.min_steps * self.scheduler.factor**verdict.rung
        else:
            end(self.history, row, State.STOPPED)

    def fresh(self) -> Scheduler:
        """The scheduler as another process has it that has just read the log."""
        copy: Scheduler = pickle.loads(pickle.dumps(self.scheduler))
        copy.start(seed=self.seed)
        return copy
