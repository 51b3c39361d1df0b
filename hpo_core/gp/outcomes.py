"""The gp sampler's view of any metrics: a model for each measured one, the front, the best trials.

Glossary
--------
M, m, c     metrics, objectives among them, constraints: rows are objectives first, all minimised
n, k        complete trials; those of them that the models are conditioned on
level       (M, k) value by which a trial is compared, in units (see ``hpo_core.gp.units``): what was observed
            or, if there is noise, the posterior mean
front       feasible trials that no other one beats in everything, by their levels

Kernels of two metrics share their structure, which turns configurations into columns, and nothing else:
lengthscales differ, and with them every correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.criteria import best_rows
from hpo_core.gp.goals import FrontImprovement
from hpo_core.gp.outlook import Known, Outlook
from hpo_core.gp.scores import Aim
from hpo_core.gp.units import Units
from hpo_core.native.hypervolume import contributions, front_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.model import GPModel
    from hpo_core.gp.posterior import Hyperparameters
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Lengthscale of each parameter if no metric is measured, as a share of the range.
LENGTHSCALE = 0.3
# Objectives up to which contributions to the hypervolume are exact.
MAX_EXACT = 4
# Best trials, past the limit of trials that are conditioned on, near which others are kept.
N_CENTRES = 16


@dataclass(frozen=True, eq=False)
class MetricTargets:
    """Targets of one metric: in the units of as many trials as are asked for, the front first."""

    units: Callable[[int], Units]
    row: int

    def values(self, k: int) -> Array:
        """Return the metric of the first k trials, in their units, (k,)."""
        return np.ascontiguousarray(self.units(k).values[self.row])

    def order(self, k: int) -> Rows:
        """Return the places of the first k trials, best first."""
        units = self.units(k)
        return ranked(units.values, units)


class Outcomes:
    """Models of all metrics at the complete trials, a function of their order of finishing alone.

    Parameters
    ----------
    space : Space
    metrics : Metrics
    model : callable
        Makes an empty model.
    max_posterior : int
        Most trials that the models are conditioned on. If there are more, some are selected.
    seed : int
        Seed of the study.
    """

    def __init__(
        self, space: Space, metrics: Metrics, model: Callable[[], GPModel], max_posterior: int, seed: int
    ) -> None:
        self._space, self._metrics, self._max_posterior, self._seed = space, metrics, max_posterior, seed
        self._measured = [(row, model()) for row, known in enumerate(metrics.known) if known is None]
        self._outcomes = np.empty((len(metrics.rows), 0))

    def refresh(self, x: Array, outcomes: Array) -> None:
        """Take in all complete trials (d, n) and their outcomes (M, n), in their order of finishing."""
        n, before = outcomes.shape[1], self._outcomes.shape[1]
        if not np.array_equal(outcomes[:, :before], self._outcomes):  # a penalty turned out to be a result
            for _, model in self._measured:
                model.restart()
        elif n == before:
            return
        self._outcomes = outcomes
        units = cache(lambda k: Units(self._metrics, outcomes[:, :k]))
        for row, model in self._measured:
            model.fit(x, MetricTargets(units, row))
        self._condition(x, units(n))

    def _condition(self, x: Array, units: Units) -> None:
        self._units, n = units, x.shape[1]
        rows = self._rows = self._chosen(x, units) if n > self._max_posterior else np.arange(n)
        self._x, self._level = x[:, rows], units.values[:, rows]
        for row, model in self._measured:
            model.condition(x, np.ascontiguousarray(units.values[row]), rows if len(rows) < n else None)
            self._level[row] = model.level
        self._order = ranked(self._level, units)

    def estimates(self) -> tuple[Rows, Array]:
        """Return the places of the trials conditioned on (k,), and their outcomes by posterior mean."""
        outcomes = self._outcomes[:, self._rows]
        values = self._units.of(outcomes)
        for row, model in self._measured:
            values[row] = model.means()
        back, measured = self._units.back(values), [row for row, _ in self._measured]
        outcomes[measured] = back[measured]
        return self._rows, outcomes

    def hyper(self) -> dict[str, Hyperparameters]:
        """Return the hyperparameters from the last fit of each metric that is measured, by name."""
        fitted = ((row, model.hyper) for row, model in self._measured)
        return {self._metrics.rows[row]: hyper for row, hyper in fitted if hyper is not None}

    @property
    def n(self) -> int:
        """Number of trials conditioned on."""
        return len(self._rows)

    @property
    def n_models(self) -> int:
        """Number of metrics that are measured, at least 1."""
        return max(len(self._measured), 1)

    @property
    def lengthscale(self) -> Array:
        """Geometric mean of the models' lengthscales, (d,)."""
        logs = [np.log(model.posterior.hyper.lengthscale) for _, model in self._measured]
        return np.exp(np.mean(logs, axis=0)) if logs else np.full(len(self._x), LENGTHSCALE)

    def goal(self, settled: Array, first: int) -> FrontImprovement:
        """Return what to improve on had the points (d, r) been observed at their means."""
        units = self._units
        posteriors = {row: model.posterior for row, model in self._measured}
        outlook = Outlook(
            tuple(posteriors.get(row) for row in range(len(self._level))),
            Known(self._space, self._metrics, units),
        )
        aim = Aim(self._level, *units.references(self._level), units.limit, self._seed)
        if settled.shape[1]:
            aim = aim.extended(outlook.mean(settled))
        return FrontImprovement(outlook.conditioned(settled), aim, self._order, first)

    def best(self, k: int) -> Array:
        """Return the k best trials, (d, k): those of the front by the loss without them."""
        return self._x[:, self._order[:k]]

    def _chosen(self, x: Array, units: Units) -> Rows:
        """Return the trials to condition on: half are the best, half are most correlated with the first."""
        order = ranked(units.values, units)
        near = np.full(x.shape[1], -np.inf)
        for _, model in self._measured:
            near = np.maximum(near, model.correlations(x, order[:N_CENTRES]).max(axis=0))
        near[order[: self._max_posterior // 2]] = np.inf
        return best_rows(-near, self._max_posterior)


def ranked(level: Array, units: Units) -> Rows:
    """Return the places of trials with levels (M, k), best first.

    Feasible ones come first, then the least violation; then by front; on the first front the ends and what
    would be lost without each.
    """
    _, far = units.references(level)
    m = len(far)
    y, excess = level[:m], level[m:] - units.limit[:, None]
    violation = np.maximum(excess, 0.0).sum(axis=0)
    rank, gain = np.zeros(level.shape[1], np.int64), np.zeros(level.shape[1])
    feasible = np.flatnonzero(violation == 0.0)
    if len(feasible):
        rank[feasible] = front_ranks(y[:, feasible])
        front = feasible[rank[feasible] == 0]
        gain[front] = _gains(y[:, front], far)
    return np.lexsort((-gain, rank, violation))


def _gains(front: Array, reference: Array) -> Array:
    """Return the loss of the front (m, f) without each of its points, (f,); infinite at its ends."""
    gain = contributions(front, reference) if len(front) <= MAX_EXACT else np.zeros(front.shape[1])
    gain[front.argmin(axis=1)] = np.inf
    return gain
