"""Cholesky factors and triangular solves beside SciPy's own; both end in the same BLAS."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ORDERS = grid(n=(50, 200, 1000))
SYSTEMS = grid(n=(50, 200, 1000), m=(1, 1024))


def _matrix(n: int) -> Array:
    """A Matern-like matrix with a little noise: positive definite, as ill-conditioned as they come."""
    x = np.random.default_rng(0).random(n)
    return np.asarray(np.exp(-np.abs(x[:, None] - x) / 0.3) + 1e-4 * np.eye(n))


def _factor(n: int) -> Array:
    return np.asarray(np.linalg.cholesky(_matrix(n)), np.float64)


def _cholesky(n: int) -> Prepared:
    from scipy.linalg import cholesky

    from hpo_core.native import linalg

    c, room = _matrix(n), np.empty((n, n))

    def run() -> Array:
        room[:] = c
        linalg.cholesky(room)
        return room

    def check() -> None:
        run()
        np.testing.assert_allclose(np.tril(room), reference(), rtol=1e-8, atol=1e-10)

    reference = partial(cholesky, c, lower=True)
    return Prepared(run, reference, Work(n**2, gemm=n**3 / 3, bytes=16.0 * n * n), check=check)


def _append_row(n: int) -> Prepared:
    """One row more, beside the factor of the whole."""
    from scipy.linalg import cholesky

    from hpo_core.native import linalg

    whole = _matrix(n + 1)
    buffer = np.zeros((n + 1, n + 1))
    buffer[:n, :n] = np.linalg.cholesky(whole[:n, :n])

    def run() -> Array:
        buffer[n] = whole[n]
        linalg.append_row(buffer, n)
        row: Array = buffer[n]
        return row

    work = Work(n, bytes=4.0 * n * n)
    return Prepared(run, lambda: cholesky(whole, lower=True)[n], work, tolerance=1e-7)


def _solve(name: str) -> Kernel:
    def prepare(n: int, m: int) -> Prepared:
        from scipy.linalg import solve_triangular

        from hpo_core.native import linalg

        factor, b = _factor(n), np.random.default_rng(1).random((n, m))
        room, transposed = np.empty_like(b), int(name == "solve_transposed")
        ours = getattr(linalg, name)

        def run() -> Array:
            room[:] = b
            ours(factor, room)
            return room

        reference = partial(solve_triangular, factor, b, lower=True, trans=transposed)
        # A single vector reads the triangle once; many are a matrix product in disguise.
        limit = Work(n * m, trsm=n * n * m) if m > 1 else Work(n, bytes=4.0 * n * n)
        return Prepared(run, reference, limit, tolerance=1e-7)

    return Kernel("linalg", name, SYSTEMS, prepare)


def _inverse(n: int) -> Prepared:
    from scipy.linalg import cho_solve

    from hpo_core.native import linalg

    factor, eye, out = _factor(n), np.eye(n), np.empty((n, n))
    reference = partial(cho_solve, (factor, True), eye)
    work = Work(n**2, gemm=2 * n**3 / 3, bytes=16.0 * n * n)
    return Prepared(lambda: linalg.inverse(factor, out), reference, work, tolerance=1e-6)


KERNELS = (
    Kernel("linalg", "cholesky", ORDERS, _cholesky),
    Kernel("linalg", "append_row", ORDERS, _append_row),
    _solve("solve"),
    _solve("solve_transposed"),
    Kernel("linalg", "inverse", ORDERS, _inverse),
)
