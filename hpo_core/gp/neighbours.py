"""Neighbours of configurations in their discrete parameters, all in one array.

A neighbour differs in one parameter. A category may become any other, and so may a level if there are few;
otherwise a level moves by one, or by an eighth of the range. Parameters that become active take their values
from a template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.layout import Kind
from hpo_core.native.domain import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.native.domain import Domain

    Array = NDArray[np.float64]

FEW_LEVELS = 8
# Most moves of one start; if a space has more, they are thinned out evenly.
MAX_MOVES = 512


class Neighbours:
    """The moves of a space with discrete parameters.

    Parameters
    ----------
    domain : Domain

    Attributes
    ----------
    rows : (r,) int64
        The parameters that move: parameters with a table of levels, and categorical ones.
    """

    def __init__(self, domain: Domain) -> None:
        layout = domain.layout
        self._domain = domain
        self.rows = discrete_rows(layout)
        moves = [move for i, row in enumerate(self.rows) for move in _moves(i, layout, row)]
        thinned = moves[:: -(-len(moves) // MAX_MOVES)]
        self._place, self._shift, self._target = np.array(thinned, np.int64).T
        self._levels = layout.levels[self.rows]
        self._start = np.cumsum(self._levels) - self._levels
        self._coordinate = np.concatenate([_coordinates(layout, row) for row in self.rows])
        # One ascending table for all parameters: each has an interval of its own.
        categorical = layout.kinds[self.rows] == Kind.CATEGORICAL
        self._scale = np.where(categorical, 1.0 / self._levels, 1.0)[:, None]
        self._offset = 2.0 * np.arange(len(self.rows))[:, None]
        repeated = np.repeat(np.concatenate([self._scale, self._offset], axis=1), self._levels, axis=0).T
        self._table = self._coordinate * repeated[0] + repeated[1]

    def of(self, x: Array, template: Array) -> tuple[Array, NDArray[np.int64]]:
        """Return all neighbours (d, k) of configurations (d, m), settled, and the column that each is from.

        ``template`` (d,) gives the values of parameters that become active.
        """
        here = x[self.rows]
        found = np.searchsorted(self._table, np.nan_to_num(here) * self._scale + self._offset)
        level = (found - self._start[:, None])[self._place]  # (moves, m)
        target = np.where(self._shift != 0, level.T + self._shift, self._target).T
        real = (target != level) & (target >= 0) & (target < self._levels[self._place, None])
        move, owner = np.nonzero(real & ~np.isnan(here)[self._place])
        neighbours = np.take(np.where(np.isnan(x), template[:, None], x), owner, axis=1)
        place = self._place[move]
        value = self._coordinate[self._start[place] + target[move, owner]]
        neighbours[self.rows[place], np.arange(len(move))] = value
        return settle(self._domain, neighbours), owner


def discrete_rows(layout: Layout) -> NDArray[np.int64]:
    """Return the parameters that have more than one level or choice, and a table of them."""
    tabular = np.isin(layout.kinds, (Kind.CATEGORICAL, Kind.DISCRETE))
    return np.flatnonzero(tabular & (layout.levels > 1))


def _moves(place: int, layout: Layout, row: int) -> Iterator[tuple[int, int, int]]:
    """Yield the moves of one parameter: (place, levels up or 0, level to go to)."""
    n = int(layout.levels[row])
    if layout.kinds[row] == Kind.CATEGORICAL or n <= FEW_LEVELS:
        yield from ((place, 0, level) for level in range(n))
    else:
        yield from ((place, shift, 0) for far in {1, max(2, n // 8)} for shift in (-far, far))


def _coordinates(layout: Layout, row: int) -> Array:
    if layout.kinds[row] == Kind.CATEGORICAL:
        return np.arange(float(layout.levels[row]))
    return layout.centers[layout.table_start[row] : layout.table_start[row + 1]]
