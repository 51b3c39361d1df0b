"""Units of all metrics, taken from the trials themselves: where the front lies decides what counts.

Glossary
--------
M, m, c, k  metrics, objectives among them, constraints, trials; rows are objectives first, all minimised
front       of the feasible trials; of all while none is feasible
ideal       (m,) least value of each objective on the front
nadir       (m,) greatest value of each objective on the front
reference   (m,) what bounds the hypervolume: as given; otherwise ``BEYOND`` times the front's range past the
            nadir [1]

An objective's unit is the range of the front, from the ideal. Hypervolume is not affected by that. Values
past the reference add no hypervolume: their logarithm keeps the model from spending itself on them. Where
there is only one objective, nothing but the order of its values counts, and they are warped as if alone.

References
----------
.. [1] M. Balandat et al. (2020), BoTorch. NeurIPS 33: ``infer_reference_point``.
.. [2] D. Eriksson, M. Poloczek (2021), Scalable constrained Bayesian optimization. AISTATS (the logarithm of
   constraints, from their limits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.warps import OUTPUT_WARPS
from hpo_core.native.hypervolume import is_front

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.metrics import Metrics

    Array = NDArray[np.float64]

BEYOND = 0.1
MODE = {"objective": "log", "constraint": "bilog", "reference": "nadir", "single": "half-rank"}


class Units:
    """Maps of all metrics, a function of the outcomes (M, k) that they are made from.

    Parameters
    ----------
    metrics : Metrics
    outcomes : (M, k) float64
        Of k >= 1 trials.

    Attributes
    ----------
    reference, limit : (m,), (c,) float64
        In units.
    feasible : (k,) bool
        Trials without a violation, as observed.
    """

    def __init__(self, metrics: Metrics, outcomes: Array) -> None:
        self._metrics, self._outcomes = metrics, outcomes
        m = self._m = len(metrics.objectives)
        self._limit = metrics.limit
        excess = outcomes[m:] - metrics.limit[:, None]
        self.feasible = np.all(excess <= 0.0, axis=0)
        y = outcomes[:m, self.feasible] if self.feasible.any() else outcomes[:m]
        front = y[:, is_front(y)]
        self._ideal, nadir = front.min(axis=1), front.max(axis=1)
        self._range = _first_positive(nadir - self._ideal, np.ptp(y, axis=1), np.ptp(outcomes[:m], axis=1))
        inferred = nadir + BEYOND * self._range
        if MODE["reference"] == "worst":
            inferred = y.max(axis=1) + BEYOND * self._range
        elif MODE["reference"] == "optuna":
            w = outcomes[:m].max(axis=1); inferred = np.maximum(1.1 * w, 0.9 * w)
        elif MODE["reference"] == "half":
            inferred = nadir + 0.5 * self._range
        elif MODE["reference"] == "one":
            inferred = nadir + 1.0 * self._range
        given = np.where(np.isnan(metrics.reference), inferred, metrics.reference)
        self.reference = (given - self._ideal) / self._range
        self.limit = np.zeros(len(excess))
        self._spread = _first_positive(np.median(np.abs(excess), axis=1), np.ptp(excess, axis=1))

    def values(self) -> Array:
        """Return the outcomes in units, (M, k)."""
        inside = self.of(self._outcomes)
        if self._m == 1 and self._metrics.known[0] is None:
            inside[0] = OUTPUT_WARPS[MODE["single"]](self._outcomes[0])
        elif self._m > 1 and MODE["objective"] == "half-rank":
            for j in range(self._m):
                y = self._outcomes[j]
                v = OUTPUT_WARPS["half-rank"](y)
                o = np.argsort(y, kind="stable")
                ref = self.reference[j] * self._range[j] + self._ideal[j]
                self._ref2 = getattr(self, "_ref2", self.reference.copy())
                self._ref2[j] = np.interp(ref, y[o], v[o]) + (0.05 if ref > y.max() else 0)
                inside[j] = v
            self.reference = self._ref2
        return inside

    def of(self, outcomes: Array) -> Array:
        """Return outcomes (M, p) in units; NaN stays."""
        m = self._m
        y = (outcomes[:m] - self._ideal[:, None]) / self._range[:, None]
        past = np.maximum(y - self.reference[:, None], 0.0)
        if MODE["objective"] == "log":
            y = np.where(past > 0.0, self.reference[:, None] + np.log1p(past), y)
        elif MODE["objective"] == "cap":
            y = y - np.maximum(past - 1.0, 0)
        elif MODE["objective"] == "log1":
            p1 = np.maximum(past - 1.0, 0)
            y = np.where(p1 > 0.0, y - p1 + np.log1p(p1), y)
        excess = (outcomes[m:] - self._limit[:, None]) / self._spread[:, None]
        if MODE["constraint"] == "bilog":
            excess = np.sign(excess) * np.log1p(np.abs(excess))
        return np.concatenate([y, excess])

    def back(self, values: Array) -> Array:
        """Return values (M, p) in units as outcomes: the inverse of :meth:`values`."""
        raise NotImplementedError


def _first_positive(*ranges: Array) -> Array:
    """Return by row the first of the ranges that is above 0; 1 if none is."""
    found = np.ones(len(ranges[0]))
    for candidate in reversed(ranges):
        found = np.where(candidate > 0.0, candidate, found)
    return found
