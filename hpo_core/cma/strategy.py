"""The distribution of a CMA-ES and its update by one generation, after Hansen's tutorial.

Glossary
--------
k           number of coordinates
lam         trials in a generation, lambda in [1]
x           coordinates of a trial, (k,); of a generation (k, lam), best first
mean        m of [1], (k,)
sigma       step size
C           covariance, (k, k); its diagonal (k,) alone past ``MAX_FULL`` coordinates
axes, lengths
            B and the diagonal of D of [1]: C = B D² B'
y           steps (x - mean) / sigma, distributed as N(0, C)
z           C^(-1/2) y, distributed as N(0, I)
path_sigma, path_c
            the evolution paths p_sigma and p_c of [1], (k,)

References
----------
.. [1] N. Hansen (2016), The CMA evolution strategy: a tutorial. arXiv:1604.00772.
.. [2] R. Ros, N. Hansen (2008), A simple modification in CMA-ES achieving linear time and space complexity.
   PPSN X.
.. [3] N. Hansen (2011), Injecting external solutions into CMA-ES. arXiv:1110.4181.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.native.linalg import eigh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Coordinates up to which covariances are learnt; past that, variances alone, which takes fewer trials [2].
MAX_FULL = 20
# Added to a squared length that divides; what an eigenvalue becomes that rounding has made negative.
TINY = 1e-8
# Least step size after a move, as a share of the range.
LEAST_SIGMA = 1e-6


@dataclass(frozen=True, eq=False)
class Constants:
    """Constants that depend on k and lam only; numbers of equations in [1].

    Attributes
    ----------
    weights : (lam,) float64
        Positive for the better half, negative for the others, eq. 53.
    mu_eff : float
        Effective number of the better half.
    c_sigma, d_sigma : float
        Rate and damping of the step size, eq. 55.
    c_c, c_1, c_mu : float
        Rates of p_c, and of the covariance by p_c and by the generation, eqs. 56 to 58.
    chi : float
        Expected length of z.
    """

    weights: Array
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float


def population(k: int) -> int:
    """Return the usual number of trials in a generation, eq. 48."""
    return 4 + math.floor(3 * math.log(k))


@cache
def constants(k: int, lam: int, *, full: bool) -> Constants:
    """Return the constants of ``lam`` trials of ``k`` coordinates."""
    raw = math.log((lam + 1) / 2) - np.log(np.arange(1, lam + 1))
    better, others = raw[: lam // 2], raw[lam // 2 :]
    mu_eff = float(better.sum() ** 2 / (better @ better))
    mu_eff_others = float(others.sum() ** 2 / (others @ others))
    faster = 1.0 if full else (k + 2) / 3  # [2]
    c_1 = faster * 2 / ((k + 1.3) ** 2 + mu_eff)
    c_mu = faster * 2 * (mu_eff - 2 + 1 / mu_eff) / ((k + 2) ** 2 + mu_eff)
    c_1 = min(c_1, 0.5)
    c_mu = min(c_mu, 1 - c_1 - TINY)
    most = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_others / (mu_eff + 2), (1 - c_1 - c_mu) / (k * c_mu))
    weights = np.where(raw >= 0, raw / raw[raw > 0].sum(), raw * most / -raw[raw < 0].sum())
    c_sigma = (mu_eff + 2) / (k + mu_eff + 5)
    return Constants(
        weights=weights,
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (k + 1)) - 1) + c_sigma,
        c_c=(4 + mu_eff / k) / (k + 4 + 2 * mu_eff / k),
        c_1=c_1,
        c_mu=c_mu,
        chi=math.sqrt(k) * (1 - 1 / (4 * k) + 1 / (21 * k * k)),
    )


class Strategy:
    """A normal distribution that moves to where the better trials are: mean, sigma and C of the glossary.

    Parameters
    ----------
    mean : (k,) float64
    sigma : float
    lam : int
        Trials in a generation, at least 4.
    full : bool
        Whether covariances are learnt, or variances alone.
    """

    def __init__(self, mean: Array, sigma: float, lam: int, *, full: bool) -> None:
        k = len(mean)
        self.mean, self.sigma, self.lam = mean, sigma, lam
        self._constants, self._full, self._generation = constants(k, lam, full=full), full, 0
        self._c = np.eye(k) if full else np.ones(k)
        self._path_sigma, self._path_c = np.zeros(k), np.zeros(k)
        self._axes, self.lengths = np.eye(k) if full else np.empty(0), np.ones(k)

    def draw(self, z: Array) -> Array:
        """Return trials (k, m) of standard normal ``z`` (k, m), eqs. 38 to 40."""
        y = self._axes @ (self.lengths[:, None] * z) if self._full else self.lengths[:, None] * z
        return self.mean[:, None] + self.sigma * y

    @property
    def deviations(self) -> Array:
        """Standard deviation of each coordinate, (k,)."""
        variances = np.diagonal(self._c) if self._full else self._c
        deviations: Array = self.sigma * np.sqrt(np.maximum(variances, TINY * TINY))
        return deviations

    def _whitened(self, y: Array) -> Array:
        """Return C^(-1/2) y, (k, m)."""
        if self._full:
            return self._axes @ ((self._axes.T @ y) / self.lengths[:, None])
        return y / self.lengths[:, None]

    def shortened(self, x: Array) -> Array:
        """Return trials (k, m), those from elsewhere moved towards the mean if they are far from it [3]."""
        k = len(self.mean)
        step = x - self.mean[:, None]
        length = np.sqrt(np.sum(self._whitened(step / self.sigma) ** 2, axis=0))
        most = math.sqrt(k) + 2 * k / (k + 2)
        nearer: Array = self.mean[:, None] + step * np.minimum(1.0, most / np.maximum(length, TINY))
        return nearer

    def move(self, mean: Array, around: Array) -> None:
        """Go to another mean, with the step size that half of the trials ``around`` it (k, m) are within."""
        squares = np.mean(self._whitened(around - mean[:, None]) ** 2, axis=0)
        self.mean, self.sigma = mean, max(math.sqrt(np.median(squares)), LEAST_SIGMA)
        self._path_sigma, self._path_c = np.zeros(len(mean)), np.zeros(len(mean))

    def update(self, x: Array) -> None:
        """Learn from a generation (k, lam), best first."""
        its, k, mu = self._constants, len(self.mean), self.lam // 2
        self._generation += 1
        y = (x - self.mean[:, None]) / self.sigma
        z = self._whitened(y)
        y_w, z_w = y[:, :mu] @ its.weights[:mu], z[:, :mu] @ its.weights[:mu]  # eq. 41
        self.mean = self.mean + self.sigma * y_w  # eq. 42
        self._path_sigma = (1 - its.c_sigma) * self._path_sigma + math.sqrt(
            its.c_sigma * (2 - its.c_sigma) * its.mu_eff
        ) * z_w  # eq. 43
        length = float(np.sqrt(self._path_sigma @ self._path_sigma))
        self.sigma *= math.exp(its.c_sigma / its.d_sigma * (length / its.chi - 1))  # eq. 44
        unbiased = length / math.sqrt(1 - (1 - its.c_sigma) ** (2 * (self._generation + 1)))
        stalls = unbiased >= (1.4 + 2 / (k + 1)) * its.chi
        self._path_c = (1 - its.c_c) * self._path_c  # eq. 45
        if not stalls:
            self._path_c = self._path_c + math.sqrt(its.c_c * (2 - its.c_c) * its.mu_eff) * y_w
        squares = np.sum(z * z, axis=0)
        w = its.weights * np.where(its.weights >= 0, 1.0, k / (squares + TINY))  # eq. 46
        kept = 1 - its.c_1 - its.c_mu * its.weights.sum() + its.c_1 * stalls * its.c_c * (2 - its.c_c)
        if self._full:  # eq. 47
            p = self._path_c
            self._c = kept * self._c + its.c_1 * np.outer(p, p) + its.c_mu * ((y * w) @ y.T)
            squared, self._axes = eigh(self._c)
        else:
            self._c = kept * self._c + its.c_1 * self._path_c**2 + its.c_mu * (y * y) @ w
            squared = self._c
        self.lengths = np.sqrt(np.where(squared < 0, TINY, squared))
