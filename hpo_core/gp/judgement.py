"""A posterior of the true values of complete trials whose observed values are noisy.

During the search one noise level is fitted, under a prior that expects little noise. That is too confident
for saying which trial is best. Here the noise is averaged over, and values keep their scale: a warp that
spreads out the best values also spreads out lucky draws.

Glossary
--------
n, d        complete trials, parameters
y           minimised values (n,)
cap         median + 2 (median - best); values above it count as the cap, since of bad trials it is enough to
            know that they are bad
lambda      noise variance relative to the output scale, one of ``NOISES``
weight      of each lambda: p(y | lambda, l) p(l) p(lambda), l the lengthscales and correlations most likely
            given lambda, and log lambda ~ Normal(-3, 3)
quiet       most of the weight is below ``QUIET``: the trials are then compared by their values

Decided, with coverage and regret, in bench/results/2026-11-29-noise.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.fit import GPSettings, Parameters, fit
from hpo_core.gp.model import GPModel
from hpo_core.gp.objective import ObjectiveModel
from hpo_core.gp.posterior import Posterior
from hpo_core.gp.warps import location_scale, median, standardized, tamed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.covariance import Structure

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

NOISES = np.geomspace(1e-6, 3.0, 11)
LOG_NOISE = (-3.0, 3.0)
# Noise of less than half a percent of the deviation of the signal counts as none. Without this bound, another
# trial than the best one was recommended in five of twenty searches without noise.
QUIET = 2e-5
CAP = 2.0
# Trials judged, if there are more: half are the best, half those most correlated with the best of all.
MOST = 256
# With as many parameters and trials a judgement takes four seconds.
MOST_PARAMETERS = 500


@dataclass(frozen=True, eq=False)
class Judgement:
    """Trials by what their true values are expected to be.

    Attributes
    ----------
    places : (k,) int64
        The trials, best first.
    mean, deviation : (k,) float64
        Of their true values, in the units of y; above the cap they say only that a trial is bad.
    """

    places: Rows
    mean: Array
    deviation: Array


def judge(structure: Structure, x: Array, y: Array) -> Judgement | None:
    """Judge complete trials (d, n) by their values (n,), of which at least three differ.

    None if there are more than 500 parameters, or if the values have no common scale, some a million times as
    large as others.
    """
    if len(x) > MOST_PARAMETERS or not np.array_equal(tamed(capped := _capped(y)), capped):
        return None
    places = _chosen(structure, x, y)
    x, location, scale = np.ascontiguousarray(x[:, places]), *location_scale(capped[places])
    means, variances, weights = _by_noise(structure, x, standardized(capped[places]))
    mean = weights @ means
    variance = weights @ (variances + (means - mean) ** 2)
    quiet = weights[NOISES < QUIET].sum() > 0.5
    # If half of the trials are equally good, the cap makes all equal: then, too, the values decide.
    order = np.lexsort((y[places], y[places] if quiet else mean))
    mean, deviation = location + scale * mean, scale * np.sqrt(variance)
    return Judgement(places[order], mean[order], deviation[order])


def _capped(y: Array) -> Array:
    """Return values as they are up to the cap."""
    with np.errstate(over="ignore"):  # to infinity: no cap
        middle = median(y)
        return np.minimum(y, middle + CAP * (middle - float(y.min())))


def _chosen(structure: Structure, x: Array, y: Array) -> Rows:
    """Return the places of the trials to judge, in their order."""
    if len(y) <= MOST:
        return np.arange(len(y))
    model = GPModel(structure, GPSettings(), quiet=0.0, max_fit=MOST)
    chosen = ObjectiveModel(model, lambda values: standardized(_capped(values)), MOST)
    chosen.refresh(x, y)
    return chosen.rows


def _by_noise(structure: Structure, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Return means and variances of the true values under each noise, (L, n), and the noises' weights."""
    means, variances = np.empty((2, len(NOISES), len(y)))
    logs, hyper = np.empty(len(NOISES)), None
    for i, noise in enumerate(NOISES):
        settings = GPSettings(noise=float(noise))
        hyper = fit(structure, x, y, settings=settings, start=hyper)
        posterior = Posterior(structure, hyper, x, y)
        means[i], variances[i] = posterior.predict(x)
        parameters = Parameters(structure.layout, settings)
        logs[i] = posterior.log_marginal_likelihood() - parameters.penalty(parameters.theta(hyper))[0]
    location, scale = LOG_NOISE
    logs -= 0.5 * ((np.log(NOISES) - location) / scale) ** 2
    weights = np.exp(logs - logs.max())
    return means, variances, weights / weights.sum()
