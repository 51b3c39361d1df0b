"""Matern-5/2 correlations over continuous parameters, beside SciPy's distances and NumPy.

The limit counts, a pair: a difference, a multiply-add a column, and one exp.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, cube, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SQUARES = grid(n=(50, 200, 1000), d=(5, 20))
CROSSES = grid(n=(50, 200, 1000), m=(1024,), d=(5, 20))
ROOT5 = 5.0**0.5


class Points:
    """A kernel over d columns, n points and m others."""

    def __init__(self, n: int, d: int, m: int = 8) -> None:
        from hpo_core.native import covariance

        rng = np.random.default_rng(0)
        self.lengthscale = np.linspace(0.5, 2.0, d) * d**0.5
        self.x, self.other = rng.random((d, n)), rng.random((d, m))
        self.kernel = covariance.Kernel(covariance.Structure(cube(d).layout), self.lengthscale, np.zeros(1))
        self.a, self.b = (covariance.inputs(self.kernel, x) for x in (self.x, self.other))

    def scaled(self) -> tuple[Array, Array]:
        return (self.x.T / self.lengthscale), (self.other.T / self.lengthscale)


def matern(r: Array) -> Array:
    return np.asarray((1 + ROOT5 * r + 5 / 3 * r * r) * np.exp(-ROOT5 * r))


def steepness(r: Array) -> Array:
    """-M'(r) / r."""
    return np.asarray(5 / 3 * (1 + ROOT5 * r) * np.exp(-ROOT5 * r))


def _distances(a: Array, b: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b))


def _pairs(pairs: float, d: int, *, slopes: bool = False) -> Work:
    fma = pairs * (2 * d + 4) + (2 * pairs * d if slopes else 0.0)
    return Work(pairs, fma=fma, exp=pairs, bytes=8.0 * pairs)


def _matrix(n: int, d: int) -> Prepared:
    from hpo_core.native import covariance

    points = Points(n, d)
    a, _ = points.scaled()
    out = np.empty((n, n))
    run = partial(covariance.matrix, points.kernel, points.a, out)
    # Symmetric: half of the pairs are enough.
    return Prepared(run, lambda: matern(_distances(a, a)), _pairs(n * n / 2, d))


def _cross(n: int, m: int, d: int) -> Prepared:
    from hpo_core.native import covariance

    points, out = Points(n, d, m), np.empty((n, m))
    a, b = points.scaled()
    run = partial(covariance.cross, points.kernel, points.a, points.b, out)
    return Prepared(run, lambda: matern(_distances(a, b)), _pairs(n * m, d))


def _cross_mean(n: int, m: int, d: int) -> Prepared:
    from hpo_core.native import covariance

    points, weights = Points(n, d, m), np.random.default_rng(1).random((1, n))
    a, b = points.scaled()
    run = partial(covariance.cross_mean, points.kernel, points.a, weights, points.b)
    return Prepared(run, lambda: weights @ matern(_distances(a, b)), _pairs(n * m, d))


def _slopes(n: int, d: int) -> Prepared:
    from hpo_core.native import covariance

    points = Points(n, d)
    half = np.random.default_rng(1).standard_normal((n, n))
    weight = half + half.T
    a, _ = points.scaled()

    def run() -> Array:
        return covariance.slopes(points.kernel, points.a, weight)[0]

    def reference() -> Array:
        common = weight * steepness(_distances(a, a))
        return np.array([0.5 * np.sum(common * (c[:, None] - c) ** 2) for c in a.T])

    return Prepared(run, reference, _pairs(n * n / 2, d, slopes=True), tolerance=1e-8)


def _cross_slopes(n: int, m: int, d: int) -> Prepared:
    from hpo_core.native import covariance

    points, weight = Points(n, d, m), np.random.default_rng(1).standard_normal((n, m))
    a, b = points.scaled()
    run = partial(covariance.cross_slopes, points.kernel, points.a, points.b, weight)

    def reference() -> Array:
        common = weight * steepness(_distances(a, b))
        columns = zip(a.T, b.T, points.lengthscale, strict=True)
        return np.array([np.sum(common * (p[:, None] - q), axis=0) / scale for p, q, scale in columns])

    return Prepared(run, reference, _pairs(n * m, d, slopes=True), tolerance=1e-8)


KERNELS = (
    Kernel("covariance", "matrix", SQUARES, _matrix),
    Kernel("covariance", "cross", CROSSES, _cross),
    Kernel("covariance", "cross_mean", CROSSES, _cross_mean),
    Kernel("covariance", "slopes", SQUARES, _slopes),
    Kernel("covariance", "cross_slopes", CROSSES, _cross_slopes),
)
