"""The functions of _covariance.pyx in numba; csrc/covariance.h explains symbols and shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]


class KernelArrays(NamedTuple):
    """The members of ``covariance_kernel``."""

    order: Indices
    group_start: Indices
    n_numeric: Indices
    inverse: Array  # (d,) 1 / l of each column
    correlation: Array


def Kernel(  # noqa: N802 - the class of _covariance.pyx
    order: Indices, group_start: Indices, n_numeric: Indices, lengthscale: Array, correlation: Array
) -> KernelArrays:
    """Hyperparameters, lengthscales in the order of columns."""
    return KernelArrays(order, group_start, n_numeric, 1.0 / lengthscale[order], correlation.copy())


@njit(cache=True, nogil=True)
def inputs(kernel: KernelArrays, x: Array, z_out: Array, rows_out: Array, active_out: Array) -> bool:
    """Scaled points; False if a part of a group, or of group 0, is NaN."""
    whole = True
    for g in range(kernel.n_numeric.size):
        first, last = kernel.group_start[g], kernel.group_start[g + 1]
        for j in range(x.shape[1]):
            active = g == 0 or (first < last and not math.isnan(x[kernel.order[first], j]))
            active_out[g, j] = 1.0 if active else 0.0
            for c in range(first, last):
                value = x[kernel.order[c], j]
                whole = whole and math.isnan(value) != active
                numeric = c - first < kernel.n_numeric[g]
                z_out[c, j] = (value * kernel.inverse[c] if numeric else value) if active else 0.0
                rows_out[j, c] = z_out[c, j]
    return whole


@njit(cache=True, nogil=True)
def _scaled_distance(kernel: KernelArrays, g: int, p: Array, z: Array, j: int) -> float:
    """√5 r of one group's columns between a point p and column j of z."""
    first, last = kernel.group_start[g], kernel.group_start[g + 1]
    middle = first + kernel.n_numeric[g]
    square = 0.0
    for c in range(first, middle):
        t = z[c, j] - p[c]
        square += t * t
    for c in range(middle, last):
        if z[c, j] != p[c]:
            square += kernel.inverse[c] * kernel.inverse[c]
    return math.sqrt(5.0 * square)


@njit(cache=True, nogil=True)
def _factor(
    kernel: KernelArrays, g: int, p: Array, z: Array, j: int, n_active: float
) -> tuple[float, float, float]:
    """k_g of one pair, -2 dk_g / d(r_g²) and dk_g / dc_g; the group is active in n_active of the points."""
    c = kernel.correlation[g] if g > 0 else 0.0
    if n_active < 2.0:
        return (c, 0.0, 1.0) if n_active == 1.0 else (1.0, 0.0, 0.0)
    s = _scaled_distance(kernel, g, p, z, j)
    tail = math.exp(-s)
    matern = (1.0 + s + s * s / 3.0) * tail
    pull = (1.0 - c * c) * (5.0 / 3.0) * (1.0 + s) * tail
    return matern + c * c * (1.0 - matern), pull, 2.0 * c * (1.0 - matern)


@njit(cache=True, nogil=True)
def _pair(
    kernel: KernelArrays, rows: Array, active: Array, i: int, z: Array, z_active: Array, j: int
) -> float:
    product = 1.0
    for g in range(kernel.n_numeric.size):
        product *= _factor(kernel, g, rows[i], z, j, active[g, i] + z_active[g, j])[0]
    return product


@njit(cache=True, nogil=True)
def _slopes_of_pair(
    kernel: KernelArrays,
    rows: Array,
    active: Array,
    i: int,
    z: Array,
    z_active: Array,
    j: int,
    factors: Array,
    out: Array,
) -> None:
    """-2 dk / d(r_g²) and dk / dc_g of every group into out (2, G); ``factors`` (G,) is room to work.

    The product of the other factors is not a quotient: k_g may be 0.
    """
    for g in range(factors.size):
        n_active = active[g, i] + z_active[g, j]
        factors[g], out[0, g], out[1, g] = _factor(kernel, g, rows[i], z, j, n_active)
    before = 1.0
    for g in range(factors.size):
        out[0, g] *= before
        out[1, g] *= before
        before *= factors[g]
    after = 1.0
    for g in range(factors.size - 1, -1, -1):
        out[0, g] *= after
        out[1, g] *= after
        after *= factors[g]


