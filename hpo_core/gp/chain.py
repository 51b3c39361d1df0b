"""A Gaussian process over configuration and step: one for the first rung, one for each step between rungs.

The curves of a study are nested: whoever has reached a rung has passed the rungs before. With a Markov chain
over rungs, the posterior of all curves is then one Gaussian process per rung, each given its own data [1], so
that a thousand curves cost a few small factorisations.

Glossary
--------
n, m, K     curves, candidates, rungs; see ``hpo_core.samplers.curves``
z_k(x)      value at rung k, in units
rho_k       slope of z_k in z_{k-1}, with a prior around 1
delta_k     z_0, and z_k = rho_k z_{k-1} + delta_k: independent Gaussian processes over x. Their noise is
            the part of a change that x does not explain. It belongs to the curve: noise to others, and
            variance to the prediction of a curve that has begun. A new one is judged without, or the search
            would repeat the best again and again
scale       variance of delta_k, shrunk towards ``typical``: the prior says that z changes from first to last
            rung by as much as curves differ at the first one, in proportion to the logarithm of the depth.
            All rungs together say by how much more or less

References
----------
.. [1] L. Le Gratiet, J. Garnier (2014), Recursive co-kriging model for design of computer experiments with
   multiple levels of fidelity. International Journal for Uncertainty Quantification 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.gp.fit import GPSettings, Parameters, fit, scheduled
from hpo_core.gp.posterior import Posterior
from hpo_core.gp.warps import Bend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.posterior import Evaluation, Hyperparameters
    from hpo_core.native.covariance import Structure
    from hpo_core.samplers.curves import Curves

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Decided on the development tasks: bench/results/2026-11-29-curves-ablation.md.
# Curves that a rung's process is conditioned on and fitted to: half are the best there, half are spread.
MAX_CURVES = 192
# With fewer curves at a rung, lengthscales and noise are those of the prior's mode.
FEWEST_TO_FIT = 6
# Standard deviation of rho - 1.
SLOPE_DEVIATION = 0.3
# Variance of z_K - z_0 as a share of that of z_0; how many curves this is worth, for all rungs and for one;
# and how many curves of one rung count for all.
CHANGE, PRIOR_ALL, PRIOR_ONE, MOST_OF_ONE = 0.5, 3.0, 3.0, 5
LEAST_VARIANCE = 1e-12


class Step(NamedTuple):
    """delta_k given the data, and rho_k. Without data there is no posterior, and the mean is 0."""

    posterior: Posterior | None
    slope: float
    variance: float  # of the part of a change that is the curve's own; of all without a posterior

    def moments(self, x: Array, begun: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Return mean and variance of delta_k at candidates (d, m), of curves that have begun or have not."""
        if self.posterior is None:
            return np.zeros(x.shape[1]), np.full(x.shape[1], self.variance)
        mean, variance = self.posterior.predict(x)
        return mean, variance + np.where(begun, self.variance, 0.0)


@dataclass(frozen=True, eq=False)
class Chain:
    """The posterior of all curves.

    Attributes
    ----------
    steps : tuple of Step
        By rung.
    curves : Curves
        The curves that it is conditioned on.
    z : (n, K)
        Their values in units.
    incumbent : float
        The least value seen, in units.
    lengthscale : (d,) float64
        At the first rung.
    """

    steps: tuple[Step, ...]
    curves: Curves
    z: Array
    incumbent: float
    lengthscale: Array

    @property
    def weights(self) -> Array:
        """Return by how much each delta_k counts at the horizon, (K,)."""
        slopes = np.array([step.slope for step in self.steps])
        return np.append(np.cumprod(slopes[:0:-1])[::-1], 1.0)

    def at_horizon(self, x: Array, level: Rows, z: Array) -> tuple[Array, Array]:
        """Return mean and variance (m,) at the horizon of curves (d, m) with values z at their levels (m,).

        A curve that has not begun has the level -1, and its value is ignored.
        """
        mean, variance = np.where(level < 0, 0.0, z), np.zeros(len(z))
        for k, step in enumerate(self.steps):
            on = np.flatnonzero(level < k)
            if len(on):
                add, more = step.moments(np.ascontiguousarray(x[:, on]), level[on] >= 0)
                mean[on] = step.slope * mean[on] + add
                variance[on] = step.slope**2 * variance[on] + more
        return mean, variance

    def mean_at_horizon(self, x: Array, level: Rows, z: Array) -> Array:
        """Return the mean (m,) alone, which costs a tenth."""
        mean = np.where(level < 0, 0.0, z)
        for k, step in enumerate(self.steps):
            on = np.flatnonzero(level < k)
            if len(on):
                mean[on] = step.slope * mean[on]
                if step.posterior is not None:
                    mean[on] += step.posterior.mean(np.ascontiguousarray(x[:, on]))
        return mean

    def conditioned(self, x: Array, level: Rows | None = None) -> Chain:
        """Return the chain as if curves (d, r), at their levels (r,), had gone on as expected."""
        if not x.shape[1]:
            return self
        at = np.full(x.shape[1], -1) if level is None else level
        steps = []
        for k, step in enumerate(self.steps):
            new = np.ascontiguousarray(x[:, at < k])
            known = (
                step.posterior
                if step.posterior is None or not new.shape[1]
                else step.posterior.conditioned(new)
            )
            steps.append(step._replace(posterior=known))
        return replace(self, steps=tuple(steps))

    def evaluate(self, x: Array) -> tuple[Array, Array, list[tuple[int, Evaluation]]]:
        """Return mean and variance at the horizon of new curves (d, m), and what ``slopes`` needs."""
        mean, variance, parts = np.zeros(x.shape[1]), np.zeros(x.shape[1]), []
        for k, (step, weight) in enumerate(zip(self.steps, self.weights, strict=True)):
            if step.posterior is None:
                variance += weight**2 * step.variance
            else:
                at = step.posterior.evaluate(x)
                mean += weight * at.mean
                variance += weight**2 * at.variance
                parts.append((k, at))
        return mean, variance, parts

    def slopes(self, parts: list[tuple[int, Evaluation]], by_mean: Array, by_variance: Array) -> Array:
        """Return the gradient (d, m) of sum_j by_mean_j mean_j + by_variance_j variance_j."""
        weights, total = self.weights, np.zeros(1)
        for k, at in parts:
            posterior = self.steps[k].posterior
            if posterior is not None:
                w = weights[k]
                total = total + posterior.slopes(at, w * by_mean, w**2 * by_variance)
        return np.asarray(total)


