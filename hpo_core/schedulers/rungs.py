"""Which results at a rung are the best. The order is that of ``hpo_core.samplers.ranking``.

Feasible results come before infeasible ones, and less violation before more; then the smaller objective or,
of several, the smaller level among the fronts; then the result that arrived earlier.

Glossary
--------
entry       number of a result at its rung, in the order of arrival
key         (violation, objective or level, entry)
settled     the entries whose fronts have been formed, see ``hpo_core.samplers.ranking``
unit        of violation, by constraint: the largest at this rung. A single constraint needs none
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.samplers.fronts import Levels
from hpo_core.samplers.ranking import scaled_violation, settling_step
from hpo_core.schedulers.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.metrics import Metrics
    from hpo_core.schedulers.selection import Key

    Array = NDArray[np.float64]


class Rung:
    """Results of trials at one rung, the best ``max(least, n // factor)`` of all n apart from the others.

    The order is a function of the results in the order of their arrival. O(log n) for each result; with
    several metrics that on average.

    Parameters
    ----------
    metrics : Metrics
    factor, least : int
    """

    def __init__(self, metrics: Metrics, factor: int, least: int) -> None:
        self._m, self._c = metrics.n_objectives, len(metrics.limit)
        self._limit, self._reference = metrics.limit, metrics.reference
        self._factor, self._least = factor, least
        self._rows: list[int] = []  # by entry
        self._entry: dict[int, int] = {}  # by row
        self._values: list[Array] = []  # by entry; of several metrics
        self._unit = np.zeros(self._c)
        self._keys: list[Key] = []
        self._selection = Selection(self._quota)
        self._paused: list[Key] = []  # a heap
        self._gone: set[int] = set()  # trials that went on
        self._back: set[int] = set()  # of these, trials that were interrupted and wait here again
        self._settle(0)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def quota(self) -> int:
        """Number of results that are among the best."""
        return self._quota(len(self))

    def _quota(self, n: int) -> int:
        return max(self._least, n // self._factor)

    def add(self, row: int, value: float | Array) -> None:
        """Add the result of a trial, signed: a float, or (M,) of several metrics."""
        entry = self._entry[row] = len(self._rows)
        self._rows.append(row)
        if isinstance(value, float):
            self._append((0.0, value, entry))
            return
        self._values.append(value)
        if self._c > 1:
            self._unit = np.fmax(self._unit, value[self._m :] - self._limit)

    def has_among_best(self, row: int) -> bool:
        """Whether the result of a trial is among the best."""
        self._rank()
        return self._selection.includes(self._keys[self._entry[row]])

    def pause(self, row: int) -> None:
        """Note that a trial has paused here."""
        if row in self._entry:
            self._rank()
            heappush(self._paused, self._keys[self._entry[row]])

    def leave(self, row: int) -> None:
        """Note that a trial goes on past this rung, after a pause or without one."""
        self._gone.add(row)

    def come_back(self, row: int) -> None:
        """Note that a trial that went on was interrupted: it waits here again, and keeps its place."""
        self._back.add(row)

    def promotable(self, n: int, is_paused: Callable[[int], bool]) -> list[int]:
        """Return up to ``n`` trials that are paused here and go on now.

        Those that were interrupted come first, then those among the best, best first. With these, no more go
        on than are among the best. A trial that was paused and is not is forgotten.
        """
        self._rank()
        self._back = {row for row in self._back if is_paused(row)}
        back = sorted(self._back, key=lambda row: self._keys[self._entry[row]])[:n]
        n = min(n - len(back), self.quota - len(self._gone))
        found: list[Key] = []
        while self._paused and len(found) < n and self._selection.includes(self._paused[0]):
            key = heappop(self._paused)
            row = self._rows[int(key[-1])]
            if is_paused(row) and row not in self._back:
                found.append(key)
        for key in found:
            heappush(self._paused, key)
        return back + [self._rows[int(key[-1])] for key in found]

    def _append(self, key: Key) -> None:
        self._keys.append(key)
        self._selection.add(key)

    def _rank(self) -> None:
        """Form the keys of new results, and of all when fronts are formed or the unit has grown."""
        n = len(self)
        if len(self._keys) == n:
            return
        n_settled = n - n % settling_step(n)
        stale = self._m > 1 and n_settled != self._n_settled
        stale = stale or not np.array_equal(self._unit, self._unit_used)
        if stale:
            self._settle(n_settled)
        for entry in range(len(self._keys), n):
            self._append(self._key(entry))
        if stale:
            self._paused = sorted(self._keys[int(key[-1])] for key in self._paused)

    def _settle(self, n: int) -> None:
        """Form the keys of the first ``n`` results."""
        self._n_settled, self._unit_used = n, self._unit
        values = np.array(self._values[:n]).reshape(n, self._m + self._c).T
        violation, y = self._violation(values), values[: self._m]
        self._levels = Levels(y, violation == 0.0, self._reference) if self._m > 1 else None
        last = y[0] if self._levels is None else self._levels.levels
        self._keys = list(zip(violation.tolist(), last.tolist(), range(n), strict=True))
        self._selection = Selection(self._quota, self._keys)

    def _key(self, entry: int) -> Key:
        value = self._values[entry]
        violation, y = self._violation(value[:, np.newaxis]).item(), value[: self._m]
        last = y.item(0) if self._levels is None else self._levels.level(y, counts=violation == 0.0)
        return violation, last, entry

    def _violation(self, values: Array) -> Array:
        """Return the violation of each result, of values (M, k)."""
        excess = values[self._m :] - self._limit[:, np.newaxis]
        return scaled_violation(excess, self._unit_used if self._c > 1 else np.ones(self._c))
