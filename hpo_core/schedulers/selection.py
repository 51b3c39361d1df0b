"""Sorted numbers without sorting: the best few kept apart from the others."""

from __future__ import annotations

import math
from heapq import heappop, heappush, heappushpop
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Key: TypeAlias = "tuple[float, ...]"


class Selection:
    """Keys, the best ``quota(n)`` of all n apart from the others. Less is better.

    Two heaps with the limit between them, so that a key is added in O(log n).

    Parameters
    ----------
    quota : callable
        From n to the size of the selection. It never falls, and one key more raises it by at most one.
    keys : iterable of Key
        To begin with.
    """

    def __init__(self, quota: Callable[[int], int], keys: Iterable[Key] = ()) -> None:
        self._quota = quota
        self._others = sorted(keys)  # a sorted list is a heap
        k = quota(len(self._others))
        self._best = [_negated(key) for key in reversed(self._others[:k])]
        del self._others[:k]

    def __len__(self) -> int:
        return len(self._best) + len(self._others)

    @property
    def size(self) -> int:
        """Number of keys that are selected."""
        return len(self._best)

    @property
    def last(self) -> Key | None:
        """The worst selected key, None if no key is."""
        return _negated(self._best[0]) if self._best else None

    @property
    def next(self) -> Key | None:
        """The best key that is not selected, None if every key is."""
        return self._others[0] if self._others else None

    def includes(self, key: Key) -> bool:
        """Whether a key that was added is selected."""
        return bool(self._best) and _negated(key) >= self._best[0]

    def add(self, key: Key) -> None:
        """Add a key."""
        if self.includes(key):
            key = _negated(heappushpop(self._best, _negated(key)))
        heappush(self._others, key)
        if self._quota(len(self)) > len(self._best):
            heappush(self._best, _negated(heappop(self._others)))


class Quantile:
    """A quantile of numbers that come one by one, interpolated as ``numpy.quantile`` does.

    Parameters
    ----------
    q : float
        From 0 to 1.
    """

    def __init__(self, q: float) -> None:
        self._q = q
        self._selection = Selection(lambda n: math.floor(q * (n - 1)) + 1 if n else 0)

    def __len__(self) -> int:
        return len(self._selection)

    def add(self, number: float) -> None:
        """Add a number."""
        self._selection.add((number,))

    def value(self) -> float:
        """Return the quantile, NaN of no numbers."""
        last, following = self._selection.last, self._selection.next
        if last is None:
            return math.nan
        low = last[0]
        if following is None:
            return low
        position = self._q * (len(self) - 1)
        share, gap = position - math.floor(position), following[0] - low
        return following[0] - gap * (1.0 - share) if share >= 0.5 else low + gap * share


def _negated(key: Key) -> Key:
    return tuple([-part for part in key])
