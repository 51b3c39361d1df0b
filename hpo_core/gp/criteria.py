"""Criteria: scores of candidates that a search maximises.

Everything is minimised: an improvement is a value below the incumbent.

Glossary
--------
n, m, d     data, candidates, parameters
bound       a cheap upper bound of the criterion. Variance never grows with more data, and EI grows with
            variance, so log EI given a part of the data bounds log EI; the mean alone bounds a weight
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.native.improvement import log_ei, log_ei_slopes
from hpo_core.native.surrogate import Prediction, climb_log_ei

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.feasibility import Feasibility
    from hpo_core.gp.outlook import Outlook
    from hpo_core.gp.posterior import Posterior
    from hpo_core.gp.scores import Score
    from hpo_core.native.covariance import Structure

    Array = NDArray[np.float64]
    Box = tuple[Array, Array, Array]  # unit, least and greatest value of each parameter that moves

# The variance of a candidate counts 1 + DOUBT sqrt(log n / (1 + k)) times after n trials, if the least tried
# of its groups was active in k. Decided in bench/results/2026-11-29-batches-branches.md.
DOUBT = 2.0
# Data used to bound all candidates, and to bound the candidates left after the first exact values.
N_BOUND, N_TIGHT = 32, 128


class Bound(Protocol):
    """Bounds of the criterion at m candidates."""

    @property
    def value(self) -> Array:
        """At least the criterion, (m,)."""

    def tightened(self, rows: NDArray[np.int64]) -> Array:
        """Return closer bounds of the candidates ``rows`` (r,), at a higher cost."""


class Criterion(Protocol):
    """A score of configurations that is maximised.

    A search uses these methods alone. A new criterion (for several objectives, for constraints) is a new
    class in this module.
    """

    @property
    def n(self) -> int:
        """Rows of the largest factor, which determine the cost of a candidate."""

    def value(self, x: Array) -> Array:
        """Return the criterion of candidates (d, m), (m,)."""

    def gradient(self, x: Array) -> tuple[Array, Array]:
        """Return the criterion (m,) and its gradient (d, m)."""

    def bound(self, x: Array) -> Bound:
        """Return bounds of the criterion of candidates (d, m)."""


class LogEI:
    """Log of the expected improvement below the incumbent.

    Parameters
    ----------
    posterior : Posterior
        Conditioned on running trials, if there are any.
    incumbent : float
        The value to improve on.
    """

    def __init__(self, posterior: Posterior, incumbent: float) -> None:
        self.posterior, self.incumbent = posterior, incumbent

    @property
    def n(self) -> int:
        """Number of data and of pending points that the posterior is conditioned on."""
        return self.posterior.n

    def value(self, x: Array) -> Array:
        """Return log EI of candidates (d, m), (m,)."""
        mean, variance = self.posterior.predict(x)
        return log_ei(mean, np.sqrt(variance * self._doubt(x)), self.incumbent)

    def gradient(self, x: Array) -> tuple[Array, Array]:
        """Return log EI (m,) and its gradient (d, m)."""
        at, factor = self.posterior.evaluate(x), self._doubt(x)
        sd = np.sqrt(at.variance * factor)
        value, by_mean, by_sd = log_ei_slopes(at.mean, sd, self.incumbent)
        by_variance = factor * by_sd / np.maximum(2.0 * sd, np.finfo(float).tiny)
        return value, self.posterior.slopes(at, by_mean, by_variance)

    def climb(
        self, x: Array, rows: NDArray[np.int64], box: Box, *, max_steps: int, tolerance: float
    ) -> Array | None:
        """Climb from configurations (d, m) in one native call: the ends, or None if inputs are warped."""
        posterior = self.posterior
        if posterior.hyper.warp is not None:
            return None
        of = Prediction(
            posterior.kernel, posterior.inputs, posterior.factor, posterior.alpha, posterior.mu, posterior.s2
        )
        # A climb keeps to the branches of its start, and so does the doubt.
        doubts = self._doubt(x)
        return climb_log_ei(
            of, self.incumbent, doubts, x, rows, box, max_steps=max_steps, tolerance=tolerance
        )

    def bound(self, x: Array) -> LogEIBound:
        """Return bounds from the exact means, and the variances given the best of the data."""
        return LogEIBound(self, x)

    def _doubt(self, x: Array) -> Array:
        return doubt(self.posterior.structure, self.posterior.x, x)


class LogEIBound:
    """Bounds of log EI at candidates (d, m)."""

    def __init__(self, criterion: LogEI, x: Array) -> None:
        self._criterion, self._x = criterion, x
        self._mean = criterion.posterior.mean(x)
        self.value = self._given(x, self._mean, N_BOUND)

    def tightened(self, rows: NDArray[np.int64]) -> Array:
        """Return bounds of the candidates ``rows``, given more of the data."""
        return self._given(np.ascontiguousarray(self._x[:, rows]), self._mean[rows], N_TIGHT)

    def _given(self, x: Array, mean: Array, k: int) -> Array:
        posterior = self._criterion.posterior
        variance = posterior.variance_given(best_rows(posterior.y, k), x)
        variance *= doubt(posterior.structure, posterior.x, x)
        return log_ei(mean, np.sqrt(variance), self._criterion.incumbent)


class Scored:
    """A score of the predictions of all metrics.

    Parameters
    ----------
    outlook : Outlook
        Conditioned on running trials, if there are any.
    score : Score
    order : (k,) int64
        Places of the data, best first: those that tell bounds most.
    """

    def __init__(self, outlook: Outlook, score: Score, order: NDArray[np.int64]) -> None:
        self.outlook, self.score, self.order = outlook, score, order

    @property
    def n(self) -> int:
        """Number of data and of pending points that the models are conditioned on."""
        return self.outlook.n

    def value(self, x: Array) -> Array:
        """Return the score of candidates (d, m), (m,)."""
        at = self.outlook.assess(x)
        return self.score.value(at.mean, at.sd)

    def gradient(self, x: Array) -> tuple[Array, Array]:
        """Return the score (m,) and its gradient (d, m)."""
        at = self.outlook.assess(x, slopes=True)
        value, by_mean, by_sd = self.score.slopes(at.mean, at.sd)
        return value, self.outlook.slopes(at, by_mean, by_sd)

    def bound(self, x: Array) -> ScoredBound:
        """Return bounds from the exact means, and the variances given the best of the data."""
        return ScoredBound(self, x)


class ScoredBound:
    """Bounds of a score at candidates (d, m)."""

    def __init__(self, criterion: Scored, x: Array) -> None:
        self._criterion, self._x = criterion, x
        self._mean = criterion.outlook.mean(x)
        self.value = self._given(x, self._mean, N_BOUND)

    def tightened(self, rows: NDArray[np.int64]) -> Array:
        """Return bounds of the candidates ``rows``, given more of the data."""
        return self._given(np.ascontiguousarray(self._x[:, rows]), self._mean[:, rows], N_TIGHT)

    def _given(self, x: Array, mean: Array, k: int) -> Array:
        criterion = self._criterion
        sd = criterion.outlook.sd_given(np.sort(criterion.order[:k]), x)
        return criterion.score.bound(mean, sd)


class Weighted:
    """A criterion plus the log weight of a model of failures.

    Parameters
    ----------
    criterion : Criterion
    feasibility : Feasibility
    """

    def __init__(self, criterion: Criterion, feasibility: Feasibility) -> None:
        self.criterion, self.feasibility = criterion, feasibility

    @property
    def n(self) -> int:
        """Rows of the larger factor."""
        return max(self.criterion.n, self.feasibility.n)

    def value(self, x: Array) -> Array:
        """Return the weighted criterion of candidates (d, m), (m,)."""
        return self.criterion.value(x) + self.feasibility.log_weight(x)

    def gradient(self, x: Array) -> tuple[Array, Array]:
        """Return the weighted criterion (m,) and its gradient (d, m)."""
        value, slope = self.criterion.gradient(x)
        log_weight, by_x = self.feasibility.slopes(x)
        return value + log_weight, slope + by_x

    def bound(self, x: Array) -> WeightedBound:
        """Return the sum of the bounds of both terms."""
        return WeightedBound(self.criterion.bound(x), self.feasibility.bound(x))


class WeightedBound:
    """Sums of the bounds of a criterion and of log weights (m,)."""

    def __init__(self, bound: Bound, log_weight: Array) -> None:
        self._bound, self._log_weight = bound, log_weight
        self.value = bound.value + log_weight

    def tightened(self, rows: NDArray[np.int64]) -> Array:
        """Return closer bounds of the candidates ``rows``."""
        return self._bound.tightened(rows) + self._log_weight[rows]


def doubt(structure: Structure, tried: Array, x: Array) -> Array:
    """Return the factor (m,) on the variance of candidates (d, m), given the configurations tried (d, n).

    In a branch that few trials had, predictions rest on the mean, the scale and the shared lengthscales of
    the others, and are less certain than the model takes them to be. A search that trusts them stays in the
    branch that was first ahead.
    """
    if structure.n_groups == 1:
        return np.ones(x.shape[1])
    rows = structure.order[structure.group_start[1:-1]]  # a parameter of each group that need not be active
    counts = np.sum(~np.isnan(tried[rows]), axis=1)
    doubts = DOUBT * np.sqrt(np.log(tried.shape[1]) / (1.0 + counts))
    extra = np.where(np.isnan(x[rows]), 0.0, doubts[:, None])
    factor: Array = 1.0 + extra.max(axis=0)
    return factor


def best_rows(y: Array, k: int) -> NDArray[np.int64]:
    """Return the indices of the k least values, ascending; of equal values the earliest."""
    return np.sort(np.argsort(y, kind="stable")[:k])
