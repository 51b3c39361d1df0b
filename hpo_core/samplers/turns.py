"""Choose the next sampler by how often its recent trials improved on the best so far.

The choice depends on the record alone. Half of the turns are shared out evenly, the others in proportion to
each sampler's rate of successes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.log import State
from hpo_core.samplers.ranking import objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpo_core.log import History

# Latest finished trials that count.
WINDOW = 300
# This part of the turns is shared out evenly: a sampler may need many trials before its first success.
EVEN = 0.5
# Prior of each rate of successes: so many extra trials, at this share of the overall rate.
FEW, SHARE = 15, 0.3
# The least gain that is a success, as a share of the way from the best of the first trials to their median.
LEAST = 1e-8


class Turns:
    """The record of successes that decides turns. Appending gives the same state as rebuilding.

    Parameters
    ----------
    n_first : int
        Finished trials that came before any turns.
    """

    def __init__(self, n_first: int) -> None:
        self._n_first = n_first
        self._n, self._best, self._worth = 0, np.inf, 0.0
        self._latest: deque[tuple[int, bool]] = deque(maxlen=WINDOW)  # origin, and whether it was a success

    def next(self, history: History, names: Sequence[str]) -> str:
        """Return the one of ``names`` whose turn it is, the first of equal ones."""
        self._take_in(history)
        running = history.origin[history.running].tolist()
        usual = sum(success for _, success in self._latest) / max(len(self._latest), 1)
        rates, turns = [], []
        for name in names:
            code = history.origins.index(name) if name in history.origins else -1
            mine = [success for origin, success in self._latest if origin == code]
            rates.append((sum(mine) + SHARE * FEW * usual) / (len(mine) + FEW) if usual else 1.0)
            turns.append(len(mine) + running.count(code) + 1)
        equal = EVEN * sum(rates) / len(rates)
        due = [((1 - EVEN) * rate + equal) / n for rate, n in zip(rates, turns, strict=True)]
        return names[due.index(max(due))]

    def _take_in(self, history: History) -> None:
        order, y = history.finish_order, objective(history)
        if self._n < self._n_first:
            rows = order[: self._n_first]
            rows = rows[history.state[rows] == State.COMPLETE]
            self._best = float(y[rows].min(initial=np.inf))
            self._worth, self._n = worth(history, self._n_first), self._n_first
        for row in order[self._n :].tolist():
            success = False
            if history.state.item(row) == State.COMPLETE and y.item(row) < self._best:
                success = self._best - y.item(row) > self._worth
                self._best = y.item(row)
            self._latest.append((history.origin.item(row), success))
        self._n = len(order)


def worth(history: History, n: int) -> float:
    """Return the least difference that counts, from the first ``n`` finished trials."""
    rows = history.finish_order[:n]
    y = objective(history)[rows[history.state[rows] == State.COMPLETE]]
    if not len(y):
        return 0.0
    return LEAST * float(np.partition(y, len(y) // 2)[len(y) // 2]) - LEAST * float(y.min())
