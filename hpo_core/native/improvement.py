"""Expected improvement below the best value, and its logarithm, of normal predictions.

mean, sd   of the prediction, (m,); sd >= 0, else NaN            z   (best - mean) / sd
best       the value to improve on; smaller is better            h   phi(z) + z Phi(z), EI = sd h(z)

Relative error below 1e-13 while abs(z) < 1e75 and sd is 0 or above 1e-290; farther out log EI stays finite
and monotone, but saturates. It is -inf only where sd = 0 and best <= mean; slopes are 0 there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def ei(mean: Array, sd: Array, best: float) -> Array:
    """Expected improvement (m,), in the units of ``mean``; 0 once it is below 1e-307."""
    return _one("ei", mean, sd, best)


def log_ei(mean: Array, sd: Array, best: float) -> Array:
    """Log of the expected improvement (m,)."""
    return _one("log_ei", mean, sd, best)


def ei_slopes(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    """Expected improvement and its derivatives with respect to mean and sd: -Phi(z) and phi(z)."""
    return _three("ei_slopes", mean, sd, best)


def log_ei_slopes(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    """Log EI and its derivatives with respect to mean and sd: -Phi(z) / EI and phi(z) / EI."""
    return _three("log_ei_slopes", mean, sd, best)


def log_ei_average(mean: Array, sd: Array, best: Array) -> Array:
    """Log of the average over k fantasies of the expected improvement.

    Parameters
    ----------
    mean : (k, m)
        Predictions in each fantasy.
    sd : (m,)
        Their standard deviations, the same in all.
    best : (k,)
        The value to improve on in each.
    """
    mean, sd, best = (np.ascontiguousarray(array, np.float64) for array in (mean, sd, best))
    if mean.ndim != 2 or sd.shape != mean.shape[1:] or best.shape != mean.shape[:1] or best.size == 0:
        raise ArgumentError(
            "mean, sd and best must have shapes (k, m), (m,) and (k,) with k >= 1, "
            f"got {mean.shape}, {sd.shape} and {best.shape}"
        )
    out = np.empty(sd.size)
    module("improvement").log_ei_average(mean, sd, best, out)
    return out


def _one(name: str, mean: Array, sd: Array, best: float) -> Array:
    mean, sd = _rows(mean, sd)
    out = np.empty(mean.size)
    getattr(module("improvement"), name)(mean, sd, best, out)
    return out


def _three(name: str, mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    mean, sd = _rows(mean, sd)
    value, by_mean, by_sd = np.empty((3, mean.size))
    getattr(module("improvement"), name)(mean, sd, best, value, by_mean, by_sd)
    return value, by_mean, by_sd


def _rows(mean: Array, sd: Array) -> tuple[Array, Array]:
    mean, sd = np.ascontiguousarray(mean, np.float64), np.ascontiguousarray(sd, np.float64)
    if mean.ndim != 1 or sd.shape != mean.shape:
        raise ArgumentError(f"mean and sd must have one shape (m,), got {mean.shape} and {sd.shape}")
    return mean, sd
