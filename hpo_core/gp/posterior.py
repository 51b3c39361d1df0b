"""The posterior of a Gaussian process with given hyperparameters, and everything asked of it.

Glossary
--------
n, m, d, G      data, candidates, parameters, groups (see ``hpo_core.layout``)
x, y            data: internal coordinates (d, n), minimised targets (n,)
R, K            prior correlations: of the data (n, n), of data and candidates (n, m)
noise           lambda = sigma_n^2 / s^2, the noise variance relative to the output scale
C = R + lambda I = L L'         what is factorised
mu, s2          mean and output scale, profiled out (their maximum-likelihood values given the rest)
                mu = 1'C^-1 y / 1'C^-1 1,  s2 = (y - mu 1)' C^-1 (y - mu 1) / n
alpha           C^-1 (y - mu 1), (n,)
V               L^-1 K, the columns of the candidates, (n, m)
mean            mu + K' alpha
variance        of the latent f, noise not included: s2 (1 - sum_i V_ij^2)

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning, MIT
   Press: algorithm 2.1 for the posterior, section 2.7 for the mean; the scale is profiled likewise.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.errors import NotPositiveDefiniteError
from hpo_core.gp.warps import kumaraswamy, kumaraswamy_slopes
from hpo_core.layout import Kind
from hpo_core.native import covariance, linalg, normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.covariance import Inputs, Structure

EPSILON = float(np.finfo(np.float64).eps)
# Rows are appended to a factor until n reaches a multiple of this; then it is recomputed.
BLOCK = 64
# A row of the factor's buffer is this much longer than it need be: rows a power of two apart fall
# into one set of the cache.
ROW_PADDING = 8


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """Hyperparameters of a fit.

    Attributes
    ----------
    lengthscale : (d,) float64
        In internal coordinates; of a category: a mismatch adds 1 / lengthscale^2 to r^2.
    noise : float
        lambda, the noise variance relative to the output scale.
    correlation : (G,) float64
        c of each group, in (0, 1); entry 0 means nothing.
    warp : (2, d) float64 or None
        Exponents a and b of the input warp; None where inputs are taken as they are.
    """

    lengthscale: NDArray[np.float64]
    noise: float
    correlation: NDArray[np.float64]
    warp: NDArray[np.float64] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the hyperparameters as JSON values."""
        written = {name: getattr(self, name) for name in ("lengthscale", "noise", "correlation", "warp")}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in written.items()
        }

    def warped(self, x: NDArray[np.float64], numeric: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Inputs (d, m) as the kernel sees them."""
        if self.warp is None:
            return x
        return np.where(numeric[:, None], kumaraswamy(x, self.warp), x)


class Evaluation(NamedTuple):
    """The posterior at m candidates, and what its slopes are computed from."""

    mean: NDArray[np.float64]  # (m,)
    variance: NDArray[np.float64]  # (m,)
    columns: NDArray[np.float64]  # V, (n, m)
    inputs: Inputs
    x: NDArray[np.float64]  # (d, m)


class Posterior:
    """A Gaussian process conditioned on data; see the module's glossary for its attributes.

    Its state is a function of the data and their order alone: points appended one at a time, some
    at a time, or given at once leave the same bits.

    Parameters
    ----------
    structure : Structure
    hyper : Hyperparameters
    x : (d, n) float64
    y : (n,) float64
        Finite; n is at least 1.

    Raises
    ------
    NotPositiveDefiniteError
        The last step of the jitter ladder does not suffice.
    """

    def __init__(
        self,
        structure: Structure,
        hyper: Hyperparameters,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> None:
        self.structure, self.hyper = structure, hyper
        self.kernel = covariance.Kernel(structure, hyper.lengthscale, hyper.correlation)
        self.x, self.y = x, y
        self.inputs = self.as_inputs(x)
        self._factorise(0)
        self._solve()

    @property
    def n(self) -> int:
        """Rows of the factor: data, and points conditioned on."""
        return int(self.x.shape[1])

    @property
    def factor(self) -> NDArray[np.float64]:
        """L, (n, n): its upper triangle means nothing."""
        return self._buffer[: self.n, : self.n]

    @property
    def jitter(self) -> float:
        """Number added to the diagonal in addition to the noise."""
        return linalg.JITTER[self._level]

    def append(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Condition on k more data, in O(n^2): x (d, k), and the targets (n + k,) of all.

        An output warp moves all targets when there is one more.
        """
        self._extend(x)
        self.y = y
        self._solve()

    def conditioned(self, x: NDArray[np.float64]) -> Posterior:
        """The posterior had the points (d, r) been observed at their mean: it alone has less variance."""
        other = copy.copy(self)
        other._buffer = self._buffer.copy()  # the rows past n are the other's own
        other._extend(x)
        other.alpha = np.concatenate([self.alpha, np.zeros(x.shape[1])])
        return other

    def as_inputs(self, x: NDArray[np.float64]) -> Inputs:
        """Points (d, m) as the kernel takes them."""
        warped = self.hyper.warped(x, self.structure.layout.kinds != Kind.CATEGORICAL)
        inputs: Inputs = covariance.inputs(self.kernel, warped)
        return inputs

    def mean(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior mean of candidates (d, m), without storing their correlations."""
        weights, data = self.alpha[None], self.inputs
        mean: NDArray[np.float64] = covariance.cross_mean(self.kernel, data, weights, self.as_inputs(x))[0]
        return mean + self.mu

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance of the latent f at candidates (d, m)."""
        evaluation = self.evaluate(x)
        return evaluation.mean, evaluation.variance

    def evaluate(self, x: NDArray[np.float64]) -> Evaluation:
        """Mean and variance, with what :meth:`slopes` needs."""
        inputs = self.as_inputs(x)
        columns = covariance.cross(self.kernel, self.inputs, inputs)
        mean = self.alpha @ columns
        linalg.solve(self.factor, columns)
        variance = 1.0 - np.einsum("ij,ij->j", columns, columns)
        # 1 - |V|^2 is at least about noise / n but for rounding, which is of the order n eps / noise.
        np.maximum(variance, 0.0, out=variance)
        return Evaluation(mean + self.mu, variance * self.s2, columns, inputs, x)

    def cross(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """K, (n, m)."""
        correlations: NDArray[np.float64] = covariance.cross(self.kernel, self.inputs, self.as_inputs(x))
        return correlations

    def columns(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """V = L^-1 K, (n, m)."""
        columns = self.cross(x)
        linalg.solve(self.factor, columns)
        return columns

    def covariance(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint posterior covariance of the latent f at candidates, (m, m)."""
        columns, inputs = self.columns(x), self.as_inputs(x)
        joint: NDArray[np.float64] = covariance.matrix(self.kernel, inputs)
        joint -= columns.T @ columns
        joint *= self.s2
        return joint

    def draws(self, x: NDArray[np.float64], n: int, *, seed: int) -> NDArray[np.float64]:
        """Joint draws (n, m) of the latent f at candidates (d, m), each a function of its number."""
        uniforms = [normal.uniforms_of_trial(seed, i, 0, x.shape[1]) for i in range(n)]
        root = linalg.root(self.covariance(x) / self.s2)
        draws: NDArray[np.float64] = normal.ndtri(np.array(uniforms)) @ root.T
        return self.mean(x) + math.sqrt(self.s2) * draws

    def variance_given(self, rows: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of the latent f at candidates (d, m) had only the data ``rows`` been observed, (m,)."""
        data, inputs = self.as_inputs(self.x[:, rows]), self.as_inputs(x)
        factor = covariance.matrix(self.kernel, data)
        factor.flat[:: len(rows) + 1] += self.hyper.noise + self.jitter
        linalg.cholesky(factor)
        columns = covariance.cross(self.kernel, data, inputs)
        linalg.solve(factor, columns)
        left: NDArray[np.float64] = np.maximum(1.0 - np.einsum("ij,ij->j", columns, columns), 0.0)
        return self.s2 * left

    def slopes(
        self, at: Evaluation, by_mean: NDArray[np.float64], by_variance: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Gradient (d, m) of sum_j by_mean_j mean_j + by_variance_j variance_j in the candidates.

        d variance_j = -2 s2 (C^-1 k_j)' dk_j. Zero for categories and inactive parameters.
        """
        weight = at.columns * (-2.0 * self.s2 * by_variance)
        linalg.solve_transposed(self.factor, weight)
        weight += self.alpha[:, None] * by_mean
        return self._unwarped(covariance.cross_slopes(self.kernel, self.inputs, at.inputs, weight), at.x)

    def log_marginal_likelihood(self) -> float:
        """Log density of the data under mu and s2: [1] equation 2.30."""
        n = len(self.y)
        determinant = float(np.log(self.factor.diagonal()[:n]).sum())
        return -0.5 * (n * math.log(2.0 * math.pi * self.s2) + self._squares / self.s2) - determinant

    def _unwarped(self, slopes: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slopes in warped inputs to slopes in x."""
        if self.hyper.warp is None:
            return slopes
        by_x = kumaraswamy_slopes(x, self.hyper.warp)[0]
        return np.where(slopes == 0.0, 0.0, slopes * by_x)

    def _extend(self, x: NDArray[np.float64]) -> None:
        """Rows of the factor for points (d, k) after the others."""
        start = self.n
        self.x = np.concatenate([self.x, x], axis=1)
        self.inputs = self.as_inputs(self.x)
        if _whole(start) != _whole(self.n):
            self._factorise(0)
            return
        try:
            self._append_rows(start)
        except NotPositiveDefiniteError:
            self._factorise(self._level + 1)

    def _factorise(self, level: int) -> None:
        """L of all points, with the least jitter from ``level`` on that suffices.

        A level that failed for the first points fails for all, so that climbing while points are
        appended ends where climbing with all of them does.
        """
        whole = _whole(self.n)
        size = max(BLOCK * (self.n // BLOCK + 1), self.n)
        self._buffer = np.empty((size, size + ROW_PADDING))[:, :size]

        def factorise(level: int) -> None:
            self._level = level
            square = self._buffer[:whole, :whole]
            covariance.matrix(self.kernel, self._part(0, whole), out=square)
            np.einsum("ii->i", square)[...] += self.hyper.noise + self.jitter
            linalg.cholesky(square)
            self._append_rows(whole)

        # The smallest noise that is fitted exceeds the first levels: only a noise fixed at less ever climbs.
        linalg.with_jitter(factorise, level)

    def _append_rows(self, start: int) -> None:
        """Rows of the factor from ``start`` on."""
        n = self.n
        if start < n:
            rows = self._buffer[start:n, :n]
            covariance.cross(self.kernel, self._part(start, n), self.inputs, out=rows)
        for i in range(start, n):
            self._buffer[i, i] = 1.0 + (self.hyper.noise + self.jitter)
            linalg.append_row(self._buffer, i)
        least = float(self.factor.diagonal().min()) ** 2
        if not least > n * EPSILON:
            raise NotPositiveDefiniteError(f"the smallest of {n} pivots, {least}, is within rounding errors")

    def _part(self, start: int, stop: int) -> Inputs:
        return self.as_inputs(self.x[:, start:stop])

    def _solve(self) -> None:
        """Compute mu, s2 and alpha from all data, never by adding to earlier values."""
        n, origin = len(self.y), float(self.y[0])
        both = np.stack([self.y - origin, np.ones(n)], axis=1)
        linalg.solve(self.factor, both)
        target, one = both.T
        above = float(one @ target / (one @ one))
        rest = target - above * one
        self.mu = origin + above
        # Constant targets, of which one is a case, leave exactly 0 and say nothing of the scale.
        self._squares = float(rest @ rest)
        self.s2 = self._squares / n or 1.0
        self.alpha = rest
        linalg.solve_transposed(self.factor, self.alpha)


def _whole(n: int) -> int:
    """Rows of n that are factorised at once; the others are appended."""
    return n if n < BLOCK else n - n % BLOCK
