"""The functions of _surrogate.pyx, from the pieces that numba compiles and SciPy's LAPACK."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.native.numba_backend import climb, covariance, linalg
from hpo_core.native.numba_backend.improvement import log_ei_slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.numba_backend.covariance import KernelArrays

    Array = NDArray[np.float64]


def _inputs(kernel: KernelArrays, x: Array) -> tuple[bool, tuple[Array, Array, Array]]:
    (d, n), groups = x.shape, len(kernel.n_numeric)
    scaled = np.empty((d, n)), np.empty((n, d)), np.empty((groups, n))
    return covariance.inputs(kernel, x, *scaled), scaled


def objective(
    kernel: KernelArrays, x: Array, y: Array, noise: float, w_out: Array, gradient_out: Array
) -> float:
    """Minus the log likelihood; NaN where a group is active in part, infinity where C has no factor."""
    (d, n), groups = x.shape, len(kernel.n_numeric)
    whole, scaled = _inputs(kernel, x)
    if not whole:
        return math.nan
    covariance.matrix(kernel, *scaled, 0, n, w_out)
    w_out.flat[:: n + 1] += noise
    if linalg.cholesky(w_out):
        return math.inf
    factor, one, rest = w_out.copy(), np.ones(n), y.copy()
    linalg.solve(factor, one)
    linalg.solve(factor, rest)
    rest -= (one @ rest) / (one @ one) * one
    s2 = float(rest @ rest) / n
    linalg.solve_transposed(factor, rest)
    linalg.inverse(factor, w_out)
    w_out -= np.outer(rest / s2, rest)
    by_lengthscale, by_correlation = np.zeros((d, n)), np.zeros((groups, n))
    covariance.slopes(kernel, *scaled, w_out, 0, n, by_lengthscale, by_correlation)
    gradient_out[:d], gradient_out[d:-1] = by_lengthscale.sum(axis=1), by_correlation.sum(axis=1)
    gradient_out[-1] = 0.5 * noise * w_out.trace()
    scale = math.log(2.0 * math.pi * s2)
    return float(0.5 * n * (scale + 1.0) + np.log(factor.diagonal()).sum())


def climb_log_ei(  # noqa: PLR0913 - those of the extension
    kernel: KernelArrays,
    rows: Array,
    active: Array,
    factor: Array,
    alpha: Array,
    mean: float,
    s2: float,
    best: float,
    doubt: Array,
    moved: NDArray[np.int64],
    box: Array,
    max_steps: int,
    tolerance: float,
    x: Array,
) -> None:
    """Climb from x (d, m), which becomes the ends."""
    (d, m), p = x.shape, len(moved)

    def gradient(at: Array) -> tuple[Array, Array]:
        z, _, there = _inputs(kernel, at)[1]
        columns, slope = np.empty((len(rows), m)), np.zeros((d, m))
        covariance.cross(kernel, rows, active, z, there, 0, m, columns)
        means = mean + alpha @ columns
        linalg.solve(factor, columns)
        sd = np.sqrt(s2 * doubt * np.maximum(1.0 - np.einsum("ij,ij->j", columns, columns), 0.0))
        value, by_mean, by_sd = np.empty((3, m))
        log_ei_slopes(means, sd, best, value, by_mean, by_sd)
        columns *= -s2 * doubt * by_sd / np.maximum(sd, np.finfo(float).tiny)
        linalg.solve_transposed(factor, columns)
        columns += alpha[:, None] * by_mean
        covariance.cross_slopes(kernel, rows, active, z, there, columns, 0, m, slope)
        return value, slope

    value, slope = gradient(x)
    z, tried, scratch = np.ascontiguousarray(x[moved].T), x.copy(), np.empty((3, p))
    g = np.where(np.isnan(z), 0.0, slope[moved].T * box[0])
    h = np.broadcast_to(np.eye(p), (m, p, p)).copy()
    state = np.stack([np.zeros(m), value, np.ones(m), np.zeros(m)])
    going = np.ones(m, np.bool_)
    for _ in range(max_steps):
        climb.propose(moved, box, z, g, h, state, scratch, tried)
        climb.accept(moved, box, z, g, h, state, scratch, tried, *gradient(tried))
        x[np.ix_(moved, going)] = z[going].T
        going &= state[3] > tolerance
        if not going.any():
            return
