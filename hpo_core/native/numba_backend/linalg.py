"""The functions of _linalg.pyx through SciPy's Python wrappers of the same routines.

Seen by BLAS, which stores columns, a row-major L is the upper triangle of its transpose.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import blas, lapack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def cholesky(c: Array) -> int:
    """L in place of the lower triangle; 0, or the pivot that failed, counted from 1."""
    if c.size == 0:
        return 0
    factor, info = lapack.dpotrf(c.T, lower=0, clean=0)
    c[...] = factor.T
    return int(info)


def append_row(buffer: Array, n: int) -> int:
    """Row n of the factor from the covariances that stand there; 0 or the pivot that failed."""
    row = buffer[n, :n]
    solve(buffer[:n, :n], row)
    pivot = buffer[n, n] - row @ row
    if not pivot > 0.0:
        return n + 1
    buffer[n, n] = math.sqrt(pivot)
    return 0


def solve(l: Array, b: Array) -> None:  # noqa: E741 - the factor's usual name
    """L⁻¹ b in place."""
    _solve(l, b, trans=0)


def solve_transposed(l: Array, b: Array) -> None:  # noqa: E741
    """L⁻ᵀ b in place."""
    _solve(l, b, trans=1)


def _solve(l: Array, b: Array, trans: int) -> None:  # noqa: E741
    if b.size == 0:
        return
    if b.ndim == 1:
        b[:] = blas.dtrsv(l.T, b, lower=0, trans=1 - trans)
    else:
        b[...] = blas.dtrsm(1.0, l.T, b.T, side=1, lower=0, trans_a=trans).T


def inverse(l: Array, out: Array) -> None:  # noqa: E741
    """Both triangles of (L Lᵀ)⁻¹."""
    if l.size == 0:
        return
    upper, _ = lapack.dpotri(l.T, lower=0)
    lower = np.tril(upper.T)
    out[...] = lower + np.tril(lower, -1).T
