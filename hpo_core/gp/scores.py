"""Scores of normal predictions of all metrics together, as functions of means and deviations.

Glossary
--------
M, m, c, p  metrics, objectives among them, constraints, candidates; rows are objectives first
mean, sd    (M, p) of independent normal predictions, minimised; sd may be 0
front       (m, k) points to improve on
limit       (c,) a trial is feasible if each constraint is at most its limit
bound       an upper bound on the score for every sd between 0 and the given one. Hypervolume improvement is
            convex in each objective, so its expectation grows with sd

References
----------
.. [1] M. Emmerich et al. (2016), A multicriteria generalization of expected global improvement.
.. [2] J. Knowles (2006), ParEGO. IEEE Transactions on Evolutionary Computation 10 (the Chebyshev weights).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.native.ehvi import boxes, log_ehvi, log_ehvi_slopes
from hpo_core.native.hypervolume import is_front
from hpo_core.native.improvement import log_ei
from hpo_core.native.normal import log_ndtr, uniforms_of_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Objectives up to which the hypervolume is improved; past that, a weighted maximum with random weights:
# bench/results/2026-11-28-fronts-ablations.md.
MAX_BY_HYPERVOLUME = 3
# An objective with less weight would not count at all.
LEAST_WEIGHT = 1e-3
# Streams of the study's seed that nothing else reads.
_WEIGHT_STREAM = 0x7765696768747300
_REFERENCE_STREAM = 0x7265666572656E63
LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
# Nodes of the integral over a weighted improvement, and how many e-folds they span down from its whole depth,
# at most ``FARTHEST``. The log of the integral is wrong by less than ``ERROR``.
N_NODES, FOLDS, FARTHEST, ERROR = 96, 12.0, 10.0, 0.15
# Past so many deviations a probability is 0 or 1 whatever its slope, which float64 no longer resolves.
FLAT = 1e6
# A deviation up to this is none, except for the distance to a limit.
LEAST_SD = 1e-12
# Log of the score of a candidate that is known to be infeasible: below any that is not, above none at all.
INFEASIBLE = -1e4


class Score(Protocol):
    """A score of predictions that is maximised."""

    def value(self, mean: Array, sd: Array) -> Array:
        """Return the score, (p,)."""

    def slopes(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Return the score (p,) and its derivatives by mean and by sd, (M, p)."""

    def bound(self, mean: Array, sd: Array) -> Array:
        """Return an upper bound on the score for every sd between 0 and the given one, (p,)."""


