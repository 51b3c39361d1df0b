"""Which trial is better: said here and nowhere else.

Feasible trials come before infeasible ones, less violation before more; then complete trials before stopped
ones, and deeper before shallower; then less of the objective, which is minimised; then what finished earlier.

Glossary
--------
keys        (3, capacity) by trial: violation, minus the fidelity, objective. Less is better; the first
            that differs decides. The first is NaN in a failed trial, which has no rank
gain        (capacity,) by trial: minus the objective, of which differences mean something, of complete
            feasible trials; NaN in others. Keys and gains of trials that run mean nothing
violation   0 of a feasible trial; else the sum of what each constraint exceeds 0 by, in units of the most
            that any finished trial exceeds it by. What is not known (NaN) is not exceeded
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.log import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History

    Array = NDArray[np.float64]

N_KEYS = 3


class Ranking:
    """Order of a history's trials, kept up to date as they finish: O(1) for each.

    A ranking follows one history that only grows. After a roll-back, ``restart`` it.

    Attributes
    ----------
    keys, gain : ndarray
        See the glossary of the module. They are moved to larger buffers as trials come.
    version : int
        How many times keys or gains of trials ranked before have changed: what was derived from them is then
        to be derived again from all finished trials.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget every trial."""
        self.version = 0
        self.keys, self.gain = _columns(0)
        self._n = self._capacity = 0  # of finish_order, ranked; of the columns
        self._constrained = False
        self._best, self._best_keys = -1, (math.inf,) * N_KEYS
        self._unit = np.zeros(0)  # of violation, by constraint

    def best(self, history: History) -> int:
        """Complete trial that comes first, -1 if there is none."""
        self.update(history)
        return self._best

    def update(self, history: History) -> None:
        """Rank the trials that have finished since the last call."""
        n = history.count_finished()
        if n == self._n:
            return
        if len(history) > self._capacity:
            self._grow(history)
        if n == self._n + 1 and not self._constrained:
            self._rank_one(history, history.finish_order.item(-1))
        else:
            self._rank_new(history)
        self._n = n

    def _grow(self, history: History) -> None:
        n, capacity = self._capacity, history.x_buffer.shape[1]
        keys, gain = _columns(capacity)
        keys[:, :n], gain[:n] = self.keys, self.gain
        self.keys, self.gain = keys, gain
        self._constrained = len(history.violation) > 0
        self._capacity = capacity  # last: an exception may strike anywhere

    def _rank_new(self, history: History) -> None:
        new = history.finish_order[self._n :]
        self._rank(history, history.finish_order if self._exceeds(history.violation[:, new]) else new)

    def _exceeds(self, violation: Array) -> bool:
        """Whether new trials change the unit of violation, and with it the keys of all trials."""
        most = np.fmax.reduce(violation, axis=1, initial=0.0)
        unit = np.maximum(most, self._unit) if len(self._unit) else most
        if np.array_equal(unit, self._unit):
            return False
        self._unit = unit
        if self._n:
            self.version += 1
            self._best, self._best_keys = -1, (math.inf,) * N_KEYS
        return True

    def _scaled(self, violation: Array) -> Array:
        unit = np.where(self._unit > 0.0, self._unit, 1.0)[:, None]
        scaled: Array = np.sum(np.fmax(violation, 0.0) / unit, axis=0)  # zeros if there are no constraints
        return scaled

    def _rank_one(self, history: History, trial: int) -> None:
        """Do as ``_rank`` does without constraints; one trial at a time is the common case."""
        fidelity, y = history.fidelity.item(trial), history.y.item(0, trial)
        if fidelity == math.inf:  # as the columns are filled up
            self.keys[2, trial], self.gain[trial] = y, -y
            keys = 0.0, -math.inf, y
            if keys < self._best_keys:
                self._best, self._best_keys = trial, keys
        elif fidelity == -math.inf:
            self.keys[0, trial] = np.nan
        else:
            self.keys[1, trial], self.keys[2, trial], self.gain[trial] = -fidelity, y, np.nan

    def _rank(self, history: History, new: NDArray[np.int64]) -> None:
        works = history.state[new] != State.FAILED
        self.keys[0, new[~works]] = np.nan
        ranked = new[works]
        y, violation = objective(history)[ranked], self._scaled(history.violation[:, ranked])
        keys = np.stack([violation, -history.fidelity[ranked], y])
        complete = history.state[ranked] == State.COMPLETE
        self.keys[:, ranked] = keys
        self.gain[ranked] = np.where(complete & (violation == 0.0), -y, np.nan)
        if complete.any():
            first = sort(keys[:, complete])[0]
            found = tuple(keys[:, complete][:, first].tolist())
            if found < self._best_keys:
                self._best, self._best_keys = int(ranked[complete][first]), found


def _columns(capacity: int) -> tuple[Array, Array]:
    """Keys and gains, filled up as those of feasible complete trials begin."""
    keys = np.zeros((N_KEYS, capacity))
    keys[1] = -np.inf
    return keys, np.zeros(capacity)


def sort(keys: Array) -> NDArray[np.int64]:
    """Places of trials with ``keys`` (3, k), best first; equal ones stay in their order."""
    order: NDArray[np.int64] = np.lexsort(keys[::-1])
    return order


def completed(history: History) -> NDArray[np.int64]:
    """Complete trials, best first."""
    ranking, order = Ranking(), history.finish_order
    ranking.update(history)
    rows = order[history.state[order] == State.COMPLETE]
    return np.take(rows, sort(ranking.keys[:, rows]))


def objective(history: History) -> Array:
    """What is minimised, (n,); NaN where a trial has no value."""
    values: Array = history.y[0]
    return values
