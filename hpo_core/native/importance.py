"""The divergence of the best trials from all trials for each parameter; see csrc/importance.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.layout import Kind
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]

# Cells of a numeric parameter, at most. They are narrower than the bandwidth of a few hundred trials.
MAX_CELLS = 64


class Divergences(NamedTuple):
    """The results for each parameter, (d,) each.

    Attributes
    ----------
    divergence : float64
        Pearson divergence between the densities of the chosen and of all trials, of those where the
        parameter is active; at least 0, and at most n_active / n_chosen - 1.
    noise : float64
        What it has too much because the chosen trials are few. Less this, it is 0 in the mean if trials are
        chosen at random.
    n_active, n_chosen : int64
        Trials, and chosen trials, where the parameter is active.
    """

    divergence: Array
    noise: Array
    n_active: Counts
    n_chosen: Counts


def divergences(layout: Layout, x: Array, chosen: NDArray[np.bool_]) -> Divergences:
    """Compare the chosen trials with all trials, x (d, n) of ``layout``, NaN where inactive."""
    x = np.ascontiguousarray(x, np.float64)
    if x.ndim != 2 or len(x) != layout.size or chosen.shape != x.shape[1:]:
        raise ArgumentError(
            f"x must have shape ({layout.size}, n) and chosen (n,), got {x.shape} and {chosen.shape}"
        )
    all_edges = [_edges(layout, row) for row in range(layout.size)]
    categorical = layout.kinds == Kind.CATEGORICAL
    cells = np.array([len(edges) - 1 for edges in all_edges], np.int64)
    cells[categorical] = layout.levels[categorical]
    sizes = [len(edges) for edges in all_edges]
    start = np.where(categorical, -1, np.cumsum(sizes) - sizes).astype(np.int64)
    edges = np.concatenate([np.empty(0), *all_edges])
    found, counts = np.zeros((2, layout.size)), np.zeros((2, layout.size), np.int64)
    module("importance").divergences(
        cells, start, edges, x, np.ascontiguousarray(chosen, np.uint8), found, counts
    )
    return Divergences(*found, *counts)


def _edges(layout: Layout, row: int) -> Array:
    """Edges of the cells of a numeric parameter: of its levels if these are few, else of equal parts."""
    if layout.kinds[row] == Kind.CATEGORICAL:
        return np.empty(0)
    first, last = layout.table_start[row : row + 2].tolist()
    if 0 < last - first <= MAX_CELLS:
        return np.concatenate([[0.0], np.cumsum(layout.widths[first:last])])
    return np.linspace(0.0, 1.0, MAX_CELLS + 1)
