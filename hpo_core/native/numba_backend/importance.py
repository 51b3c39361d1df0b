"""The functions of _importance.pyx in numba; csrc/importance.h explains symbols and formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]

SCOTT, IQR_OF_NORMAL = 1.059, 1.349


@njit(cache=True, nogil=True)
def _choice_of(x: float, m: int) -> int:
    return min(max(int(x), 0), m - 1)


@njit(cache=True, nogil=True)
def _cell_of(edges: Array, x: float) -> int:
    m = len(edges) - 1
    k = _choice_of(x * m, m)
    while k > 0 and x < edges[k]:
        k -= 1
    while k < m - 1 and x >= edges[k + 1]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _quantile(edges: Array, count: Array, rank: float) -> float:
    k, below = 0, count[0]
    while below < rank and k < len(count) - 1:
        k += 1
        below += count[k]
    return float(0.5 * (edges[k] + edges[k + 1]))


@njit(cache=True, nogil=True)
def _bandwidth(edges: Array, count: Array, n: float) -> float:
    center = 0.5 * (edges[1:] + edges[:-1])
    mean = np.sum(count * center) / n
    squares = np.sum(count * (center - mean) ** 2)
    sd = math.sqrt(squares / (n - 1.0)) if n > 1.0 else 0.0
    iqr = _quantile(edges, count, 0.75 * n) - _quantile(edges, count, 0.25 * n)
    spread = min(sd, iqr / IQR_OF_NORMAL) if iqr > 0.0 else sd
    return float(SCOTT * spread * n**-0.2)


@njit(cache=True, nogil=True)
def _smooth(edges: Array, h: float, count: Array, p: Array) -> None:
    """Write S f, S f' and the sums of S^2 f and S^2 f' into the rows of ``p``, from the rows of ``count``."""
    m = len(edges) - 1
    inverse = 1.0 / h if h > 0.0 else math.inf
    column = np.empty(m)
    for j in range(m):
        if count[0, j] == 0.0:
            continue
        total = 0.0
        for g in range(m):
            off = 0.5 * (edges[g] + edges[g + 1]) - 0.5 * (edges[j] + edges[j + 1])
            z = 0.0 if g == j else off * inverse
            column[g] = (edges[g + 1] - edges[g]) * math.exp(-0.5 * z * z)
            total += column[g]
        for g in range(m):
            s = column[g] / total
            p[0, g] += s * count[0, j]
            p[1, g] += s * count[1, j]
            p[2, g] += s * s * count[0, j]
            p[3, g] += s * s * count[1, j]


@njit(cache=True, nogil=True)
def _count(edges: Array, x: Array, chosen: NDArray[np.uint8], count: Array) -> None:
    for i in range(len(x)):
        if not math.isnan(x[i]):
            k = _cell_of(edges, x[i]) if len(edges) else _choice_of(x[i], count.shape[1])
            count[0, k] += 1.0
            count[1, k] += chosen[i]


@njit(cache=True, nogil=True)
def _noise_of(d: float, of_all: float, of_best: float, a: float, b: float) -> float:
    if a < 2.0:
        return 0.0
    return of_all if b < 2.0 else (of_best - d) / (b - 1.0) - of_all / (a - 1.0)


@njit(cache=True, nogil=True)
def divergences(
    cells: Counts,
    start: Counts,
    edges: Array,
    x: Array,
    chosen: NDArray[np.uint8],
    divergences_out: Array,
    counts_out: Counts,
) -> None:
    """Divergences and their noise, and numbers of trials and of chosen ones, row by row."""
    for i in range(len(cells)):
        m = cells[i]
        own = edges[start[i] : start[i] + m + 1] if start[i] >= 0 else edges[:0]
        count, p = np.zeros((2, m)), np.zeros((4, m))
        _count(own, x[i], chosen, count)
        a, b = count[0].sum(), count[1].sum()
        counts_out[0, i], counts_out[1, i] = int(a), int(b)
        divergences_out[:, i] = 0.0
        if b == 0.0:
            continue
        if len(own):
            _smooth(own, _bandwidth(own, count[1], b), count, p)
        else:
            p[:2] = p[2:] = count
        of_all, of_best = -1.0, -1.0
        for g in range(m):
            if p[0, g] > 0.0:
                off = p[1, g] / b - p[0, g] / a
                divergences_out[0, i] += off * off / (p[0, g] / a)
                of_all += p[2, g] / p[0, g]
                of_best += p[3, g] / b / (p[0, g] / a)
        divergences_out[1, i] = _noise_of(divergences_out[0, i], of_all, of_best, a, b)
