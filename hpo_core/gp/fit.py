"""Maximum a posteriori hyperparameters of a Gaussian process, its mean and scale profiled out.

Glossary
--------
n, d, G         data, parameters, groups (see ``hpo_core.layout``)
R, C            correlations of the data; C = R + lambda I
l, c            lengthscale (d,), correlation (G,) of groups 1, 2, ...
mu, s2          profiled mean and scale: mu = 1'C^-1 y / 1'C^-1 1, s2 = (y - mu)' C^-1 (y - mu) / n
alpha           C^-1 (y - mu 1)
theta           what is searched: log l, log lambda, logit c, log a, log b (the last two of the input warp)
objective       -log p(y | l, lambda, c) - log p(l) - log p(lambda) - log p(a, b)
                = n/2 log(2 pi e s2) + 1/2 log det C - ...
W               2 d objective / d C = C^-1 - alpha alpha' / s2, (n, n): mu and s2 are at their
                optimum and add nothing. d objective / d log lambda = lambda/2 tr W, minus the prior's
priors          l ~ LogNormal(sqrt 2 + log(d_g)/2, sqrt 3) with d_g the parameters of l's group,
                lambda ~ LogNormal(-4, 1), log a and log b ~ Normal(0, 3/4), c uniform. The objective is
                over densities of l and lambda, so that the modes are exp(location - scale^2)

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning, MIT
   Press: equations 2.30 and 5.9.
.. [2] C. Hvarfner et al. (2024), Vanilla Bayesian optimization performs great in high dimensions.
   arXiv:2402.02229 (the priors).
.. [3] A. I. Cowen-Rivers et al. (2022), HEBO: pushing the limits of sample-efficient hyperparameter
   optimisation. JAIR 74 (the input warp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.gp.bfgs import Minimum, minimize
from hpo_core.gp.posterior import Hyperparameters
from hpo_core.gp.warps import kumaraswamy_slopes, standardized
from hpo_core.layout import Kind
from hpo_core.native import covariance, linalg
from hpo_core.native.surrogate import likelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.native.covariance import Inputs, Kernel, Structure

LENGTHSCALE_BOUNDS = (0.01, 1000.0)
NOISE_BOUNDS = (1e-6, 10.0)
CORRELATION_BOUNDS = (0.05, 0.95)
WARP_BOUNDS = (0.1, 10.0)

# A study refits after each trial to this many, then whenever it has grown by the factor. Each trial to 64 was
# no better on the development suite (168 pairs, net wins +0.02, se 0.08 after 100 trials) and took longer.
ALWAYS_REFIT = 12
GROWTH = 1.08
# Of so many fits after 12 trials one begins at the modes of the priors, the others where an earlier one ended
# and with its curvature: the latest of every fourth, so that a model made from a log needs few. On 208 fits
# along eight searches they took 14 evaluations instead of 30 and ended 0.46 nats lower on average, with noise
# added 0.29: 2026-11-29-gp-latency.md in bench/results.
WARM, STRIDE = 24, 4
# A cold fit of more data begins with half of them. On 140 sets of 160 to 512 data it took half as long as one
# that has all from the start and ended within 0.13 nats of it; begun with a third, ten were off by up to 340.
LARGE = 150


@dataclass(frozen=True)
class GPSettings:
    """Constants of the fit.

    Attributes
    ----------
    noise : float or None
        lambda, held; None fits it.
    lengthscale_prior : (float, float)
        Location and scale of log l; log(d_g) / 2 is added to the location.
    noise_prior : (float, float)
        Location and scale of log lambda.
    input_warp : bool
        Whether numeric inputs pass through a Kumaraswamy distribution function of their own.
    warp_scale : float
        Standard deviation of log a and log b.
    max_evaluations : int
        Of the objective, at most, from one start.
    restart_from : int
        Number of data from which on a cold fit has a second start. With fewer, which are fitted again after
        each trial, it would cost more than it gains.
    max_subset, max_full : int
        A cold fit of more than 150 data is one of half of them, at most ``max_subset``, then at most
        ``max_full`` evaluations with all.
    """

    noise: float | None = None
    lengthscale_prior: tuple[float, float] = (math.sqrt(2.0), math.sqrt(3.0))
    noise_prior: tuple[float, float] = (-4.0, 1.0)
    input_warp: bool = False
    warp_scale: float = 0.75
    max_evaluations: int = 60
    restart_from: int = 65
    max_subset: int = 192
    max_full: int = 32


class Parameters:
    """The layout of hyperparameters in theta, their priors and bounds."""

    def __init__(self, layout: Layout, settings: GPSettings) -> None:
        d, n_groups = layout.size, layout.n_groups
        self.numeric = layout.kinds != Kind.CATEGORICAL
        self.fixed_noise = settings.noise
        self.warps = settings.input_warp and bool(self.numeric.any())
        sizes = [d, settings.noise is None, n_groups - 1, *(2 * [self.warps * self.numeric.sum()])]
        ends = np.cumsum(sizes)
        starts = ends - sizes
        self.lengthscale, self.noise, self.correlation, self.warp_a, self.warp_b = map(slice, starts, ends)
        self.size = int(ends[-1])
        self._set_priors(layout, settings)

    def _set_priors(self, layout: Layout, settings: GPSettings) -> None:
        """Every prior is normal in theta, with a slope for the density it is over; c's is flat."""
        self.center, self.precision = np.zeros(self.size), np.zeros(self.size)
        self.slope = np.zeros(self.size)
        self.low, self.high = np.empty(self.size), np.empty(self.size)
        group_size = np.bincount(layout.group, minlength=layout.n_groups)[layout.group]
        location, scale = settings.lengthscale_prior
        lengthscale = (location + 0.5 * np.log(group_size), scale, 1.0, LENGTHSCALE_BOUNDS)
        exponent = (0.0, settings.warp_scale, 0.0, WARP_BOUNDS)
        for part, (center, width, slope, bounds) in (
            (self.lengthscale, lengthscale),
            (self.noise, (*settings.noise_prior, 1.0, NOISE_BOUNDS)),
            (self.warp_a, exponent),
            (self.warp_b, exponent),
        ):
            self.center[part], self.precision[part], self.slope[part] = center, width**-2, slope
            self.low[part], self.high[part] = np.log(bounds)
        self.low[self.correlation], self.high[self.correlation] = map(_logit, CORRELATION_BOUNDS)

    def mode(self) -> NDArray[np.float64]:
        """Theta at the priors' modes; c is 1/2."""
        shift = np.divide(self.slope, self.precision, out=np.zeros(self.size), where=self.precision > 0.0)
        return np.clip(self.center - shift, self.low, self.high)

    def penalty(self, theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """-log of the priors' densities but for a constant, and its gradient."""
        off = theta - self.center
        pull = self.precision * off
        return float(0.5 * (pull @ off) + self.slope @ theta), pull + self.slope

    def hyperparameters(self, theta: NDArray[np.float64]) -> Hyperparameters:
        correlation = np.concatenate([[1.0], 1.0 / (1.0 + np.exp(-theta[self.correlation]))])
        noise = self.fixed_noise if self.fixed_noise is not None else float(np.exp(theta[self.noise][0]))
        return Hyperparameters(np.exp(theta[self.lengthscale]), noise, correlation, self._warp(theta))

    def theta(self, hyper: Hyperparameters) -> NDArray[np.float64]:
        """The inverse of ``hyperparameters``, within the bounds."""
        theta = self.mode()
        theta[self.lengthscale] = np.log(hyper.lengthscale)
        theta[self.noise] = math.log(max(hyper.noise, NOISE_BOUNDS[0]))
        theta[self.correlation] = _logit(hyper.correlation[1:])
        if self.warps and hyper.warp is not None:
            theta[self.warp_a], theta[self.warp_b] = np.log(hyper.warp[:, self.numeric])
        return np.clip(theta, self.low, self.high)

    def _warp(self, theta: NDArray[np.float64]) -> NDArray[np.float64] | None:
        if not self.warps:
            return None
        logs = np.zeros((2, len(self.numeric)))
        logs[:, self.numeric] = theta[self.warp_a], theta[self.warp_b]
        return np.exp(logs)


class Objective:
    """The objective of the glossary and its gradient, for one set of data."""

    def __init__(
        self,
        structure: Structure,
        parameters: Parameters,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> None:
        self.structure, self.parameters = structure, parameters
        self.x, self.y = x, y
        self.n_evaluations = 0
        self._w = np.empty((len(y), len(y)))

    def __call__(self, theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Value and gradient (p,); infinity where C is not positive definite in float64."""
        self.n_evaluations += 1
        parameters = self.parameters
        hyper = parameters.hyperparameters(theta)
        kernel = covariance.Kernel(self.structure, hyper.lengthscale, hyper.correlation)
        x = hyper.warped(self.x, parameters.numeric)
        found = likelihood(kernel, x, self.y, max(hyper.noise, linalg.JITTER[1]), self._w)
        if not found.value < math.inf:
            return math.inf, np.zeros(len(theta))
        gradient, c = np.empty(parameters.size), hyper.correlation
        gradient[parameters.lengthscale] = found.by_log_lengthscale
        gradient[parameters.noise] = found.by_log_noise
        gradient[parameters.correlation] = (found.by_correlation * c * (1.0 - c))[1:]
        if hyper.warp is not None:
            self._add_warp(gradient, hyper.warp, kernel, covariance.inputs(kernel, x))
        penalty, pull = parameters.penalty(theta)
        return found.value + penalty, gradient + pull

    def minimize(
        self, theta: NDArray[np.float64], max_evaluations: int, hessian: NDArray[np.float64] | None = None
    ) -> Minimum:
        low, high = self.parameters.low, self.parameters.high
        return minimize(self, theta, low, high, max_evaluations=max_evaluations, inverse_hessian=hessian)

    def best(self, starts: list[NDArray[np.float64]], max_evaluations: int) -> Minimum:
        """The lowest of the minima found from each start."""
        return min((self.minimize(start, max_evaluations) for start in starts), key=lambda found: found.value)

    def _add_warp(
        self,
        gradient: NDArray[np.float64],
        warp: NDArray[np.float64],
        kernel: Kernel,
        inputs: Inputs,
    ) -> None:
        """Put the slopes by the exponents of the input warp into ``gradient``, once ``_w`` holds W."""
        parameters = self.parameters
        w = np.tril(self._w) + np.tril(self._w, -1).T
        by_warped = covariance.cross_slopes(kernel, inputs, inputs, w)[parameters.numeric]
        active = by_warped != 0.0
        _, *by_logs = kumaraswamy_slopes(self.x[parameters.numeric], warp[:, parameters.numeric])
        for part, by_log in zip((parameters.warp_a, parameters.warp_b), by_logs, strict=True):
            gradient[part] = np.sum(by_warped * by_log, axis=1, where=active)


class Fit(NamedTuple):
    """The end of a search for the highest posterior density, and the start of the next search."""

    hyper: Hyperparameters
    n: int  # data that it was made with
    inverse_hessian: NDArray[np.float64] | None  # of the objective there; None if it is not known


def fit(
    structure: Structure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    settings: GPSettings | None = None,
    start: Hyperparameters | None = None,
) -> Hyperparameters:
    """Hyperparameters of the highest posterior density that a search from ``start`` finds.

    A function of its arguments alone: without ``start`` the search begins at the modes of the
    priors, so that a study rebuilt from its log fits the same.
    """
    before = None if start is None else Fit(start, len(y), None)
    return refit(structure, x, y, settings or GPSettings(), before).hyper


def refit(
    structure: Structure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    settings: GPSettings,
    before: Fit | None,
) -> Fit:
    """Fit, beginning with a fit to fewer data or, without one, at the modes of the priors."""
    parameters, n = Parameters(structure.layout, settings), len(y)
    starts = _cold_starts(parameters, settings, n) if before is None else [parameters.theta(before.hyper)]
    y = standardized(y)  # the optimum is the same for any location and scale
    if not y.any():
        return Fit(parameters.hyperparameters(starts[0]), n, None)
    everything = Objective(structure, parameters, x, y)
    if before is not None:
        found = everything.minimize(starts[0], settings.max_evaluations, _scaled(before, n))
    elif n <= LARGE:
        found = everything.best(starts, settings.max_evaluations)
    else:
        some = np.linspace(0, n - 1, min(n // 2, settings.max_subset)).astype(np.int64)
        subset = Objective(structure, parameters, np.ascontiguousarray(x[:, some]), y[some])
        found = subset.best(starts, settings.max_evaluations)
        rough = Fit(parameters.hyperparameters(found.theta), len(some), found.inverse_hessian)
        found = everything.minimize(found.theta, settings.max_full, _scaled(rough, n))
    return Fit(parameters.hyperparameters(found.theta), n, found.inverse_hessian)


def _scaled(before: Fit, n: int) -> NDArray[np.float64] | None:
    """Return the inverse Hessian to begin with, given n data: the likelihood's curvature grows with them."""
    return None if before.inverse_hessian is None else before.inverse_hessian * (before.n / n)


def at_modes(structure: Structure, hyper: Hyperparameters, settings: GPSettings) -> Hyperparameters:
    """The hyperparameters ``hyper`` but with each lengthscale at the mode of its prior."""
    parameters = Parameters(structure.layout, settings)
    return replace(hyper, lengthscale=parameters.hyperparameters(parameters.mode()).lengthscale)


def _cold_starts(parameters: Parameters, settings: GPSettings, n: int) -> list[NDArray[np.float64]]:
    """The modes of the priors; for many data the same with noise as large as the signal.

    Noisy data have two optima, one of short lengthscales and hardly any noise. On 75 sets with noise of 0
    to 2 deviations the best one was found from one of the two always, from the modes alone in 68; of
    three or nine starts only the most likely one followed was worse than the modes.
    """
    modes = parameters.mode()
    noisy = modes.copy()
    noisy[parameters.noise] = 0.0
    return [modes, noisy] if n >= settings.restart_from and settings.noise is None else [modes]


def schedule(n: int) -> list[int]:
    """Return the fits, by how many of n finished trials each is made with, that lead to the one in use.

    All trials are used up to 12; then the trials of the last fit until there are 8 % more. Each fit begins
    with the one before it in the list, the first at the modes of the priors. The list is a function of n
    alone, so that a study rebuilt from its log fits the same.
    """
    fits = [min(n, ALWAYS_REFIT)]
    while (following := math.ceil(GROWTH * fits[-1])) <= n and n > ALWAYS_REFIT:
        fits.append(following)
    since = fits[(len(fits) - 1) // WARM * WARM :]
    return [*since[:-1:STRIDE], since[-1]]


def scheduled(n: int) -> int:
    """Return to how many of n finished trials, the first ones, the hyperparameters in use are fitted."""
    return schedule(n)[-1]


def _logit(c: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.log(c / (1.0 - np.asarray(c)))
