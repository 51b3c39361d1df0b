"""The functions of _ehvi.pyx in numba; csrc/ehvi.c and csrc/ehvi_kernels.h explain symbols and formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.improvement import decay
from hpo_core.native.numba_backend.normal import LOG_ROOT_TWO_PI, SMALLEST_NORMAL, mills

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.int64]
    Part = tuple[bool, float, float, float, float]

FARTHEST = 1e150
WIDEST = 1e300
THIN = 0.125
# Rows of the table of bounds.
GAP, FAR, DECAY, DENSITY, MILLS = range(5)


@njit(cache=True)
def _close(
    columns: Array,
    first: int,
    last: int,
    n: int,
    x: float,
    z: float,
    right: float,
    lower: Array,
    upper: Array,
    k: int,
) -> int:
    """Add to k boxes those that columns [first, last) of n have been from x on; returns their number."""
    m = len(lower)
    for i in range(first, last):
        if not (columns[2, i] < z and columns[1, i] > -math.inf):
            continue
        lower[0, k], upper[0, k] = max(columns[0, i], x), columns[0, i + 1] if i + 1 < n else right
        if m > 1:
            lower[1, k], upper[1, k] = -math.inf, columns[1, i]
        if m > 2:
            lower[2, k], upper[2, k] = columns[2, i], z
        k += 1
    return k


@njit(cache=True, nogil=True)
def boxes(front: Array, reference: Array, columns: Array, lower: Array, upper: Array) -> int:
    """Boxes of the region, into lower and upper; returns their number."""
    m, n_points = front.shape
    n, k = 1, 0
    columns[:, 0] = -math.inf, reference[1] if m > 1 else math.inf, -math.inf
    point = np.full(3, -math.inf)
    for i in range(n_points):
        point[:m] = front[:, i]
        first = n - 1
        while columns[0, first] > point[0]:
            first -= 1
        last = first
        while last < n and columns[1, last] > point[1]:
            last += 1
        if last == first:
            continue
        k = _close(columns, first, last, n, point[0], point[2], reference[0], lower, upper, k)
        at = first + 1 if columns[0, first] < point[0] else first
        rest = columns[:, last:n].copy()
        n = at + 1 + rest.shape[1]
        columns[:, at] = point
        columns[:, at + 1 : n] = rest
    top = reference[2] if m > 2 else math.inf
    return int(_close(columns, 0, n, n, -math.inf, top, reference[0], lower, upper, k))


@njit(cache=True, nogil=True)
def index(lower: Array, upper: Array, bounds: Array, n_bounds: Places, places: Places) -> None:
    """Distinct bounds of each objective, and the places of the boxes' bounds among them."""
    for j in range(len(lower)):
        below, above = np.clip(lower[j], -WIDEST, WIDEST), np.clip(upper[j], -WIDEST, WIDEST)
        unbounded = lower[j] == -math.inf
        distinct = np.unique(np.concatenate((below[~unbounded], above)))
        n_bounds[j] = len(distinct)
        bounds[j, : len(distinct)] = distinct
        places[0, j] = np.where(unbounded, -1, np.searchsorted(distinct, below))
        places[1, j] = np.searchsorted(distinct, above)


@njit(cache=True, error_model="numpy")
def _tabulate(bounds: Array, mean: float, sd: float, table: Array) -> None:
    for i in range(len(bounds)):
        gap = bounds[i] - mean
        t = abs(gap) / sd
        t = t if t < FARTHEST else FARTHEST  # so does 0 / 0
        table[GAP, i], table[FAR, i], table[DECAY, i] = gap, t, decay(t)
        table[DENSITY, i] = math.exp(-0.5 * t * t - LOG_ROOT_TWO_PI)
        table[MILLS, i] = -mills(t) if gap > 0.0 else mills(t)


@njit(cache=True)
def _up_to(u: Array, sd: float) -> Part:
    """Whether sd and exp(exponent) are taken out, the exponent, and W, Phi and phi of (-inf, u]."""
    if u[GAP] <= 0.0 and sd > 0.0:
        return True, -0.5 * u[FAR] * u[FAR] - LOG_ROOT_TWO_PI, u[DECAY], u[MILLS], 1.0
    certain, above = (u[GAP], 1.0) if u[GAP] > 0.0 else (0.0, 0.0)
    value = sd * u[DENSITY] * u[DECAY] + certain
    return False, 0.0, value, above + u[DENSITY] * u[MILLS], u[DENSITY]


@njit(cache=True)
def _between(low: Array, u: Array, width: float, length: float, sd: float) -> Part:
    below, exponent, _, mass, near = _up_to(u, sd)
    far = math.exp(-0.5 * length * (u[FAR] + low[FAR])) if below else low[DENSITY]
    value = near * u[DECAY] - far * low[DECAY]
    if not below:
        value = sd * value + (width if low[GAP] > 0.0 else max(u[GAP], 0.0))
    mass -= (1.0 if low[GAP] > 0.0 else 0.0) + far * low[MILLS]
    return below, exponent, value, mass, near - far