class LogEHVI:
    """Log of the expected improvement of the hypervolume that m <= 3 objectives dominate; see [1].

    Of one objective it is log EI below the least value of the front.
    """

    def __init__(self, front: Array, reference: Array) -> None:
        self._m = len(reference)
        self._boxes = boxes(front, reference)

    def value(self, mean: Array, sd: Array) -> Array:
        """Return log EHVI, (p,)."""
        return log_ehvi(mean[: self._m], sd[: self._m], *self._boxes)

    def slopes(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Return log EHVI (p,) and its derivatives, (M, p)."""
        by_mean, by_sd = np.zeros((2, *mean.shape))
        m = self._m
        value, by_mean[:m], by_sd[:m] = log_ehvi_slopes(mean[:m], sd[:m], *self._boxes)
        return value, by_mean, by_sd

    def bound(self, mean: Array, sd: Array) -> Array:
        """Return the score itself, which grows with every deviation."""
        return self.value(mean, sd)


class LogChebyshev:
    """Log of the expected improvement of a weighted maximum of the objectives [2].

    With independent normal objectives the probability that their weighted maximum is below a level is a
    product. Its integral over all levels from what is known exactly to the incumbent is the expected
    improvement, taken over nodes that lie closer towards the incumbent.

    Parameters
    ----------
    front : (m, k) float64
        k is at least 1.
    weights : (m,) float64
        Positive.
    """

    def __init__(self, front: Array, weights: Array) -> None:
        self._m, self._weights = len(weights), weights[:, None]
        self._incumbent = float((self._weights * front).max(axis=0).min())
        logs = np.linspace(-FOLDS, 0.0, N_NODES)
        width = np.exp(logs) * (logs[1] - logs[0])
        width[[0, -1]] *= 0.5
        width[0] += math.exp(-FOLDS)
        self._node, self._log_width = np.exp(logs)[:, None], np.log(width)[:, None]

    def value(self, mean: Array, sd: Array) -> Array:
        """Return the log of the expected improvement, (p,)."""
        terms, *_ = self._terms(mean, sd)
        return _log_sum(terms)

    def slopes(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Return the log of the expected improvement (p,) and its derivatives, (M, p)."""
        by_mean, by_sd = np.zeros((2, *mean.shape))
        m, columns = self._m, np.arange(mean.shape[1])
        terms, logs, z, scale, level = self._terms(mean, sd)
        value = _log_sum(terms)
        hopeful = value > -np.inf
        share = np.exp(np.where(hopeful, terms - np.where(hopeful, value, 0.0), -np.inf))
        ratio = share * np.exp(-0.5 * z * z - LOG_SQRT_2PI - logs)
        measured = sd[:m] > LEAST_SD
        by_mean[:m] = np.where(measured, -ratio.sum(axis=1) / scale, 0.0)
        by_sd[:m] = np.where(measured, -(ratio * z).sum(axis=1) / scale, 0.0)
        # A level that is known moves the lower end of the integral.
        row = level.argmax(axis=0)
        known = hopeful & (level[row, columns] > self._incumbent - FARTHEST)
        end = np.exp(logs[:, -1].sum(axis=0) - np.where(hopeful, value, 0.0))
        by_mean[row, columns] -= np.where(known, self._weights[row, 0] * end, 0.0)
        return value, by_mean, by_sd

    def bound(self, mean: Array, sd: Array) -> Array:
        """Return the least of the bounds by one objective alone, each of which is an expected improvement."""
        target = self._incumbent / self._weights[:, 0]
        alone = [log_ei(mean[j], sd[j], target[j]) + math.log(self._weights[j, 0]) for j in range(self._m)]
        least: Array = np.min(alone, axis=0)
        return least + ERROR

    def _terms(self, mean: Array, sd: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Logs of the sum's terms (nodes, p), of each probability, and its z (m, nodes, p); scales, levels.

        The levels (m, p) are those of objectives that are known, elsewhere -inf.
        """
        mean, sd = mean[: self._m], sd[: self._m]
        known = sd <= LEAST_SD
        level = np.where(known, self._weights * mean, -np.inf)
        depth = np.clip(self._incumbent - level.max(axis=0), 0.0, FARTHEST)
        target = (self._incumbent - self._node * depth) / self._weights[:, None]
        scale = np.where(known, 1.0, sd)
        z = np.clip((target - mean[:, None]) / scale[:, None], -FLAT, FLAT)
        logs = np.where(known[:, None], 0.0, log_ndtr(z))
        with np.errstate(divide="ignore"):
            terms = logs.sum(axis=0) + self._log_width + np.log(depth)
        return terms, logs, np.where(known[:, None], FLAT, z), scale, level


class LogFeasible:
    """Log of the probability that all constraints hold.

    Parameters
    ----------
    limit : (c,) float64
        Of the last c rows.
    """

    def __init__(self, limit: Array) -> None:
        self._limit, self._c = limit[:, None], len(limit)

    def value(self, mean: Array, sd: Array) -> Array:
        """Return the sum of the constraints' log probabilities, (p,)."""
        room, exact, scale = self._parts(mean, sd)
        return _summed(np.where(exact, _floor(room), log_ndtr(room / scale)))

    def slopes(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Return the sum (p,) and its derivatives, (M, p)."""
        by_mean, by_sd = np.zeros((2, *mean.shape))
        room, exact, scale = self._parts(mean, sd)
        z = np.clip(room / scale, -FLAT, FLAT)
        logs = log_ndtr(z)
        by_z = np.exp(-0.5 * z * z - LOG_SQRT_2PI - logs)
        by_mean[-self._c :] = np.where(exact, np.where(room < 0.0, INFEASIBLE, 0.0), -by_z / scale)
        by_sd[-self._c :] = np.where(exact, 0.0, -by_z * z / scale)
        return _summed(np.where(exact, _floor(room), logs)), by_mean, by_sd

    def bound(self, mean: Array, sd: Array) -> Array:
        """Return the score where the mean is infeasible, which grows with the deviation; elsewhere 0."""
        room, exact, scale = self._parts(mean, sd)
        logs = log_ndtr(np.minimum(room, 0.0) / scale)
        return _summed(np.where(exact, _floor(room), np.where(room < 0.0, logs, 0.0)))

    def _parts(self, mean: Array, sd: Array) -> tuple[Array, NDArray[np.bool_], Array]:
        """Return how far the means are inside the limits, which of them are exact, and scales, (c, p)."""
        sd = sd[-self._c :]
        exact = sd == 0.0
        return self._limit - mean[-self._c :], exact, np.where(exact, 1.0, np.maximum(sd, LEAST_SD))


class Total:
    """Sum of scores."""

    def __init__(self, *scores: Score) -> None:
        self._scores = scores

    def value(self, mean: Array, sd: Array) -> Array:
        """Return the sum, (p,)."""
        return _summed([score.value(mean, sd) for score in self._scores])

    def slopes(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Return the sum (p,) and its derivatives, (M, p)."""
        value, by_mean, by_sd = zip(*(score.slopes(mean, sd) for score in self._scores), strict=True)
        return _summed(value), _summed(by_mean), _summed(by_sd)

    def bound(self, mean: Array, sd: Array) -> Array:
        """Return the sum of the bounds, (p,)."""
        return _summed([score.bound(mean, sd) for score in self._scores])


@dataclass(frozen=True, eq=False)
class Aim:
    """The values to improve on.

    Attributes
    ----------
    level : (M, k) float64
        Of the trials that were observed, or are supposed to have been.
    near, far : (m,) float64
        References. The hypervolume of a trial is bounded by a point between them, drawn for each trial.
    limit : (c,) float64
    seed : int
        Seed of the study.
    """

    level: Array
    near: Array
    far: Array
    limit: Array
    seed: int

    def score(self, number: int) -> Score:
        """Return the score of the trial with this number."""
        feasible = LogFeasible(self.limit)
        front = self.front()
        if not front.shape[1]:
            return feasible
        m = len(self.near)
        if m <= MAX_BY_HYPERVOLUME:
            improvement: Score = LogEHVI(front, self.reference(number))
        else:
            improvement = LogChebyshev(front, self.weights(number))
        return Total(improvement, feasible) if len(self.limit) else improvement

    def front(self) -> Array:
        """Return the objectives of the front, (m, f); f = 0 while nothing is feasible."""
        m = len(self.near)
        y = self.level[:m, np.all(self.level[m:] <= self.limit[:, None], axis=0)]
        return np.ascontiguousarray(y[:, is_front(y)]) if y.shape[1] else y

    def reference(self, number: int) -> Array:
        """Return the reference of the trial with this number, (m,).

        With only the near reference, points past the ends of the front are worth nothing, so a short front
        never grows. With only the far one, the ends outweigh the middle. The distance from the near one is
        drawn by its logarithm, in ranges of the front.
        """
        share = uniforms_of_trial(self.seed ^ _REFERENCE_STREAM, number, 0, 1)
        reference: Array = self.near + np.expm1(share * np.log1p(self.far - self.near))
        return reference

    def weights(self, number: int) -> Array:
        """Return weights of the objectives, uniform on the simplex, (m,)."""
        logs = -np.log(uniforms_of_trial(self.seed ^ _WEIGHT_STREAM, number, 0, len(self.near)))
        weights: Array = np.maximum(logs / logs.sum(), LEAST_WEIGHT)
        return weights

    def extended(self, level: Array) -> Aim:
        """Return the aim had trials with levels (M, r) been observed, too."""
        return replace(self, level=np.concatenate([self.level, level], axis=1))


def _summed(parts: Array | Sequence[Array]) -> Array:
    total: Array = np.sum(parts, axis=0)
    return total


def _floor(room: Array) -> Array:
    """Return the log probability for known metrics: 0, or a floor that falls with the violation."""
    return np.where(room < 0.0, INFEASIBLE * (1.0 - room), 0.0)


def _log_sum(terms: Array) -> Array:
    """Log of the sum of exp over the first axis; -inf where all are."""
    top = terms.max(axis=0)
    origin = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        total: Array = origin + np.log(np.exp(terms - origin).sum(axis=0))
    return total
