"""Cholesky factors and triangular solves on the BLAS that SciPy ships.

C = L Lᵀ, L lower triangular. Matrices are float64 in C order and may be views of a larger buffer (contiguous
rows, any distance between them). The upper triangle of L is neither read nor written. SciPy is imported
at the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import ArgumentError, NotPositiveDefiniteError
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOAT = np.dtype(np.float64)


def cholesky(c: NDArray[np.float64]) -> None:
    """Turn the lower triangle of ``c`` (n, n) into its Cholesky factor, in place.

    Raises
    ------
    NotPositiveDefiniteError
        At the first pivot that is not positive; the lower triangle is then garbage.
    """
    _check_square("c", c)
    _check_pivot(module("linalg").cholesky(c))


def append_row(buffer: NDArray[np.float64], n: int) -> None:
    """Extend a factor by one row, in O(n²).

    Parameters
    ----------
    buffer : (capacity, capacity)
        Holds L in its leading n rows, and in row n the covariances with the n rows before and the
        variance on the diagonal. That row becomes row n of the factor.
    n : int
        Rows of L so far.

    Raises
    ------
    NotPositiveDefiniteError
        If the new pivot is not positive; row n is then garbage.
    """
    _check_square("buffer", buffer)
    if not 0 <= n < buffer.shape[0]:
        raise ArgumentError(f"n is {n}; allowed: 0 to {buffer.shape[0] - 1}, the rows of buffer")
    _check_pivot(module("linalg").append_row(buffer, n))


def solve(l: NDArray[np.float64], b: NDArray[np.float64]) -> None:  # noqa: E741 - the factor's usual name
    """Turn ``b`` (n,) or (n, m) into L⁻¹ b, in place."""
    _check_system(l, b)
    module("linalg").solve(l, b)


def solve_transposed(l: NDArray[np.float64], b: NDArray[np.float64]) -> None:  # noqa: E741
    """Turn ``b`` (n,) or (n, m) into L⁻ᵀ b, in place."""
    _check_system(l, b)
    module("linalg").solve_transposed(l, b)


def inverse(l: NDArray[np.float64], out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:  # noqa: E741
    """Both triangles of (L Lᵀ)⁻¹, into ``out`` (n, n) if it is given."""
    _check_square("l", l)
    if out is None:
        out = np.empty(l.shape)
    _check_square("out", out)
    if out.shape != l.shape:
        raise ArgumentError(f"out has shape {out.shape}; allowed: {l.shape}")
    module("linalg").inverse(l, out)
    return out


def _check_rows(name: str, a: NDArray[np.float64]) -> None:
    if a.dtype != FLOAT or (a.strides[-1] != FLOAT.itemsize and a.shape[-1] > 1 and a.size):
        raise ArgumentError(
            f"{name} is {a.dtype} with strides {a.strides}; allowed: float64 in contiguous rows"
        )


def _check_square(name: str, a: NDArray[np.float64]) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ArgumentError(f"{name} has shape {a.shape}; allowed: (n, n)")
    _check_rows(name, a)


def _check_system(l: NDArray[np.float64], b: NDArray[np.float64]) -> None:  # noqa: E741
    _check_square("l", l)
    if b.ndim not in (1, 2) or b.shape[0] != l.shape[0]:
        raise ArgumentError(f"b has shape {b.shape}; allowed: ({l.shape[0]},) or ({l.shape[0]}, m)")
    _check_rows("b", b)


def _check_pivot(pivot: int) -> None:
    if pivot:
        raise NotPositiveDefiniteError(f"the matrix is not positive definite: pivot {pivot} is not above 0")
