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
        grid = 0.5 / np.maximum(levels, 1)
        self._step = np.where(kinds == Kind.STEPPED, np.maximum(STEP, grid), STEP)
        self._probed = False

    def values(self, x: Array) -> Array:
        """Return the known metrics of candidates (d, p), (r, p)."""
        return self._units.of(self._metrics.known_values(self._space, x))[self.rows]

    def local(self, x: Array) -> tuple[Array, Array]:
        """Return the known metrics of candidates (d, p), (r, p), and their derivatives, (r, d, p).

        Parameters that change nothing from end to end at the first candidates count as without influence.
        """
        if not self._probed:
            row, column = self._places(x)
            _, rise = self._rises(x, row, column, np.zeros(len(row)), np.ones(len(row)))
            self._moving = np.unique(row[rise.any(axis=0)])
            self._probed = True
        row, column = self._places(x)
        here, step = x[row, column], self._step[row]
        low, high = np.clip([here - step, here + step], 0.0, 1.0)
        values, rise = self._rises(x, row, column, low, high)
        slopes = np.zeros((len(self.rows), *x.shape))
        slopes[:, row, column] = rise / (high - low)
        return values, slopes

    def _places(self, x: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and column of each coordinate that may move a known metric."""
        place, column = np.nonzero(~np.isnan(x[self._moving]))
        return self._moving[place], column

    def _rises(
        self, x: Array, row: NDArray[np.int64], column: NDArray[np.int64], low: Array, high: Array
    ) -> tuple[Array, Array]:
        """Return the known metrics (r, p), and how far each rises when a coordinate goes from low to high."""
        p = x.shape[1]
        sides = x[:, np.concatenate([np.arange(p), column, column])]
        sides[np.tile(row, 2), np.arange(p, sides.shape[1])] = np.concatenate([low, high])
        values, below, above = np.split(self.values(sides), [p, p + len(row)], axis=1)
        return values, above - below


class Assessment(NamedTuple):
    """All metrics at p candidates, and what their slopes are computed from."""

    mean: Array  # (M, p)
    sd: Array  # (M, p)
    parts: list[Evaluation | None]  # by metric; None where known
    known: Array | None  # (r, d, p) derivatives of the known metrics, if they were asked for


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

    def assess(self, x: Array, *, slopes: bool = False) -> Assessment:
        """Return means and standard deviations of candidates (d, p), with what slopes need if wanted."""
        mean, sd = np.zeros((2, len(self.posteriors), x.shape[1]))
        parts = [None if posterior is None else posterior.evaluate(x) for posterior in self.posteriors]
        for row, part in enumerate(parts):
            if part is not None:
                mean[row], sd[row] = part.mean, np.sqrt(part.variance)
        known = None
        if len(self.known.rows) and slopes:
            mean[self.known.rows], known = self.known.local(x)
        elif len(self.known.rows):
            mean[self.known.rows] = self.known.values(x)
        return Assessment(mean, sd, parts, known)

    def slopes(self, at: Assessment, by_mean: Array, by_sd: Array) -> Array:
        """Return the gradient (d, p) of the sum over metrics of by_mean * mean + by_sd * sd, (M, p) each."""
        terms = []
        by_variance = by_sd / np.maximum(2.0 * at.sd, np.finfo(float).tiny)
        for row, (posterior, part) in enumerate(zip(self.posteriors, at.parts, strict=True)):
            if posterior is not None and part is not None:
                terms.append(posterior.slopes(part, by_mean[row], by_variance[row]))
        if at.known is not None:
            terms.append(np.einsum("rp,rdp->dp", by_mean[self.known.rows], at.known))
        slope: Array = np.sum(terms, axis=0)
        return slope

    def sd_given(self, rows: NDArray[np.int64], x: Array) -> Array:
        """Return standard deviations (M, p) had only the data ``rows`` been observed."""
        sd = np.zeros((len(self.posteriors), x.shape[1]))
        for row, posterior in enumerate(self.posteriors):
            if posterior is not None:
                sd[row] = np.sqrt(posterior.variance_given(rows, x))
        return sd
