"""Cholesky factors on the LAPACK that SciPy ships, and triangular solves.

C = L Lᵀ, L lower triangular. Matrices are float64 in C order and may be views of a larger buffer (contiguous
rows, any distance between them). The upper triangle of L is neither read nor written. SciPy is imported
at the first call.

LAPACK runs on one thread where it is OpenBLAS: how a factorisation is cut among threads decides its last
bits, and below a thousand rows OpenBLAS's threads wait for each other longer than they work.
"""

from __future__ import annotations

import os
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hpo_core.errors import ArgumentError, NotPositiveDefiniteError
from hpo_core.native._backend import module
from hpo_core.native.threads import finished, parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

T = TypeVar("T")

FLOAT = np.dtype(np.float64)
# Added to the diagonal of a correlation matrix, one after the other, until it has a factor.
JITTER = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# Multiply-adds that are worth another thread: 100 us.
WORK_OF_THREAD = 1_500_000
# OpenBLAS as SciPy's wheels name its functions, and as others do.
OPENBLAS = ("scipy_openblas_{}_num_threads", "scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads")


def cholesky(c: Array) -> None:
    """Turn the lower triangle of ``c`` (n, n) into its Cholesky factor, in place.

    Raises
    ------
    NotPositiveDefiniteError
        At the first pivot that is not positive; the lower triangle is then garbage.
    """
    _check_square("c", c)
    _check_pivot(on_one_thread(module("linalg").cholesky, c))


def with_jitter(factorise: Callable[[int], T], level: int = 0) -> T:
    """Call ``factorise`` with one level of ``JITTER`` after the other until it does not fail.

    Parameters
    ----------
    factorise : callable
        Of a level, an index into ``JITTER``; raises ``NotPositiveDefiniteError`` where it does not suffice.
    level : int
        The first to try.

    Raises
    ------
    NotPositiveDefiniteError
        The last level does not suffice.
    """
    for i in range(level, len(JITTER)):
        try:
            return factorise(i)
        except NotPositiveDefiniteError:
            continue
    raise NotPositiveDefiniteError(f"the matrix is not positive definite, even with {JITTER[-1]} added")


def root(c: Array, unit: float = 1.0) -> Array:
    """L of a covariance (n, n) that may be singular, with the least jitter, in ``unit``, that suffices.

    Raises
    ------
    NotPositiveDefiniteError
        The last level of ``JITTER`` does not suffice.
    """

    def factorise(level: int) -> Array:
        lower = c.copy()
        lower.flat[:: len(c) + 1] += JITTER[level] * unit
        cholesky(lower)
        return np.tril(lower)

    return with_jitter(factorise, 1)


def append_row(buffer: Array, n: int) -> None:
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
        raise ArgumentError(f"n must be a row of buffer, from 0 to {buffer.shape[0] - 1}, got {n}")
    _check_pivot(on_one_thread(module("linalg").append_row, buffer, n))


def solve(l: Array, b: Array) -> None:  # noqa: E741 - the factor's usual name
    """Turn ``b`` (n,) or (n, m) into L⁻¹ b, in place."""
    _check_system(l, b)
    _by_columns(module("linalg").solve, l, b)


def solve_transposed(l: Array, b: Array) -> None:  # noqa: E741
    """Turn ``b`` (n,) or (n, m) into L⁻ᵀ b, in place."""
    _check_system(l, b)
    _by_columns(module("linalg").solve_transposed, l, b)


def inverse(l: Array, out: Array | None = None) -> Array:  # noqa: E741
    """Both triangles of (L Lᵀ)⁻¹, into ``out`` (n, n) if it is given."""
    _check_square("l", l)
    if out is None:
        out = np.empty(l.shape)
    _check_square("out", out)
    if out.shape != l.shape:
        raise ArgumentError(f"out must have shape {l.shape}, got {out.shape}")
    on_one_thread(module("linalg").inverse, l, out)
    return out


