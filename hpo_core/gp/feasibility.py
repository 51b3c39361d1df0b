"""Gaussian-process classification of configurations as working or failing.

Failures are of two kinds. Where a region fails (too large for the memory, a step that diverges), a latent
function is negative; failures that no place explains (a node that is lost) come at a constant rate, are
noise, and repel nothing.

Glossary
--------
n, m, d         labelled trials, candidates, parameters
x, ok           inputs (d, n), and which of them did not fail (n,)
f               latent function: a place works if f exceeds noise of variance 1. Its prior is normal with
                mean LEVEL * SCALE and covariance K: what is unknown is taken to work
K               SCALE^2 (R + 1), R the Matern correlations with lengthscales of their own and 1 for an
                unknown level. The scale is large: regions have sharp edges
rate            of failures that no place explains
likelihood      p(ok | f) = (1 - rate) Phi(f); p(failed | f) = 1 - p(ok | f)
site            what stands for one trial's likelihood: exp(shift f - precision f^2 / 2)
cavity          the approximate posterior of one trial's f without its site; as the sites, of f less its
                prior mean
tilted          cavity times likelihood; its mean and variance decide the site
B = L L'        I + S^1/2 K S^1/2, S the diagonal matrix of the precisions
b               K^-1 times the posterior mean of f, less the prior's, at the data: mean at candidates =
                LEVEL * SCALE + K(x, data)' b
z               mean / sqrt(1 + variance) at a candidate: Phi(z) is the probability that it works
weight          Phi(SHARPNESS (z - MARGIN)), what the expected improvement is multiplied by

The tilted distribution of a failure may be wider than its cavity, since it may be noise: its site then
shifts the mean and has no precision.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning, MIT Press:
   section 3.6 (expectation propagation; the evidence is equation 3.65), algorithm 5.2 (its gradient).
.. [2] M. A. Gelbart, J. Snoek, R. P. Adams (2014), Bayesian optimization with unknown constraints.
   arXiv:1403.5607; J. R. Gardner et al. (2014), Bayesian optimization with inequality constraints. ICML.
.. [3] D. Hernandez-Lobato, J. M. Hernandez-Lobato (2011), Expectation propagation for microarray data
   classification; the likelihood with a rate of wrong labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.errors import NotPositiveDefiniteError
from hpo_core.gp.bfgs import minimize
from hpo_core.gp.fit import GPSettings, Parameters
from hpo_core.native import covariance, linalg, normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.posterior import Hyperparameters
    from hpo_core.native.covariance import Inputs, Structure

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

# Decided on the development family: bench/results/2026-11-28-failures-ablation.md.
SCALE, LEVEL = 100.0, 2.0
MARGIN, SHARPNESS = 1.5, 3.0
LENGTHSCALE_PRIOR = (0.3, 1.0)
# Of the rate: location and scale of its logarithm, and bounds.
RATE_PRIOR = (math.log(0.02), 1.0)
RATE_BOUNDS = (1e-4, 0.95)
# Failures may be regions or noise: the evidence has an optimum for either, and each has a start.
RATE_STARTS = (0.01, 0.5)
# Of the log evidence, from one start.
MAX_EVALUATIONS = 8
# Sweeps over the sites end once one changes the log evidence by less.
MAX_SWEEPS, TOLERANCE = 20, 1e-2
# Share of the way that sites move in a sweep after the first: all move at once, and would overshoot.
DAMPING = 0.8
# Added to the diagonal of R, so that equal inputs have a factor.
JITTER = 1e-6
# Cavities keep a precision above 0 where rounding leaves none.
LEAST_PRECISION = 1e-10
LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


class Tilted(NamedTuple):
    """Of each trial, the log of the expected likelihood and its derivatives, (n,) each."""

    log_mass: Array
    slope: Array  # by the cavity's mean
    curvature: Array
    by_rate: Array


def tilted(ok: Mask, mean: Array, variance: Array, rate: float) -> Tilted:
    """Moments of cavity times likelihood, through derivatives of the log of its mass."""
    scale = np.sqrt(1.0 + variance)
    z = mean / scale
    works = normal.ndtr(z)
    failed = normal.ndtr(-z) + rate * works
    log_mass = np.where(ok, math.log1p(-rate) + normal.log_ndtr(z), np.log(failed))
    density = np.exp(math.log1p(-rate) - 0.5 * z * z - LOG_SQRT_2PI - log_mass)
    slope = np.where(ok, density, -density) / scale
    by_rate = np.where(ok, -1.0 / (1.0 - rate), works / failed)
    return Tilted(log_mass, slope, -slope * (slope + z / scale), by_rate)


class Sites(NamedTuple):
    """The approximate likelihood, (n,) each."""

    precision: Array
    shift: Array

    @classmethod
    def silent(cls, n: int) -> Sites:
        """Sites of n trials that say nothing."""
        return cls(*np.zeros((2, n)))

    def of_others(self, kept: Mask, places: Mask) -> Sites:
        """Sites of other trials: those ``kept`` of these at ``places`` (k,), silent ones elsewhere."""
        sites = Sites.silent(len(places))
        for part, own in zip(sites, self, strict=True):
            part[places] = own[kept]
        return sites

    def moved(self, mean: Array, variance: Array, found: Tilted, share: float) -> Sites:
        """A share of the way to the sites that give each cavity the moments of its tilted distribution."""
        concave = found.curvature < 0.0
        left = np.where(concave, np.maximum(1.0 + variance * found.curvature, LEAST_PRECISION), 1.0)
        precision = np.where(concave, -found.curvature, 0.0) / left
        shift = (found.slope - np.where(concave, mean * found.curvature, 0.0)) / left
        return Sites(
            self.precision + share * (precision - self.precision), self.shift + share * (shift - self.shift)
        )


@dataclass(frozen=True, eq=False)
class FailureHyperparameters:
    """Hyperparameters of a fit.

    Attributes
    ----------
    kernel : Hyperparameters
        Lengthscales and correlations; the noise has no meaning.
    rate : float
        Rate of failures that no place explains.
    """

    kernel: Hyperparameters
    rate: float


class Feasibility:
    """The posterior of the latent function, a function of its arguments alone.

    Parameters
    ----------
    structure : Structure
    hyper : FailureHyperparameters
    x : (d, n) float64
    ok : (n,) bool
        n is at least 1.
    start : Sites, optional
        Sites (n,) of these trials, from which the sweeps begin. From a similar posterior, fewer are needed.

    Attributes
    ----------
    sites : Sites
    log_evidence : float
        Approximate log probability of the labels.
    """

    def __init__(
        self,
        structure: Structure,
        hyper: FailureHyperparameters,
        x: Array,
        ok: Mask,
        start: Sites | None = None,
    ) -> None:
        self.hyper, self._ok = hyper, ok
        self.kernel = covariance.Kernel(structure, hyper.kernel.lengthscale, hyper.kernel.correlation)
        self.inputs: Inputs = covariance.inputs(self.kernel, x)
        self._k = SCALE**2 * (covariance.matrix(self.kernel, self.inputs) + 1.0)
        self._k.flat[:: len(ok) + 1] += SCALE**2 * JITTER
        self._propagate(Sites.silent(self.n) if start is None else start)

    @property
    def n(self) -> int:
        """Labelled trials."""
        return len(self._ok)

    @property
    def any_worked(self) -> bool:
        """Whether a labelled trial did not fail."""
        return bool(self._ok.any())

    def latent(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance of f at candidates (d, m)."""
        mean, variance, _ = self._latent(covariance.inputs(self.kernel, x))
        return mean, variance

    def probability(self, x: Array) -> Array:
        """Phi(z): the probability that candidates (d, m) work, noise apart."""
        mean, variance = self.latent(x)
        return normal.ndtr(mean / np.sqrt(1.0 + variance))

    def log_weight(self, x: Array) -> Array:
        """Log of the weight of candidates (d, m), at most 0."""
        mean, variance = self.latent(x)
        return _log_weight(mean / np.sqrt(1.0 + variance))

    def bound(self, x: Array) -> Array:
        """At least :meth:`log_weight`, from the means alone: variances lie between 0 and the prior's."""
        inputs = covariance.inputs(self.kernel, x)
        level = float(self._b.sum())
        mean = covariance.cross_mean(self.kernel, self.inputs, self._b[None], inputs)[0]
        mean = LEVEL * SCALE + SCALE**2 * (mean + level)
        return _log_weight(np.where(mean > 0.0, mean, mean / math.sqrt(1.0 + 2.0 * SCALE**2)))

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Log weights of candidates (m,), and their gradient (d, m)."""
        inputs = covariance.inputs(self.kernel, x)
        mean, variance, columns = self._latent(inputs)
        spread = np.sqrt(1.0 + variance)
        z = mean / spread
        log_weight, far = _log_weight(z), SHARPNESS * (z - MARGIN)
        by_z = SHARPNESS * np.exp(-0.5 * far * far - LOG_SQRT_2PI - log_weight)
        by_mean, by_variance = by_z / spread, -0.5 * by_z * z / (1.0 + variance)
        linalg.solve_transposed(self._factor, columns)
        weight = SCALE**2 * (self._b[:, None] * by_mean - 2.0 * by_variance * self._root[:, None] * columns)
        return log_weight, covariance.cross_slopes(self.kernel, self.inputs, inputs, weight)

    def evidence_slopes(self) -> tuple[Array, Array, float]:
        """Gradient of the log evidence by log lengthscales (d,), correlations (G,) and the rate."""
        w = linalg.inverse(self._factor)
        w *= -self._root[:, None] * self._root
        w += np.outer(self._b, self._b)
        w *= SCALE**2
        return *covariance.slopes(self.kernel, self.inputs, w), float(self._found.by_rate.sum())

    def _latent(self, inputs: Inputs) -> tuple[Array, Array, Array]:
        """Mean and variance (m,), and L^-1 S^1/2 K of the candidates, (n, m)."""
        columns = covariance.cross(self.kernel, self.inputs, inputs)
        columns += 1.0
        columns *= SCALE**2
        mean = LEVEL * SCALE + self._b @ columns
        columns *= self._root[:, None]
        linalg.solve(self._factor, columns)
        variance = 2.0 * SCALE**2 - np.einsum("ij,ij->j", columns, columns)
        return mean, np.maximum(variance, 0.0), columns

    def _propagate(self, sites: Sites) -> None:
        """Move the sites until the evidence stays; keep the factor and weights that belong to them."""
        self.sites, self.log_evidence = sites, -math.inf
        for _ in range(MAX_SWEEPS):
            before = self.log_evidence
            mean, variance = self._cavities(self.sites)
            if abs(self.log_evidence - before) < TOLERANCE:
                return
            share = DAMPING if self.sites.precision.any() else 1.0
            self.sites = self.sites.moved(mean, variance, self._found, share)
        self._cavities(self.sites)

    def _cavities(self, sites: Sites) -> tuple[Array, Array]:
        """Cavities of the sites: means and variances, (n,); keeps what else follows from the sites."""
        precision, shift = sites
        self._root = root = np.sqrt(precision)
        self._factor = root[:, None] * self._k * root
        self._factor.flat[:: self.n + 1] += 1.0
        linalg.cholesky(self._factor)
        columns = root[:, None] * self._k
        linalg.solve(self._factor, columns)
        posterior = self._k.diagonal() - np.einsum("ij,ij->j", columns, columns)
        reduced = columns @ shift
        posterior_mean = self._k @ shift - reduced @ columns
        linalg.solve_transposed(self._factor, reduced)
        self._b = shift - root * reduced
        left = np.maximum(1.0 / posterior - precision, LEAST_PRECISION)
        mean, variance = (posterior_mean / posterior - shift) / left, 1.0 / left
        self._found = tilted(self._ok, LEVEL * SCALE + mean, variance, self.hyper.rate)
        # Equation 3.65 in the order of its terms, L's determinant first.
        total = left + precision
        self.log_evidence = float(
            0.5 * np.log1p(precision * variance).sum()
            - np.log(self._factor.diagonal()).sum()
            + 0.5 * (shift @ posterior_mean - (shift * shift / total).sum())
            + 0.5 * (mean * left / total * (precision * mean - 2.0 * shift)).sum()
            + self._found.log_mass.sum()
        )
        return mean, variance


def fit_failures(structure: Structure, x: Array, ok: Mask) -> Feasibility:
    """The posterior under the hyperparameters of highest density that searches from the priors' modes find.

    A function of its arguments alone.
    """
    layout = structure.layout
    parameters = Parameters(layout, GPSettings(noise=0.0, lengthscale_prior=LENGTHSCALE_PRIOR))
    low, high = (
        np.append(end, math.log(rate))
        for end, rate in zip((parameters.low, parameters.high), RATE_BOUNDS, strict=True)
    )

    sites: list[Sites] = []

    def unpacked(theta: Array) -> FailureHyperparameters:
        return FailureHyperparameters(parameters.hyperparameters(theta[:-1]), math.exp(theta[-1]))

    def objective(theta: Array) -> tuple[float, Array]:
        hyper, gradient = unpacked(theta), np.empty(len(theta))
        try:
            found = Feasibility(structure, hyper, x, ok, sites[-1] if sites else None)
        except NotPositiveDefiniteError:
            return math.inf, np.zeros(len(theta))
        sites.append(found.sites)
        gradient[parameters.lengthscale], by_correlation, by_rate = found.evidence_slopes()
        c = hyper.kernel.correlation
        gradient[parameters.correlation] = (by_correlation * c * (1.0 - c))[1:]
        gradient[-1] = by_rate * hyper.rate
        penalty, pull = parameters.penalty(theta[:-1])
        off = (theta[-1] - RATE_PRIOR[0]) / RATE_PRIOR[1]
        pull = np.append(pull, off / RATE_PRIOR[1])
        return penalty + 0.5 * off * off - found.log_evidence, pull - gradient

    starts = [np.append(parameters.mode(), math.log(rate)) for rate in RATE_STARTS]
    found = [minimize(objective, start, low, high, max_evaluations=MAX_EVALUATIONS) for start in starts]
    best = min(found, key=lambda minimum: minimum.value)
    return Feasibility(structure, unpacked(best.theta), x, ok, sites[-1])


def _log_weight(z: Array) -> Array:
    return normal.log_ndtr(SHARPNESS * (z - MARGIN))
