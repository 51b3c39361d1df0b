"""The normal distribution and Philox, beside scipy.special and Philox in NumPy integers.

The multiply-adds of the limit are those of the polynomials in csrc/simd_normal.h.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = grid(n=(64, 4096, 1 << 20))
MILLS, CENTRE, PPND = 24, 10, 16  # multiply-adds
# Per value: polynomials, exps and logs.
COSTS = {
    "ndtr": {"fma": MILLS, "exp": 1},
    "log_ndtr": {"fma": MILLS, "exp": 1, "log": 1},
    "erfcx": {"fma": MILLS, "exp": 1},
    "ndtri": {"fma": PPND + MILLS, "exp": 2, "log": 1},
}


def _values(n: int) -> Array:
    return np.random.default_rng(0).uniform(-8.0, 8.0, n)


def _prepared(
    n: int, run: Callable[[], Any], reference: Callable[[], Any], arrays: int, **costs: float
) -> Prepared:
    each = {name: n * cost for name, cost in costs.items()}
    return Prepared(run, reference, Work(n, bytes=8.0 * n * arrays, **each), tolerance=1e-11)


def _one(name: str) -> Kernel:
    """A function of one array that scipy.special has too."""

    def prepare(n: int) -> Prepared:
        from scipy import special

        from hpo_core.native import normal

        x = np.random.default_rng(0).random(n) if name == "ndtri" else _values(n)
        ours, theirs = getattr(normal, name), getattr(special, name)
        return _prepared(n, lambda: ours(x), lambda: theirs(x), 2, **COSTS[name])

    return Kernel("normal", name, SIZES, prepare)


def _log_mass(n: int) -> Prepared:
    from scipy.special import log_ndtr

    from hpo_core.native import normal

    low = np.random.default_rng(0).uniform(-5.0, 0.0, n)
    high = low + np.random.default_rng(1).uniform(1.0, 5.0, n)

    def reference() -> Array:
        left, right = log_ndtr(low), log_ndtr(high)
        return np.asarray(right + np.log1p(-np.exp(left - right)))

    return _prepared(n, lambda: normal.log_mass(low, high), reference, 3, fma=2 * MILLS, exp=2, log=1)


def _truncated(n: int) -> Prepared:
    from scipy.special import ndtr, ndtri

    from hpo_core.native import normal

    rng = np.random.default_rng(0)
    u, low, high = rng.random(n), rng.uniform(-4.0, 0.0, n), rng.uniform(0.5, 4.0, n)

    def reference() -> Array:
        left, right = ndtr(low), ndtr(high)
        return np.asarray(ndtri(left + u * (right - left)))

    run = partial(normal.truncated, u, low, high)
    return _prepared(n, run, reference, 4, fma=2 * MILLS + PPND, exp=2, log=1)


def philox(seed: int, trial: NDArray[np.uint64], block: NDArray[np.uint64]) -> tuple[Array, Array]:
    """Both uniforms of each block: Philox-4x32-10 (Salmon et al. 2011) in NumPy integers."""
    low, half, shift = np.uint64(0xFFFFFFFF), 0.5, np.uint64(32)
    c = [trial & low, trial >> shift, block & low, block >> shift]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        k0, k1 = (np.uint64(k) for k in keys)
        c = [(p1 >> shift) ^ c[1] ^ k0, p1 & low, (p0 >> shift) ^ c[3] ^ k1, p0 & low]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    first, second = ((c[i + 1] << shift | c[i]) >> np.uint64(12) for i in (0, 2))
    return np.asarray((first + half) * 2.0**-52), np.asarray((second + half) * 2.0**-52)


def _of_trial(n: int) -> Prepared:
    from hpo_core.native import normal

    def reference() -> Array:
        block = np.arange((n + 1) // 2, dtype=np.uint64)
        return np.stack(philox(7, np.full_like(block, 3), block), axis=1).ravel()[:n]

    return _prepared(n, lambda: normal.uniforms_of_trial(7, 3, 0, n), reference, 1, uniform=1)


def _of_index(n: int) -> Prepared:
    from hpo_core.native import normal

    def reference() -> Array:
        trial = np.arange(5, 5 + n, dtype=np.uint64)
        return philox(7, trial, np.full_like(trial, 4))[1]

    return _prepared(n, lambda: normal.uniforms_of_index(7, 5, 9, n), reference, 1, uniform=1)


KERNELS = (
    *map(_one, COSTS),
    Kernel("normal", "log_mass", SIZES, _log_mass),
    Kernel("normal", "truncated", SIZES, _truncated),
    Kernel("normal", "uniforms_of_trial", SIZES, _of_trial),
    Kernel("normal", "uniforms_of_index", SIZES, _of_index),
)
