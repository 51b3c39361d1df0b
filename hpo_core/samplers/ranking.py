"""Which trial is better. Nothing else in the package decides this.

Feasible trials come before infeasible ones, and less violation before more; then complete trials before
stopped ones, and deeper before shallower; then the smaller objective, or, of several objectives, the smaller
level among the fronts, see ``hpo_core.samplers.fronts``; then the trial that finished earlier.

Glossary
--------
keys        (3, capacity) by trial: violation, minus the fidelity, objective or level. Less is better, and the
            first key that differs decides. A failed trial has no rank: its first key is NaN
gain        (capacity,) by trial: minus the last key of a complete feasible trial, NaN in other ranked trials.
            Only differences between gains are meaningful. Entries of running and failed trials are undefined,
            as are the keys of running trials
settled     the trials that finished first, whose fronts have been formed. Each trial may change the level of
            any other one, so fronts are formed at numbers of finished trials 3 to 6 % apart; a trial that
            finishes in between gets the level that it has among the settled ones
violation   0 in a feasible trial; else the amounts by which its constraints exceed 0, each divided by the
            largest such amount of any finished trial, and added. An unknown constraint (NaN) adds nothing
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.log import State
from hpo_core.samplers.fronts import Levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History

    Array = NDArray[np.float64]

N_KEYS = 3


class Ranking:
    """Order of a history's trials, kept up to date as they finish.

    The order is a function of the trials in their order of finishing. O(1) for each trial, and O(log n) on
    average if there are two objectives.

    A ranking follows one history that only grows. After a roll-back, ``restart`` it.

    Attributes
    ----------
    keys, gain : ndarray
        See the glossary of the module. They move to larger buffers as trials are added.
    version : int
        How many times the keys or gains of ranked trials have changed. Whoever derived something from them
        must then derive it again from all finished trials.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget every trial."""
        self.version = 0
        self.keys, self.gain = _columns(0)
        self._n = self._capacity = 0  # ranked trials of finish_order; length of the columns
        self._constrained = self._several = False
        self._best, self._best_keys = -1, (math.inf,) * N_KEYS
        self._unit = np.zeros(0)  # of violation, by constraint
        self._n_settled = 0
        self._levels: Levels  # of settled trials; complete feasible ones count

    def best(self, history: History) -> int:
        """Return the complete trial that comes first, -1 if there is none."""
        if history.metrics.n_objectives > 1:
            return next(iter(completed(history).tolist()), -1)
        self.update(history)
        return self._best

    def update(self, history: History, *, settle: bool = False) -> None:
        """Rank the trials that have finished since the last call; with ``settle``, form the fronts of all."""
        n = history.count_finished()
        if n == self._n:
            return
        if len(history) > self._capacity:
            self._grow(history)
        if self._several:
            self._rank_levels(history, n if settle else n - n % settling_step(n))
        elif n == self._n + 1 and not self._constrained:
            self._rank_one(history, history.finished(n - 1))
        else:
            self._rank_new(history)
        self._n = n

    def _grow(self, history: History) -> None:
        n, capacity = self._capacity, history.x_buffer.shape[1]
        keys, gain = _columns(capacity)
        keys[:, :n], gain[:n] = self.keys, self.gain
        self.keys, self.gain = keys, gain
        self._constrained = len(history.violation) > 0
        self._several = history.metrics.n_objectives > 1
        self._capacity = capacity  # last: an exception may strike anywhere

    def _rank_new(self, history: History) -> None:
        new = history.finish_order[self._n :]
        self._rank(history, history.finish_order if self._exceeds(history.violation[:, new]) else new)

    def _exceeds(self, violation: Array) -> bool:
        """Note whether new trials change the unit of violation, and with it the keys of all trials."""
        most = np.fmax.reduce(violation, axis=1, initial=0.0)
        unit = np.maximum(most, self._unit) if len(self._unit) else most
        if np.array_equal(unit, self._unit):
            return False
        if self._n:
            self.version += 1
            self._best, self._best_keys = -1, (math.inf,) * N_KEYS
            self._n = 0  # before the unit: an exception may strike anywhere
        self._unit = unit
        return True

    def _scaled(self, violation: Array) -> Array:
        return scaled_violation(violation, self._unit)

    def _rank_one(self, history: History, trial: int) -> None:
        """Do the work of ``_rank`` for one trial without constraints, the common case."""
        fidelity, y = history.buffer("fidelity").item(trial), history.buffer("outcomes").item(0, trial)
        if fidelity == math.inf:  # the other keys are as the columns were filled
            self.keys[2, trial], self.gain[trial] = y, -y
            keys = 0.0, -math.inf, y
            if keys < self._best_keys:
                self._best, self._best_keys = trial, keys
        elif fidelity == -math.inf:
            self.keys[0, trial] = np.nan
        else:
            self.keys[1, trial], self.keys[2, trial], self.gain[trial] = -fidelity, y, np.nan

    def _rank_levels(self, history: History, n_settled: int) -> None:
        """Do the work of ``_rank`` for several objectives, with the first ``n_settled`` trials settled."""
        order = history.finish_order
        exceeds = self._constrained and self._exceeds(history.violation[:, order[self._n :]])
        if exceeds or n_settled != self._n_settled:
            if self._n:
                self.version += 1
            self._n = self._n_settled = 0  # an exception may strike anywhere
            self._settle(history, order[:n_settled])
            self._n = self._n_settled = n_settled
        for trial in order[self._n :].tolist():
            self._rank_among_settled(history, trial)

    def _settle(self, history: History, new: NDArray[np.int64]) -> None:
        """Form the fronts of trials and rank them."""
        works = history.state[new] != State.FAILED
        self.keys[0, new[~works]] = np.nan
        ranked = new[works]
        violation, y = self._scaled(history.violation[:, ranked]), history.y[:, ranked]
        counts = (history.state[ranked] == State.COMPLETE) & (violation == 0.0)
        self._levels = Levels(y, counts, history.metrics.reference)
        level = self._levels.levels
        self.keys[:, ranked] = violation, -history.fidelity[ranked], level
        self.gain[ranked] = np.where(counts, -level, np.nan)

    def _rank_among_settled(self, history: History, trial: int) -> None:
        """Rank one trial by the level that it has among the settled ones."""
        fidelity = history.fidelity.item(trial)
        if fidelity == -math.inf:
            self.keys[0, trial] = np.nan
            return
        violation = self._scaled(history.violation[:, [trial]]).item() if self._constrained else 0.0
        counts = fidelity == math.inf and violation == 0.0
        level = self._levels.level(history.y[:, trial], counts=counts)
        self.keys[0, trial], self.keys[1, trial], self.keys[2, trial] = violation, -fidelity, level
        self.gain[trial] = -level if counts else np.nan

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
    """Return keys and gains for new trials, filled as for feasible complete ones."""
    keys = np.zeros((N_KEYS, capacity))
    keys[1] = -np.inf
    return keys, np.zeros(capacity)


def scaled_violation(violation: Array, unit: Array) -> Array:
    """Return the violation (k,) of amounts (c, k) past the bounds, see the glossary; ``unit`` is (c,)."""
    unit = np.where(unit > 0.0, unit, 1.0)[:, np.newaxis]
    scaled: Array = np.sum(np.fmax(violation, 0.0) / unit, axis=0)  # zeros if there are no constraints
    return scaled


def settling_step(n: int) -> int:
    """Return how many trials finish until fronts are formed again: one while there are fewer than 64."""
    return 1 << n.bit_length() - 5 if n >= 64 else 1


def sort(keys: Array) -> NDArray[np.int64]:
    """Return the places of trials with ``keys`` (3, k), best first; equal ones keep their order."""
    order: NDArray[np.int64] = np.lexsort(keys[::-1])
    return order


def completed(history: History) -> NDArray[np.int64]:
    """Return the complete trials, best first."""
    ranking, order = Ranking(), history.finish_order
    ranking.update(history, settle=True)
    rows = order[history.state[order] == State.COMPLETE]
    return np.take(rows, sort(ranking.keys[:, rows]))


def objective(history: History) -> Array:
    """Return the values to minimise, (n,); NaN where a trial has none."""
    values: Array = history.y[0]
    return values
