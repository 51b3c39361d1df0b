"""What is believed of all metrics at candidates: normal where a metric is measured, exact where it is known.

Glossary
--------
M, d, p     metrics, parameters, candidates
mean, sd    (M, p) of the metrics at candidates, in units (see ``hpo_core.gp.units``); sd is 0 where known
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.layout import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.posterior import Evaluation, Posterior
    from hpo_core.gp.units import Units
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Array = NDArray[np.float64]

# Half the distance over which a known metric's slope is taken, as a share of a parameter's range: what an
# objective in float64 resolves, and far less than a lengthscale.
STEP = 1e-5


class Known:
    """The known metrics of a study, in units.

    Parameters
    ----------
    space : Space
    metrics : Metrics
    units : Units

    Attributes
    ----------
    rows : (r,) int64
        Rows of the known metrics.
    """

    def __init__(self, space: Space, metrics: Metrics, units: Units) -> None:
        self._space, self._metrics, self._units = space, metrics, units
        self.rows = np.flatnonzero([known is not None for known in metrics.known])
        kinds, levels = space.layout.kinds, space.layout.levels
        self._moving = np.flatnonzero(np.isin(kinds, (Kind.CONTINUOUS, Kind.STEPPED)))
        # A step of less than a level of the grid would be lost.
        grid = 0.5 / np.maximum(levels[self._moving], 1)
        self._step = np.where(kinds[self._moving] == Kind.STEPPED, np.maximum(STEP, grid), STEP)

    def values(self, x: Array) -> Array:
        """Return the known metrics of candidates (d, p), (r, p)."""
        return self._units.of(self._metrics.known_values(self._space, x))[self.rows]

    def slopes(self, x: Array, by_value: Array) -> Array:
        """Return the gradient (d, p) of the sum over r of ``by_value`` (r, p) times the known metrics."""
        slope = np.zeros_like(x)
        row, column = np.nonzero(~np.isnan(x[self._moving]))
        if not len(row) or not by_value.any():
            return slope
        moved, step = self._moving[row], self._step[row]
        here = x[moved, column]
        ends = np.clip([here - step, here + step], 0.0, 1.0)
        sides = np.repeat(x[:, column], 2, axis=1)
        sides[np.repeat(moved, 2), np.arange(2 * len(row))] = ends.T.ravel()
        values = self.values(sides)
        rise = values[:, 1::2] - values[:, ::2]
        slope[moved, column] = (by_value[:, column] * rise).sum(axis=0) / (ends[1] - ends[0])
        return slope


class Assessment(NamedTuple):
    """All metrics at p candidates, and what their slopes are computed from."""

    mean: Array  # (M, p)
    sd: Array  # (M, p)
    parts: list[Evaluation | None]  # by metric; None where known
    x: Array  # (d, p)


@dataclass(frozen=True, eq=False)
class Outlook:
    """Beliefs about all metrics.

    Attributes
    ----------
    posteriors : tuple of Posterior or None
        By metric, in units; None where it is known.
    known : Known
    """

    posteriors: tuple[Posterior | None, ...]
    known: Known

    @property
    def n(self) -> int:
        """Rows of the models' factors, 1 if there is no model."""
        return max((posterior.n for posterior in self.measured), default=1)

    @property
    def measured(self) -> list[Posterior]:
        """The posteriors of the metrics that are measured."""
        return [posterior for posterior in self.posteriors if posterior is not None]

    def conditioned(self, x: Array) -> Outlook:
        """Return the beliefs had all metrics been observed at the points (d, r), at their means."""
        if not x.shape[1]:
            return self
        after = (None if posterior is None else posterior.conditioned(x) for posterior in self.posteriors)
        return Outlook(tuple(after), self.known)

    def mean(self, x: Array) -> Array:
        """Return the means of candidates (d, p), (M, p)."""
        mean = np.empty((len(self.posteriors), x.shape[1]))
        for row, posterior in enumerate(self.posteriors):
            if posterior is not None:
                mean[row] = posterior.mean(x)
        if len(self.known.rows):
            mean[self.known.rows] = self.known.values(x)
        return mean

    def assess(self, x: Array) -> Assessment:
        """Return means and standard deviations of candidates (d, p)."""
        mean, sd = np.zeros((2, len(self.posteriors), x.shape[1]))
        parts = [None if posterior is None else posterior.evaluate(x) for posterior in self.posteriors]
        for row, part in enumerate(parts):
            if part is not None:
                mean[row], sd[row] = part.mean, np.sqrt(part.variance)
        if len(self.known.rows):
            mean[self.known.rows] = self.known.values(x)
        return Assessment(mean, sd, parts, x)

    def slopes(self, at: Assessment, by_mean: Array, by_sd: Array) -> Array:
        """Return the gradient (d, p) of the sum over metrics of by_mean * mean + by_sd * sd, (M, p) each."""
        slope = np.zeros_like(at.x)
        by_variance = by_sd / np.maximum(2.0 * at.sd, np.finfo(float).tiny)
        for row, (posterior, part) in enumerate(zip(self.posteriors, at.parts, strict=True)):
            if posterior is not None and part is not None:
                slope += posterior.slopes(part, by_mean[row], by_variance[row])
        if len(self.known.rows):
            slope += self.known.slopes(at.x, by_mean[self.known.rows])
        return slope

    def sd_given(self, rows: NDArray[np.int64], x: Array) -> Array:
        """Return standard deviations (M, p) had only the data ``rows`` been observed."""
        sd = np.zeros((len(self.posteriors), x.shape[1]))
        for row, posterior in enumerate(self.posteriors):
            if posterior is not None:
                sd[row] = np.sqrt(posterior.variance_given(rows, x))
        return sd
