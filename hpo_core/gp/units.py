"""Units of all metrics, derived from the trials, and mainly from those near the front.

Glossary
--------
M, m, c, k  metrics, objectives among them, constraints, trials; rows are objectives first, all minimised
front       of the feasible trials; of all while none is feasible
ideal       (m,) least value of each objective on the front
range       (m,) from the ideal to the greatest value of each objective on the front
near, far   (m,) references that bound the hypervolume: past the front [1], and past all feasible trials
level       (M, k) value by which a trial is compared, in units: see ``hpo_core.gp.outcomes``

An objective's unit is the range of the front, from the ideal. Up to the knee, which is the median or the near
reference if that is greater, units are linear: the hypervolume only changes by a factor. Past the knee the
logarithm is taken: the loss of a bad configuration may be a thousand times that of a good one, and a model of
plain values would not resolve it. The same holds below the ideal, where infeasible trials may lie. The knee
of a known objective is always the median: sizes of networks, say, go far beyond those that end on the front,
and small ones would count for nothing beside them.

If there is only one objective, and it is measured, nothing but the order of its values counts: they are
warped as if alone. A reference that was given is warped with them.

References are taken from the levels of the trials, so that they bound the front that these levels make: of
noisy results it is another one than that of the results themselves.

References
----------
.. [1] M. Balandat et al. (2020), BoTorch. NeurIPS 33: ``infer_reference_point``.
.. [2] D. Eriksson, M. Poloczek (2021), Scalable constrained Bayesian optimization. AISTATS (the logarithm of
   constraints, from their limits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.warps import FARTHEST, half_rank
from hpo_core.native.hypervolume import is_front

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.metrics import Metrics

    Array = NDArray[np.float64]

# How far a reference lies past the worst values, as a share of the front's range [1].
BEYOND = 0.1
# The same for a warped objective, in its deviations: past all trials, of which the best is what counts.
BEYOND_ALL = 1.0
# All values are shrunk, so that float64 holds the sums and differences of any of them.
SHRINK = 0.125


class Units:
    """Maps of all metrics, a function of the outcomes (M, k) that they are made from.

    Parameters
    ----------
    metrics : Metrics
    outcomes : (M, k) float64
        Of k >= 1 trials.

    Attributes
    ----------
    limit : (c,) float64
        In units: 0.
    values : (M, k) float64
        The outcomes in units.
    """

    def __init__(self, metrics: Metrics, outcomes: Array) -> None:
        self._m, self._limit = len(metrics.objectives), SHRINK * metrics.limit
        objectives, excess = self._parts(outcomes)
        feasible = np.all(excess <= 0.0, axis=0)
        y = objectives[:, feasible] if feasible.any() else objectives
        front = y[:, is_front(y)]
        self._ideal = front.min(axis=1)
        self._range = _first_positive(*(_range(part) for part in (front, y, objectives)))
        with np.errstate(over="ignore"):  # to infinity, which is clipped
            given = (SHRINK * metrics.reference - self._ideal) / self._range
        given = np.clip(given, -FARTHEST, FARTHEST)
        end = np.where(np.isnan(given), (front.max(axis=1) - self._ideal) / self._range + BEYOND, given)
        middle = (np.median(objectives, axis=1) - self._ideal) / self._range
        knee = np.clip(np.maximum(end, middle), 1.0 + BEYOND, FARTHEST)
        known = np.array([function is not None for function in metrics.known[: self._m]])
        self._knee = np.where(known & (middle > 0.0), middle, knee)[:, None]
        self._given = self._bent(given[:, None])[:, 0]
        self.limit = np.zeros(len(excess))
        self._spread = _first_positive(np.median(np.abs(excess), axis=1), np.abs(excess).max(axis=1))
        self.values = self.of(outcomes)
        self._only = outcomes[0] if self._m == 1 and metrics.known[0] is None else None
        if self._only is not None:
            self.values[0] = half_rank(self._only)
            order = np.argsort(self._only, kind="stable")
            self._warp = self._only[order], self.values[0, order]
            self._reference = float(metrics.reference[0])

    def references(self, level: Array) -> tuple[Array, Array]:
        """Return the near and the far reference (m,) of trials with levels (M, k >= 1), in units.

        They are as the user gave them, or as the glossary says.
        """
        if self._only is not None:
            past = float(level[0].max()) + BEYOND_ALL
            if not np.isnan(self._reference):
                past = float(np.interp(self._reference, *self._warp, right=past))
            return np.array([past]), np.array([past])
        feasible = np.all(level[self._m :] <= self.limit[:, None], axis=0)
        y = level[: self._m, feasible] if feasible.any() else level[: self._m]
        worst = y[:, is_front(y)].max(axis=1), y.max(axis=1)
        near, far = (np.where(np.isnan(self._given), each + BEYOND, self._given) for each in worst)
        return near, far

    def _parts(self, outcomes: Array) -> tuple[Array, Array]:
        """Return objectives (m, p), and constraints from their limits (c, p), both times ``SHRINK``."""
        shrunk = SHRINK * outcomes
        return shrunk[: self._m], shrunk[self._m :] - self._limit[:, None]

    def of(self, outcomes: Array) -> Array:
        """Return outcomes (M, p) in units; NaN stays."""
        objectives, excess = self._parts(outcomes)
        with np.errstate(over="ignore"):  # to infinity, which is clipped
            y = (objectives - self._ideal[:, None]) / self._range[:, None]
            excess = excess / self._spread[:, None]
        y, excess = (np.clip(each, -FARTHEST, FARTHEST) for each in (y, excess))
        return np.concatenate([self._bent(y), np.sign(excess) * np.log1p(np.abs(excess))])

    def _bent(self, y: Array) -> Array:
        """Return objectives (m, p) in units, with the logarithm of what is past the knee."""
        past = np.maximum(np.abs(y) / self._knee - 1.0, 0.0)
        return np.where(past > 0.0, np.sign(y) * self._knee * (1.0 + np.log1p(past)), y)

    def back(self, values: Array) -> Array:
        """Return values (M, p) in units as outcomes: the inverse of :meth:`of`, or of a warp."""
        y, excess = values[: self._m], values[self._m :]
        past = np.maximum(np.abs(y) / self._knee - 1.0, 0.0)
        y = np.where(past > 0.0, np.sign(y) * self._knee * (1.0 + np.expm1(past)), y)
        y = self._ideal[:, None] + self._range[:, None] * y
        size = self._spread[:, None] * np.expm1(np.abs(excess))
        outcomes: Array = np.concatenate([y, self._limit[:, None] + np.sign(excess) * size])
        most = np.finfo(np.float64).max
        outcomes = np.clip(outcomes, -SHRINK * most, SHRINK * most) / SHRINK
        if self._only is not None:
            only, warped = self._warp
            outcomes[0] = np.interp(values[0], warped, only)
        return outcomes


def _range(y: Array) -> Array:
    found: Array = y.max(axis=1) - y.min(axis=1)
    return found


def _first_positive(*ranges: Array) -> Array:
    """Return by row the first of the ranges that is above 0; 1 if none is."""
    found = np.ones(len(ranges[0]))
    for candidate in reversed(ranges):
        found = np.where(candidate > 0.0, candidate, found)
    return found