@njit(cache=True)
def _thin(low: Array, u: Array, width: float, h: float, sd: float) -> Part:
    c = 0.5 * (u[GAP] + low[GAP]) / sd
    t = min(abs(c), FARTHEST)
    s, h2 = h * t, h * h
    s2 = s * s
    a1, a2, a3 = 1.0 / 24.0, 1.0 / 1920.0, 1.0 / 322560.0
    odd = a1 + a2 * (s2 - 3.0 * h2) + a3 * (s2 * (s2 - 10.0 * h2) + 15.0 * h2 * h2)
    even = (
        1.0
        + a1 * (s2 - h2)
        + a2 * (s2 * (s2 - 6.0 * h2) + 3.0 * h2 * h2)
        + a3 * (s2 * (s2 * (s2 - 15.0 * h2) + 45.0 * h2 * h2) - 15.0 * h2 * h2 * h2)
    )
    third = (
        1.0
        + a1 * (s2 - 3.0 * h2)
        + a2 * (s2 * (s2 - 10.0 * h2) + 15.0 * h2 * h2)
        + a3 * (s2 * (s2 * (s2 - 21.0 * h2) + 105.0 * h2 * h2) - 105.0 * h2 * h2 * h2)
    )
    average, exponent = mills(t) + h * s * odd, -0.5 * t * t - LOG_ROOT_TWO_PI
    if c <= 0.0:
        return True, exponent, h * average, h * even, s * third
    density = math.exp(exponent)
    return False, 0.0, width * (1.0 - density * average), density * h * even, -density * s * third


@njit(cache=True, error_model="numpy")
def _side(table: Array, low: int, high: int, width: float, sd: float) -> tuple[float, float, float]:
    """The logarithm of W for the interval between two bounds, and its derivatives by mean and sd."""
    u = table[:, high]
    if low < 0:
        below, exponent, value, mass, rise = _up_to(u, sd)
    else:
        length = width / sd
        length = length if length < FARTHEST else FARTHEST
        middle = 0.5 * abs(u[GAP] + table[GAP, low])
        if length * (sd + middle) < THIN * sd:
            below, exponent, value, mass, rise = _thin(table[:, low], u, width, length, sd)
        else:
            below, exponent, value, mass, rise = _between(table[:, low], u, width, length, sd)
    unit = sd if below else 1.0
    inverse = min(1.0 / (value * unit), 1.0 / SMALLEST_NORMAL)
    log_value = exponent + math.log(unit) + math.log(value) if value > 0.0 else -math.inf
    return log_value, -mass * inverse, rise * inverse


@njit(cache=True)
def _share(log_value: Array) -> float:
    """The logarithm of the sum of exp(log_value), which becomes the share of each in it."""
    top = log_value.max()
    if top == -math.inf:
        log_value[:] = 0.0
        return -math.inf
    log_value[:] = np.exp(log_value - top)
    total = log_value.sum()
    log_value /= total
    return float(top + math.log(total))


@njit(cache=True)
def _one(
    mean: Array, sd: Array, bounds: Array, n_bounds: Places, places: Places, scratch: Array, slopes: Array
) -> float:
    """Log EHVI of one candidate; slopes (2, m)."""
    m, k = places.shape[1:]
    table, sides = scratch[: 10 * k].reshape(5, 2 * k), scratch[11 * k : -1].reshape(2, m, k)
    log_value = scratch[10 * k : 11 * k]
    log_value[:] = 0.0
    for j in range(m):
        if not sd[j] >= 0.0 or math.isnan(mean[j]):
            slopes[:] = math.nan
            return math.nan
        at = min(max(mean[j], -WIDEST), WIDEST)
        scale = min(max(sd[j], SMALLEST_NORMAL), WIDEST) if sd[j] > 0.0 else 0.0
        _tabulate(bounds[j, : n_bounds[j]], at, scale, table)
        for i in range(k):
            low, high = places[0, j, i], places[1, j, i]
            width = bounds[j, high] - bounds[j, low]
            log_w, sides[0, j, i], sides[1, j, i] = _side(table, low, high, width, scale)
            log_value[i] += log_w
    total = _share(log_value)
    for j in range(m):
        slopes[0, j], slopes[1, j] = np.sum(log_value * sides[0, j]), np.sum(log_value * sides[1, j])
    return float(total)


@njit(cache=True, nogil=True)
def log_ehvi(
    mean: Array,
    sd: Array,
    bounds: Array,
    n_bounds: Places,
    places: Places,
    start: int,
    stop: int,
    scratch: Array,
    out: Array,
) -> None:
    """Log EHVI of the candidates [start, stop)."""
    slopes, row = np.empty((2, len(mean))), scratch[:, 0].copy()
    for i in range(start, stop):
        out[i] = _one(mean[:, i], sd[:, i], bounds, n_bounds, places, row, slopes)


@njit(cache=True, nogil=True)
def log_ehvi_slopes(
    mean: Array,
    sd: Array,
    bounds: Array,
    n_bounds: Places,
    places: Places,
    start: int,
    stop: int,
    scratch: Array,
    out: Array,
    slopes: Array,
) -> None:
    """Log EHVI of the candidates [start, stop) and its derivatives."""
    row = scratch[:, 0].copy()
    for i in range(start, stop):
        out[i] = _one(mean[:, i], sd[:, i], bounds, n_bounds, places, row, slopes[:, :, i])
