"""The functions of _improvement.pyx in numba; csrc/improvement_kernels.h explains symbols and formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.normal import LOG_ROOT_TWO_PI, mills

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FARTHEST = 1e75
WIDEST = 1e300
SMALLEST_NORMAL = 2.0**-1022
# fmt: off
DECAY = np.array(
    [
        3.5959476423421175, -5.818827313525651, 6.082374411361284, -4.798223165117077,
        2.934497249096636, -1.35228141899061, 0.41740149668139453, -0.044026566865175566,
        -0.030292390744729298, 0.015146923044923905, -0.0002650681840667968, -0.0019986080107319134,
        0.0004139054426764192, 0.00023689564821571303, -9.160433645185703e-05, -3.091935777960712e-05,
        1.6898400771678573e-05, 4.985842290949531e-06, -2.966103036497679e-06, -9.860653979399536e-07,
        4.863614183922022e-07, 2.052544828363732e-07, -6.547746130574846e-08, -3.522356552839328e-08,
        5.159446504393579e-09, 3.366076047861771e-09,
    ]
)
# fmt: on


@njit(cache=True)
def decay(t: float) -> float:
    """1 - t R(t), t >= 0, with R the Mills ratio."""
    w = 1.0 / (t + 5.0)
    s = (t - 5.0) * w
    y = DECAY[-1]
    for i in range(len(DECAY) - 2, -1, -1):
        y = y * s + DECAY[i]
    return float(y * w * w)


@njit(cache=True, error_model="numpy")
def _parts(mean: float, sd: float, best: float) -> tuple[float, float, float, float]:
    """An exponent, and EI, Phi(z) and phi(z) divided by its exp."""
    if not sd >= 0.0 or math.isnan(mean) or math.isnan(best):
        return 0.0, math.nan, math.nan, math.nan
    diff, scale = 0.0 if mean == best else best - mean, min(sd, WIDEST)
    t = abs(diff) / scale
    t = t if t < FARTHEST else FARTHEST  # so does 0 / 0
    exponent = -0.5 * t * t - LOG_ROOT_TWO_PI
    if diff < 0.0 and sd > 0.0:
        return exponent, max(scale * decay(t), SMALLEST_NORMAL), mills(t), 1.0
    density = math.exp(exponent)
    value = max(diff, 0.0) + scale * density * decay(t)
    if value < SMALLEST_NORMAL:
        return 0.0, 0.0, 0.0, 0.0
    return 0.0, value, 1.0 - density * mills(t), density


@njit(cache=True, error_model="numpy")
def _log(value: float) -> float:
    return -math.inf if value == 0.0 else math.log(value)


@njit(cache=True, nogil=True, error_model="numpy")
def log_ei(mean: Array, sd: Array, best: float, out: Array) -> None:
    """Log EI."""
    for i in range(mean.size):
        exponent, value, _, _ = _parts(mean[i], sd[i], best)
        out[i] = exponent + _log(value)


@njit(cache=True, nogil=True, error_model="numpy")
def log_ei_slopes(mean: Array, sd: Array, best: float, out: Array, by_mean: Array, by_sd: Array) -> None:
    """Log EI and its derivatives."""
    for i in range(mean.size):
        exponent, value, below, density = _parts(mean[i], sd[i], best)
        out[i] = exponent + _log(value)
        by_mean[i] = 0.0 if value == 0.0 else -below / value
        by_sd[i] = 0.0 if value == 0.0 else density / value


@njit(cache=True, nogil=True, error_model="numpy")
def ei(mean: Array, sd: Array, best: float, out: Array) -> None:
    """Expected improvement."""
    for i in range(mean.size):
        exponent, value, _, _ = _parts(mean[i], sd[i], best)
        out[i] = value * math.exp(exponent)


@njit(cache=True, nogil=True, error_model="numpy")
def ei_slopes(mean: Array, sd: Array, best: float, out: Array, by_mean: Array, by_sd: Array) -> None:
    """Expected improvement and its derivatives."""
    for i in range(mean.size):
        exponent, value, below, density = _parts(mean[i], sd[i], best)
        factor = math.exp(exponent)
        out[i], by_mean[i], by_sd[i] = value * factor, -below * factor, density * factor


@njit(cache=True, nogil=True, error_model="numpy")
def log_ei_average(mean: Array, sd: Array, best: Array, out: Array) -> None:
    """Log of the average of EI over the rows of mean."""
    k, m = mean.shape
    for i in range(m):
        top, total = -math.inf, 0.0
        for row in range(k):
            exponent, value, _, _ = _parts(mean[row, i], sd[i], best[row])
            if exponent > top:
                total *= math.exp(top - exponent)
                top = exponent
            total += value * math.exp(exponent - top)
        out[i] = top + _log(total / k)