class ChainModel:
    """Makes the chain of given curves, a function of these alone: fits are kept only to save time.

    Parameters
    ----------
    structure : Structure
    settings : GPSettings
        Of the fits.
    """

    def __init__(self, structure: Structure, settings: GPSettings) -> None:
        self._structure, self._settings = structure, settings
        parameters = Parameters(structure.layout, settings)
        self._default = parameters.hyperparameters(parameters.mode())
        self._fits: dict[tuple[int, int], tuple[bytes, Hyperparameters]] = {}

    def of(self, curves: Curves, incumbent: float, n_first: int = 0) -> Chain:
        """Return the chain of at least one curve.

        ``incumbent`` is the least value seen, ``n_first`` says how values are bent: see ``Bend``.
        """
        bend = Bend(np.append(curves.best, incumbent), n_first)
        z = bend.of(curves.values)
        typical = _typical(z, curves)
        steps = tuple(self._step(curves, z, k, typical[k], n_first) for k in range(len(curves.depths)))
        lengthscale = self._hyper(curves, np.arange(len(curves.rows)), 0, n_first).lengthscale
        return Chain(steps, curves, z, float(bend.of(np.array([incumbent]))[0]), lengthscale)

    def _step(self, curves: Curves, z: Array, k: int, typical: float, n_first: int) -> Step:
        places = np.flatnonzero(curves.level >= k)
        if not len(places):
            return Step(None, 1.0, typical)
        n = len(places)
        hyper = self._hyper(curves, places, k, n_first)
        if n > MAX_CURVES:
            places = places[_some(z[places, k])]
        slope, targets = _targets(z[places], k)
        posterior = Posterior(self._structure, hyper, np.ascontiguousarray(curves.x[:, places]), targets)
        if k == 0:
            return Step(posterior, 0.0, 0.0)
        n = len(places)
        posterior.s2 = max((posterior.s2 * n + PRIOR_ONE * typical) / (n + PRIOR_ONE), LEAST_VARIANCE)
        return Step(posterior, slope, posterior.s2 * hyper.noise)

    def _hyper(self, curves: Curves, places: Rows, k: int, n_first: int) -> Hyperparameters:
        """Return hyperparameters fitted to the first curves that arrived at a rung, as many as scheduled."""
        if len(places) < FEWEST_TO_FIT:
            return self._default
        order = np.argsort(curves.arrival[places, k], kind="stable")
        first = np.sort(places[order[: scheduled(len(places))]])
        values = curves.values[first, max(k - 1, 0) : k + 1]
        key = curves.rows[first].tobytes() + values.tobytes()
        kept = k, n_first
        if kept not in self._fits or self._fits[kept][0] != key:
            z = Bend(values.min(axis=1), n_first).of(values)
            if len(first) > MAX_CURVES:
                some = _some(z[:, -1])
                first, z = first[some], z[some]
            targets = _targets(z, z.shape[1] - 1)[1]
            x = np.ascontiguousarray(curves.x[:, first])
            self._fits[kept] = key, fit(self._structure, x, targets, settings=self._settings)
        return self._fits[kept][1]


def _targets(z: Array, k: int) -> tuple[float, Array]:
    """Return rho_k and delta_k of curves (n, k + 1 or more) that have reached rung k."""
    if k == 0:
        return 0.0, z[:, 0]
    before, change = z[:, k - 1], z[:, k] - z[:, k - 1]
    off = before - before.mean()
    squares = float(off @ off) + float(change.var()) / SLOPE_DEVIATION**2
    slope = 1.0 + float(off @ change) / squares if squares > 0.0 else 1.0
    slope = min(max(slope, 0.0), 1.3)
    return slope, z[:, k] - slope * before


def _typical(z: Array, curves: Curves) -> Array:
    """Return the variance (K,) of a change that is expected before curves have reached a rung."""
    depths = np.log(curves.depths.astype(np.float64))
    n_rungs = len(depths)
    share = np.diff(depths, prepend=depths[0]) / (float(depths[-1] - depths[0]) or 1.0)
    prior = CHANGE * max(float(z[:, 0].var()), LEAST_VARIANCE) * share
    total, count = PRIOR_ALL, PRIOR_ALL
    for k in range(1, n_rungs):
        change = (z[:, k] - z[:, k - 1])[curves.level >= k]
        if len(change) > 1:
            weight = min(len(change) - 1, MOST_OF_ONE)
            total += weight * float(change.var()) / prior[k]
            count += weight
    return np.asarray(prior * total / count)


def _some(value: Array) -> Rows:
    """Return MAX_CURVES of the places of n values, ascending: half have the least, the others are spread."""
    order = np.argsort(value, kind="stable")
    half = MAX_CURVES // 2
    spread = np.linspace(half, len(order) - 1, MAX_CURVES - half).astype(np.int64)
    return np.sort(np.concatenate([order[:half], order[spread]]))
