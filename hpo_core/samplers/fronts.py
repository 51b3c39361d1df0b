"""Fronts of results of several objectives, and the contribution of each result to its front.

Glossary
--------
m           objectives; less is better
front       0: the results that no other one dominates; 1: those that only front 0 dominates, and so on
box         of a front: from its best values to its corner
corner      the reference, in each objective that has one; else a tenth of the front's range past its worst
            value. A result that is not below the corner adds nothing
merit       of a result on its front, from 0 to 1: the share of the box that it alone dominates. Of more than
            four objectives, its lead: how much worse it could be in all of them, as a share of the box, until
            another one is as good
level       number of the front plus 1 minus the merit: less is better
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.native.hypervolume import contribution, contributions, front_of, front_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# With a corner at the worst values, results at the ends of a front would add nothing. In 20 searches each of
# ZDT1-3 and Kursawe's problem, one range past them was no better, and ends that always come first were worse:
# bench/results/2026-11-28-fronts-ablations.md.
MARGIN = 0.1
# Merits are computed on the first fronts, until these hold so many results: TPE takes 25 for good at most. On
# a front of more than two objectives only the newest have one: the cost grows with their number squared.
N_TOLD_APART, NEWEST = 64, 256
MOST_EXACT = 4  # objectives of which hypervolumes are cheap


class Front:
    """One front of results (k, m), sorted by the last objective."""

    def __init__(self, y: Array, reference: Array) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values, or a range past 1e308
            low, high = y.min(axis=0), y.max(axis=0)
            span = np.where(high > low, high - low, 1.0)
            self._corner = np.where(np.isnan(reference), high + MARGIN * span, reference)
            self._sides = self._corner - low
            self._volume = float(np.prod(self._sides))
        self._is_useful = 0.0 < self._volume < math.inf and bool((self._sides > 0.0).all())
        self._y = y[(y < self._corner).all(axis=1)]

    def merits(self, y: Array) -> Array:
        """Of the front's own results (k, m)."""
        if not self._is_useful:
            return np.zeros(len(y))
        if y.shape[1] == 2:  # the corners between neighbours
            below = np.minimum(y, self._corner)
            width = -np.diff(below[:, 0], prepend=self._corner[0])
            return width * np.diff(below[:, 1], append=self._corner[1]) / self._volume
        if y.shape[1] <= MOST_EXACT:
            return np.minimum(contributions(y.T, self._corner) / self._volume, 1.0)
        leads = np.max((y - y[:, np.newaxis]) / self._sides, axis=2)
        np.fill_diagonal(leads, np.inf)
        return np.where(self._inside(y), np.clip(leads.min(axis=1), 0.0, 1.0), 0.0)

    def merit(self, y: Array) -> float:
        """Of one more result (m,)."""
        if not self._is_useful or not self._inside(y):
            return 0.0
        if len(y) <= MOST_EXACT:
            return min(contribution(self._y, self._corner, y) / self._volume, 1.0)
        leads = np.max((self._y - y) / self._sides, axis=1)
        return float(np.clip(leads.min(initial=np.inf), 0.0, 1.0))

    def _inside(self, y: Array) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.all(y < self._corner, axis=-1)
        return inside


class Fronts:
    """The fronts of results.

    Parameters
    ----------
    y : (m, n)
        In the order of finishing; NaN, an unknown value, is worse than any other.
    reference : (m,)
        NaN where there is none.

    Attributes
    ----------
    levels : (n,)
    """

    def __init__(self, y: Array, reference: Array) -> None:
        y = _known(y)
        ranks = front_ranks(y)
        order = np.lexsort([y[-1], ranks])
        self._points = np.ascontiguousarray(y[:, order].T)
        self._starts = np.searchsorted(ranks[order], np.arange(ranks.max(initial=-1) + 2))
        self._told_apart: list[Front] = []
        self.levels = ranks + 1.0
        for start, stop in zip(self._starts.tolist(), self._starts[1:].tolist(), strict=False):
            if start >= N_TOLD_APART:
                break
            at = np.arange(start, stop)
            if len(y) > 2 and stop - start > NEWEST:
                at = np.sort(at[np.argpartition(order[at], -NEWEST)[-NEWEST:]])
            front = Front(self._points[at], reference)
            self.levels[order[at]] -= front.merits(self._points[at])
            self._told_apart.append(front)

    def level(self, y: Array) -> float:
        """Return the level that one more result (m,) has among these."""
        y = _known(y)
        rank = front_of(self._points, self._starts, y)
        merit = self._told_apart[rank].merit(y) if rank < len(self._told_apart) else 0.0
        return rank + 1.0 - merit


class Levels:
    """Levels of results (m, n) among those that count, or else among the others.

    Parameters
    ----------
    y : (m, n)
    counts : (n,) bool
    reference : (m,)

    Attributes
    ----------
    levels : (n,)
    """

    def __init__(self, y: Array, counts: NDArray[np.bool_], reference: Array) -> None:
        self._others, self._counting = Fronts(y[:, ~counts], reference), Fronts(y[:, counts], reference)
        self.levels = np.empty(y.shape[1])
        self.levels[~counts], self.levels[counts] = self._others.levels, self._counting.levels

    def level(self, y: Array, *, counts: bool) -> float:
        """Return the level of one more result (m,)."""
        return (self._counting if counts else self._others).level(y)


def _known(y: Array) -> Array:
    return np.where(np.isnan(y), np.inf, y)
