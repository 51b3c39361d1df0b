"""The number of open rungs of a growing ladder (PASHA).

Glossary
--------
top         the highest open rung; at first 1
gap         between two trials whose curves crossed and crossed back: how far apart they were in the end
noise       a high percentile of the gaps
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import pairwise
from typing import NamedTuple

from hpo_core.schedulers.selection import Quantile

NOISE_PERCENTILE = 0.9  # of the paper
# Arrivals at a rung are compared with so many before them, so that each costs the same.
N_COMPARED = 128


class Arrival(NamedTuple):
    """A trial at a rung, with its value there and at the rung before."""

    row: int
    before: float
    value: float


class Ladder:
    """The open rungs, a function of the reports in their order.

    The next rung opens when a trial arrives at the top and the order of the trials there differs from their
    order at the rung before by more than noise: some trial has taken the place of another, and at the rung
    before their values were further apart than the noise.

    Attributes
    ----------
    top : int
    """

    def __init__(self) -> None:
        self.top = 1
        self._curves: defaultdict[int, dict[int, float]] = defaultdict(dict)  # by row: value at each depth
        self._latest: dict[int, float] = {}  # by row: value at the latest rung
        self._arrivals: defaultdict[int, deque[Arrival]] = defaultdict(lambda: deque(maxlen=N_COMPARED))
        self._gaps = Quantile(NOISE_PERCENTILE)

    def report(self, row: int, depth: int, value: float) -> None:
        """Add a report."""
        self._curves[row][depth] = value

    def arrive(self, row: int, rung: int, value: float) -> None:
        """Add an arrival at a rung, whose report was added before."""
        before, self._latest[row] = self._latest.get(row, value), value
        if rung == 0:
            return
        arrivals = self._arrivals[rung]
        if rung == self.top:
            for other in arrivals:
                self._compare(self._curves[row], self._curves[other.row])
        arrivals.append(Arrival(row, before, value))
        if rung == self.top and self._disagree(arrivals):
            self.top += 1

    def _compare(self, one: dict[int, float], other: dict[int, float]) -> None:
        """Note the gap between two curves if they have crossed and crossed back."""
        differences = [value - other[depth] for depth, value in one.items() if depth in other]
        signs = [difference > 0.0 for difference in differences if difference]
        if sum(a != b for a, b in pairwise(signs)) >= 2:
            self._gaps.add(abs(differences[-1]))

    def _disagree(self, arrivals: deque[Arrival]) -> bool:
        now = sorted(arrivals, key=lambda arrival: arrival.value)
        before = sorted(arrivals, key=lambda arrival: arrival.before)
        noise = self._gaps.value() if len(self._gaps) else 0.0
        return any(abs(a.before - b.before) > noise for a, b in zip(now, before, strict=True))
