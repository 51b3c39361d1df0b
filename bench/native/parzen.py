"""Parzen mixtures beside SciPy's normal distribution.

The limit of a density counts what the formula cannot do without: two multiply-adds a numeric column and one
exp a (candidate, kernel). Comparing and adding for a category, and the running maximum, come on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, cube, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FLOOR = 0.03
SIZES = grid(n=(257, 1025), d=(5, 20))


def mixture_of(d: int, kernels: int, *, rebuilt: bool = True) -> Any:
    """A mixture of so many kernels over d continuous columns, the prior component included."""
    from hpo_core.native.parzen import new_mixture

    mixture = new_mixture(cube(d), np.arange(d), d, (0, 0), kernels + 1)
    x = np.random.default_rng(0).random((d, kernels))
    for k in range(1, kernels):
        mixture.place(k, x, k, 0.0)
    if rebuilt:
        mixture.rebuild(FLOOR)
        mixture.smooth(1.0 / kernels)
    return mixture


def log_masses(center: Array, sigma: Array) -> Array:
    """log of sigma times the mass on [0, 1] of normals."""
    from scipy.special import log_ndtr

    left, right = log_ndtr(-center / sigma), log_ndtr((1 - center) / sigma)
    return np.asarray(right + np.log1p(-np.exp(left - right)) + np.log(sigma))


def log_density(x: Array, center: Array, sigma: Array, log_weight: Array) -> Array:
    """log of the weighted uniform component and truncated normals: x (d, m), kernels (k, d)."""
    from scipy.special import logsumexp
    from scipy.stats import norm

    terms = norm.logpdf((x.T[:, None, :] - center) / sigma) - log_masses(center, sigma)
    total = logsumexp(terms.sum(axis=2) + log_weight[1:], axis=1)
    return np.asarray(np.logaddexp(total, log_weight[0]))


def bandwidths(center: Array) -> Array:
    """The mean gap to the neighbours in each column of (k, d), clipped to [FLOOR, 1]."""
    order = np.argsort(center, axis=0, kind="stable")
    ordered = np.take_along_axis(center, order, axis=0)
    gaps = np.diff(ordered, axis=0)
    mean = 0.5 * (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]]))
    out = np.empty_like(center)
    np.put_along_axis(out, order, np.clip(mean, FLOOR, 1.0), axis=0)
    return out


def _density(d: int, m: int, n: int) -> Prepared:
    mixture = mixture_of(d, n)
    x = np.random.default_rng(1).random((d, m))
    joint, context = np.empty(m), np.empty(m)
    center, sigma = (mixture.array(name)[1:n].copy() for name in ("center", "sigma"))

    def run() -> Array:
        mixture.log_density(x, joint, context)
        return joint

    work = Work(n * m, fma=2.0 * d * n * m, exp=n * m, log=m, bytes=8.0 * d * m)
    return Prepared(run, lambda: log_density(x, center, sigma, np.zeros(n)), work)


def _state(mixture: Any, n: int) -> tuple[Array, Array]:
    """Bandwidths and normalisers of slots 1 to n - 1."""
    return mixture.array("sigma")[1:n].copy(), mixture.array("log_norm")[1:n].copy()


def _reference(center: Array) -> tuple[Array, Array]:
    sigma = bandwidths(center)
    return sigma, log_masses(center, sigma) + 0.5 * np.log(2 * np.pi)


def _upkeep(n: int, d: int) -> Work:
    """A normaliser a column: two tails and their logarithm."""
    return Work(n * d, fma=48.0 * n * d, exp=2.0 * n * d, log=n * d)


def _rebuild(n: int, d: int) -> Prepared:
    mixture = mixture_of(d, n, rebuilt=False)
    center = mixture.array("center")[1:n].copy()

    def check() -> None:
        mixture.rebuild(FLOOR)
        for ours, theirs in zip(_state(mixture, n), _reference(center), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)

    return Prepared(lambda: mixture.rebuild(FLOOR), lambda: _reference(center), _upkeep(n, d), check=check)


def _splice(n: int, d: int) -> Prepared:
    """A kernel leaves the sorted columns and enters them again."""
    mixture = mixture_of(d, n)
    center = mixture.array("center")[1:n].copy()

    def run() -> None:
        mixture.remove(1, FLOOR)
        mixture.insert(1, FLOOR)

    def check() -> None:
        run()
        for ours, theirs in zip(_state(mixture, n), _reference(center), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)

    work = Work(1, fma=48.0 * 5 * d, exp=10.0 * d, log=5.0 * d)  # 2 and 3 normalisers a column
    return Prepared(run, lambda: _reference(center), work, check=check)


def _attach(n: int, d: int) -> Prepared:
    """Bandwidths of one kernel behind the sorted columns, which stay as they are."""
    mixture = mixture_of(d, n)
    x = np.random.default_rng(5).random((d, 1))
    mixture.place(n, x, 0, 0.0)
    center = np.concatenate([mixture.array("center")[1:n], x.T])

    def reference() -> tuple[Array, Array]:
        sigma = bandwidths(center)[-1:]
        return sigma, log_masses(x.T, sigma) + 0.5 * np.log(2 * np.pi)

    def run() -> tuple[Array, Array]:
        mixture.attach(n, FLOOR)
        return mixture.array("sigma")[n : n + 1], mixture.array("log_norm")[n : n + 1]

    return Prepared(run, reference, Work(1, fma=48.0 * d, exp=2.0 * d, log=d))


def _draw(n: int, m: int) -> Prepared:
    """Truncated normals of one column by inverse CDF."""
    from scipy.stats import truncnorm

    mixture = mixture_of(1, n)
    rng = np.random.default_rng(2)
    component, u, out = rng.integers(1, n, m).astype(np.int32), rng.random(m), np.empty(m)
    center, sigma = (mixture.array(name)[component, 0].copy() for name in ("center", "sigma"))

    def run() -> Array:
        mixture.draw(0, component, u, out)
        return out

    def reference() -> Array:
        return np.asarray(truncnorm.ppf(u, -center / sigma, (1 - center) / sigma, center, sigma))

    return Prepared(run, reference, Work(m, fma=64.0 * m, exp=2 * m, log=m))


KERNELS = (
    Kernel("parzen", "log_density", grid(d=(1, 5, 20), m=(24, 1032), n=(1024,)), _density),
    Kernel("parzen", "rebuild", SIZES, _rebuild),
    Kernel("parzen", "remove_insert", SIZES, _splice),
    Kernel("parzen", "attach", SIZES, _attach),
    Kernel("parzen", "draw", grid(n=(26,), m=(24, 1032)), _draw),
)