def eigh(c: Array) -> tuple[Array, Array]:
    """Return the eigenvalues of a symmetric matrix (n, n), ascending, and eigenvectors as columns (n, n)."""
    from scipy.linalg.lapack import dsyevd

    _check_square("c", c)
    values, vectors, failed = on_one_thread(dsyevd, c)
    if failed:
        raise NotPositiveDefiniteError("the eigenvalues of the matrix were not found")
    return values, vectors


class _OneThread:
    """Holds LAPACK to one thread while any caller needs that: the number of threads is the process's."""

    def __init__(self) -> None:
        self.lock = RLock()  # a signal handler may fork inside
        self.callers: set[object] = set()
        self.before = 1

    def before_fork(self) -> None:
        """Let no thread be inside OpenBLAS's setter meanwhile: the child would wait for it forever."""
        self.lock.acquire()

    def after_fork(self) -> None:
        """Go on in the parent process."""
        self.lock.release()

    def forget(self) -> None:
        """Let go for the threads of the parent process, which a forked child does not have."""
        if self.callers:
            _openblas()[1](self.before)
        self.lock, self.callers = RLock(), set()

    def enter(self, caller: object) -> None:
        get, put = _openblas()
        with self.lock:
            if not self.callers:
                self.before = get()
                if self.before == 1:
                    return
            self.callers.add(caller)  # first, so that whoever is interrupted here lets go all the same
            put(1)

    def leave(self, caller: object) -> None:
        get, put = _openblas()
        with self.lock:
            if self.callers == {caller} and get() == 1:  # otherwise somebody has set another number
                put(self.before)
            self.callers.discard(caller)


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_one_thread.before_fork,
        after_in_parent=_one_thread.after_fork,
        after_in_child=_one_thread.forget,
    )


def on_one_thread(f: Callable[..., Any], *arguments: object) -> Any:
    """Call ``f`` with LAPACK on one thread: its answers depend on their number in the last digits."""
    caller = object()

    def work() -> Any:
        _one_thread.enter(caller)
        return f(*arguments)

    return finished(work, lambda: _one_thread.leave(caller))


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], object]]:
    """The functions that get and set the threads of SciPy's BLAS; without OpenBLAS, of none."""
    import ctypes

    from scipy.linalg import cython_blas

    library = ctypes.CDLL(cython_blas.__file__)  # a symbol is looked up in what it is linked to, too
    for name in OPENBLAS:
        if hasattr(library, name.format("get")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return lambda: 1, lambda _: None


def _by_columns(f: Callable[[Array, Array], None], l: Array, b: Array) -> None:  # noqa: E741
    """Solve in as many threads as pay; a column's solution does not depend on the others."""
    fewest = 2 * WORK_OF_THREAD // max(l.size, 1)
    if b.ndim == 1 or b.shape[1] < 2 * fewest:
        f(l, b)
    else:
        parallel(lambda start, stop: f(l, b[:, start:stop]), b.shape[1], fewest)


def _check_rows(name: str, a: Array) -> None:
    if a.dtype != FLOAT or (a.strides[-1] != FLOAT.itemsize and a.shape[-1] > 1 and a.size):
        raise ArgumentError(
            f"{name} must be float64 in contiguous rows, got {a.dtype} with strides {a.strides}"
        )


def _check_square(name: str, a: Array) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ArgumentError(f"{name} must have shape (n, n), got {a.shape}")
    _check_rows(name, a)


def _check_system(l: Array, b: Array) -> None:  # noqa: E741
    _check_square("l", l)
    if b.ndim not in (1, 2) or b.shape[0] != l.shape[0]:
        raise ArgumentError(f"b must have shape ({l.shape[0]},) or ({l.shape[0]}, m), got {b.shape}")
    _check_rows("b", b)


def _check_pivot(pivot: int) -> None:
    if pivot:
        raise NotPositiveDefiniteError(f"the matrix is not positive definite: pivot {pivot} is not above 0")
