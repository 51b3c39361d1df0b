"""Predictions of all metrics at candidates: normal for a measured metric, exact for a known one.

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
    from hpo_core.layout import Layout
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Half the distance over which a known metric's slope is taken, as a share of a parameter's range: what an
# objective in float64 resolves, and far less than a lengthscale. On a grid it is at least one level.
STEP = 1e-5
# Coordinates at which a parameter is probed, beside its own: a formula may be the same at both ends.
PROBES = (0.0, 0.5, 1.0)


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
        self._moving = np.flatnonzero(np.isin(space.layout.kinds, (Kind.CONTINUOUS, Kind.STEPPED)))
        self._probed = False

    def values(self, x: Array) -> Array:
        """Return the known metrics of permitted candidates (d, p), (r, p)."""
        return self._units.of(self._metrics.known_values(self._space, x))[self.rows]

    def local(self, x: Array) -> tuple[Array, Array]:
        """Return the known metrics of candidates (d, p), (r, p), and their derivatives, (r, d, p).

        Parameters that change nothing at the first candidates in which they are active count as without
        influence. A climb may pass through configurations that the space does not permit, at which a function
        need not be finite: they count as the worst, without slope.
        """
        values = self._anywhere(x)
        if not self._probed:
            self._moving = np.setdiff1d(self._moving, self._idle(x, values))
            self._probed = True
        row, column = self._places(x)
        low, high = self._sides(row, x[row, column])
        below, above = (self._moved(x, row, column, to) for to in (low, high))
        good = np.isfinite(below) & np.isfinite(above) & np.isfinite(values[:, column])
        below, above, values = (self._in_units(each) for each in (below, above, values))
        slopes = np.zeros((len(self.rows), *x.shape))
        slopes[:, row, column] = np.where(good, above - below, 0.0) / (high - low)
        return values, slopes

    def _anywhere(self, x: Array) -> Array:
        """Return the known metrics of any configurations (d, p), permitted or not, as outcomes (r, p)."""
        with np.errstate(all="ignore"):
            return self._metrics.known_values(self._space, x, finite=False)[self.rows]

    def _in_units(self, values: Array) -> Array:
        """Return values (r, p) of the known metrics in units, the worst where they are not finite."""
        outcomes = np.full((len(self._metrics.rows), values.shape[1]), np.nan)
        outcomes[self.rows] = np.where(np.isfinite(values), values, np.inf)
        return self._units.of(outcomes)[self.rows]

    def _places(self, x: Array) -> tuple[Rows, Rows]:
        """Return row and column of each coordinate that may move a known metric."""
        place, column = np.nonzero(~np.isnan(x[self._moving]))
        return self._moving[place], column

    def _moved(self, x: Array, row: Rows, column: Rows, to: Array) -> Array:
        """Return the known metrics (r, s) when one coordinate alone goes elsewhere, for s coordinates."""
        sides = x[:, column]
        sides[row, np.arange(len(row))] = to
        return self._anywhere(sides)

    def _idle(self, x: Array, values: Array) -> Rows:
        """Return the parameters that are active in candidates (d, p), and move no known metric in any."""
        row, column = self._places(x)
        here, still = values[:, column], np.ones(len(row), np.bool_)
        for probe in PROBES:
            there = self._moved(x, row, column, np.full(len(row), probe))
            still &= np.all(there == here, axis=0)
        return np.setdiff1d(row, row[~still])

    def _sides(self, row: Rows, x: Array) -> tuple[Array, Array]:
        """Return the coordinates (s,) between which slopes at x (s,) are taken: of levels on a grid."""
        layout = self._space.layout
        low, high = np.clip([x - STEP, x + STEP], 0.0, 1.0)
        on_grid = layout.kinds[row] == Kind.STEPPED
        grid, x = row[on_grid], x[on_grid]
        level, last = level_of(layout, grid, x), layout.levels[grid] - 1.0
        below = np.minimum(level_of(layout, grid, low[on_grid]), level - 1.0)
        above = np.maximum(level_of(layout, grid, high[on_grid]), level + 1.0)
        low[on_grid] = center_of(layout, grid, np.maximum(below, 0.0))
        high[on_grid] = center_of(layout, grid, np.minimum(above, last))
        return low, high


def level_of(layout: Layout, row: Rows, x: Array) -> Array:
    """Return the levels (s,) of coordinates x (s,) of the STEPPED parameters ``row`` (s,)."""
    offset, span, low, step, levels = (
        each[row] for each in (layout.offset, layout.span, layout.low, layout.step, layout.levels)
    )
    log = layout.log[row] != 0
    value = np.exp(np.where(log, offset + span * x, 0.0))
    level = np.where(log, (value - low) / step + 0.5, x * levels)
    return np.clip(np.floor(level), 0.0, levels - 1.0)


def center_of(layout: Layout, row: Rows, level: Array) -> Array:
    """Return the coordinates (s,) of levels (s,): the middles of their cells, which a log scale distorts."""
    offset, span, low, step, levels = (
        each[row] for each in (layout.offset, layout.span, layout.low, layout.step, layout.levels)
    )
    log = layout.log[row] != 0
    value, half = np.where(log, low + step * level, 1.0), np.where(log, 0.5 * step, 0.0)
    middle = 0.5 * (np.log(value - half) + np.log(value + half))
    return np.clip(np.where(log, (middle - offset) / span, (level + 0.5) / levels), 0.0, 1.0)


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

    def sd_given(self, rows: Rows, x: Array) -> Array:
        """Return standard deviations (M, p) had only the data ``rows`` been observed."""
        sd = np.zeros((len(self.posteriors), x.shape[1]))
        for row, posterior in enumerate(self.posteriors):
            if posterior is not None:
                sd[row] = np.sqrt(posterior.variance_given(rows, x))
        return sd