@njit(cache=True, nogil=True)
def matrix(
    kernel: KernelArrays, z: Array, rows: Array, active: Array, start: int, stop: int, out: Array
) -> None:
    """Columns start..stop-1 from the diagonal down, and the rows that mirror them."""
    for i in range(start, z.shape[1]):
        for j in range(start, min(i, stop)):
            out[i, j] = out[j, i] = _pair(kernel, rows, active, i, z, active, j)
        if i < stop:
            out[i, i] = 1.0


@njit(cache=True, nogil=True)
def cross(
    kernel: KernelArrays,
    rows: Array,
    active: Array,
    z: Array,
    z_active: Array,
    start: int,
    stop: int,
    out: Array,
) -> None:
    """Columns start..stop-1."""
    for i in range(rows.shape[0]):
        for j in range(start, stop):
            out[i, j] = _pair(kernel, rows, active, i, z, z_active, j)


@njit(cache=True, nogil=True)
def cross_mean(
    kernel: KernelArrays,
    rows: Array,
    active: Array,
    weights: Array,
    z: Array,
    z_active: Array,
    start: int,
    stop: int,
    out: Array,
) -> None:
    """Columns start..stop-1 of weights @ cross."""
    out[:, start:stop] = 0.0
    for i in range(rows.shape[0]):
        for j in range(start, stop):
            k = _pair(kernel, rows, active, i, z, z_active, j)
            for w in range(weights.shape[0]):
                out[w, j] += weights[w, i] * k


@njit(cache=True, nogil=True)
def slopes(
    kernel: KernelArrays,
    z: Array,
    rows: Array,
    active: Array,
    weight: Array,
    start: int,
    stop: int,
    lengthscale_out: Array,
    correlation_out: Array,
) -> None:
    """What columns start..stop-1 of the lower triangle add, in those columns of the outputs."""
    factors, pair = np.empty(kernel.n_numeric.size), np.empty((2, kernel.n_numeric.size))
    for i in range(start, z.shape[1]):
        for j in range(start, min(i, stop)):
            _slopes_of_pair(kernel, rows, active, i, z, active, j, factors, pair)
            for g in range(factors.size):
                pull = weight[i, j] * pair[0, g]
                first, last = kernel.group_start[g], kernel.group_start[g + 1]
                for c in range(first, last):
                    t = z[c, j] - rows[i, c]
                    if c >= first + kernel.n_numeric[g] and t != 0.0:
                        t = kernel.inverse[c]
                    lengthscale_out[kernel.order[c], j] += pull * t * t
                if g > 0:
                    correlation_out[g, j] += weight[i, j] * pair[1, g]


@njit(cache=True, nogil=True)
def cross_slopes(
    kernel: KernelArrays,
    rows: Array,
    active: Array,
    z: Array,
    z_active: Array,
    weight: Array,
    start: int,
    stop: int,
    out: Array,
) -> None:
    """Columns start..stop-1 of the gradient with respect to the points of z."""
    factors, pair = np.empty(kernel.n_numeric.size), np.empty((2, kernel.n_numeric.size))
    for i in range(rows.shape[0]):
        for j in range(start, stop):
            _slopes_of_pair(kernel, rows, active, i, z, z_active, j, factors, pair)
            for g in range(factors.size):
                pull = weight[i, j] * pair[0, g]
                first = kernel.group_start[g]
                for c in range(first, first + kernel.n_numeric[g]):
                    out[kernel.order[c], j] -= pull * (z[c, j] - rows[i, c]) * kernel.inverse[c]
