"""The gp sampler's view of one objective that is measured: its model, the best trials, what to improve on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.criteria import best_rows
from hpo_core.gp.goals import Improvement

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.model import GPModel
    from hpo_core.gp.posterior import Hyperparameters

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Neighbours of the best trial are looked for among this many of the best, and as many of the latest.
MAX_SEARCHED = 1024


@dataclass(frozen=True, eq=False)
class Warped:
    """Values (n,) under a warp, best the least."""

    y: Array
    warp: Callable[[Array], Array]

    def values(self, k: int) -> Array:
        """Return the warped values of the first k trials, (k,)."""
        return self.warp(self.y[:k])

    def order(self, k: int) -> Rows:
        """Return the places of the first k trials, the least value first."""
        return np.argsort(self.values(k), kind="stable")


class ObjectiveModel:
    """Model of one objective at the complete trials, a function of their order of finishing alone.

    Parameters
    ----------
    model : GPModel
    warp : callable
        Maps values (n,) to (n,) with mean 0 and variance 1, without changing their order.
    max_posterior : int
        Most trials that the posterior is conditioned on. If there are more, some are selected.
    """

    def __init__(self, model: GPModel, warp: Callable[[Array], Array], max_posterior: int) -> None:
        self._model, self._warp, self._max_posterior = model, warp, max_posterior
        self._y = np.empty(0)
        self._rows: Rows | None = None  # conditioned on, if these are not all

    def refresh(self, x: Array, y: Array) -> None:
        """Take in all complete trials (d, n) and their values (n,), in their order of finishing."""
        n, known = len(y), len(self._y)
        if not np.array_equal(y[:known], self._y):  # a supposed penalty turned out to be a result
            self._model.restart()
        elif n == known:
            return
        self._y = y
        targets = Warped(y, self._warp)
        self._model.fit(x, targets)
        values = targets.values(n)
        self._rows = self._chosen(x, values) if n > self._max_posterior else None
        self._model.condition(x, values, self._rows)

    def at_modes(self) -> ObjectiveModel:
        """Return the model of the same trials with each lengthscale at the mode of its prior."""
        other = copy.copy(self)
        other._model = self._model.at_modes()
        return other

    @property
    def hyper(self) -> Hyperparameters | None:
        """Hyperparameters from the last fit."""
        return self._model.hyper

    @property
    def n(self) -> int:
        """Number of trials conditioned on."""
        return len(self._model.level)

    @property
    def n_models(self) -> int:
        """One."""
        return 1

    @property
    def lengthscale(self) -> Array:
        """Lengthscale of each parameter, (d,)."""
        return self._model.posterior.hyper.lengthscale

    def goal(self, settled: Array, first: int) -> Improvement:  # noqa: ARG002
        """Return what to improve on had the points (d, r) been observed at their mean."""
        posterior = self._model.posterior
        incumbent = float(self._model.level.min())
        return Improvement(posterior.conditioned(settled) if settled.shape[1] else posterior, incumbent)

    def best(self, k: int) -> Array:
        """Return the k best trials, best first, (d, k)."""
        return self._model.posterior.x[:, np.argsort(self._model.level, kind="stable")[:k]]

    @property
    def rows(self) -> Rows:
        """Places of the trials conditioned on, in their order."""
        return np.arange(self.n) if self._rows is None else np.sort(self._rows)

    def _chosen(self, x: Array, y: Array) -> Rows:
        """Return the trials to condition on: half are the best, half are most correlated with the best.

        Neighbours are looked for among the best and the latest, so that they cost the same at any number.
        """
        n = len(y)
        rows = np.union1d(best_rows(y, MAX_SEARCHED), np.arange(max(n - MAX_SEARCHED, 0), n))
        x, y = x[:, rows], y[rows]
        near = self._model.correlations(x, y[None].argmin(axis=1))[0]
        near[best_rows(y, self._max_posterior // 2)] = np.inf
        return rows[best_rows(-near, self._max_posterior)]
