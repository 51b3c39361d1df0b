"""The gp sampler's model of the objective: hyperparameters fitted on schedule, posterior of the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.criteria import best_rows
from hpo_core.gp.fit import fit, scheduled
from hpo_core.gp.posterior import Posterior
from hpo_core.native import covariance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.fit import GPSettings
    from hpo_core.gp.posterior import Hyperparameters
    from hpo_core.native.covariance import Structure

    Array = NDArray[np.float64]


class GPModel:
    """Posterior of the complete trials, a function of their order of finishing alone.

    Parameters
    ----------
    structure : Structure
    fit_settings : GPSettings
    warp : callable
        Maps values (n,) to (n,) with mean 0 and variance 1, without changing their order.
    quiet : float
        Noise, relative to the output scale, below which trials are compared by their values; above, by
        their posterior means.
    max_fit, max_posterior : int
        Most trials that hyperparameters are fitted to, and that the posterior is conditioned on. If there
        are more, some are selected.

    Attributes
    ----------
    posterior : Posterior
        Of the warped values.
    hyper : Hyperparameters or None
        From the last fit.
    level : (k,) float64
        The value by which each trial conditioned on is compared: its warped value or, if there is noise,
        its posterior mean.
    """

    posterior: Posterior
    level: Array

    def __init__(
        self,
        structure: Structure,
        fit_settings: GPSettings,
        *,
        warp: Callable[[Array], Array],
        quiet: float,
        max_fit: int,
        max_posterior: int,
    ) -> None:
        self._structure, self._fit_settings = structure, fit_settings
        self._warp, self._quiet = warp, quiet
        self._max_fit, self._max_posterior = max_fit, max_posterior
        self._n = self._fitted = 0
        self._y = np.empty(0)
        self.hyper: Hyperparameters | None = None
        self._rows: NDArray[np.int64] | None = None  # conditioned on, if these are not all

    def refresh(self, x: Array, y: Array) -> None:
        """Take in all complete trials (d, n) and their values (n,), in their order of finishing."""
        n = len(y)
        if not np.array_equal(y[: self._n], self._y):  # a supposed penalty turned out to be a result
            self._n = self._fitted = 0
            self.hyper = None
        if n == self._n:
            return
        self._y = y
        warped, refit = self._warp(y), scheduled(n) != self._fitted
        hyper = self.hyper
        if hyper is None or refit:
            self._fitted = scheduled(n)
            hyper = self.hyper = self._fit(x[:, : self._fitted], self._warp(y[: self._fitted]))
        self._rows = None
        if n > self._max_posterior:
            rows = self._rows = self._chosen(x, warped, hyper)
            self.posterior = self._conditioned(hyper, x[:, rows], warped[rows])
        elif refit:
            self.posterior = self._conditioned(hyper, x, warped)
        else:
            self.posterior.append(x[:, self._n :], warped)
        self._n = n
        self.level = self._levels()

    @property
    def incumbent(self) -> float:
        """The value to improve on."""
        return float(self.level.min())

    def best(self, k: int) -> Array:
        """Return the k best trials, best first, (d, k)."""
        return self.posterior.x[:, np.argsort(self.level, kind="stable")[:k]]

    def by_mean(self) -> NDArray[np.int64]:
        """Return the places of the trials conditioned on, by posterior mean, the least first."""
        order = np.argsort(self._means(), kind="stable")
        return order if self._rows is None else self._rows[order]

    def typical(self, default: Array) -> Array:
        """Return each parameter's value in the best trial that has it, (d,); the default if none has."""
        x = self.best(len(self.level))
        active = ~np.isnan(x)
        first = x[np.arange(len(x)), active.argmax(axis=1)]
        return np.where(active.any(axis=1), first, default)

    def _conditioned(self, hyper: Hyperparameters, x: Array, y: Array) -> Posterior:
        return Posterior(self._structure, hyper, np.ascontiguousarray(x), y)

    def _levels(self) -> Array:
        return self.posterior.y if self.posterior.hyper.noise < self._quiet else self._means()

    def _means(self) -> Array:
        """Return the posterior means of the data: mu + R alpha = y - (C - R) alpha."""
        model = self.posterior
        means: Array = model.y - (model.hyper.noise + model.jitter) * model.alpha
        return means

    def _fit(self, x: Array, y: Array) -> Hyperparameters:
        n = len(y)
        if n > self._max_fit:
            # Half are the best, where the model must be right; half are from the whole search.
            best = best_rows(y, self._max_fit // 2)
            others = np.setdiff1d(np.arange(n), best)
            spread = others[np.linspace(0, len(others) - 1, self._max_fit - len(best)).astype(np.int64)]
            rows = np.sort(np.concatenate([best, spread]))
            x, y = x[:, rows], y[rows]
        return fit(self._structure, np.ascontiguousarray(x), y, settings=self._fit_settings)

    def _chosen(self, x: Array, y: Array, hyper: Hyperparameters) -> NDArray[np.int64]:
        """Return the trials to condition on: half are the best, half are most correlated with the best."""
        kernel = covariance.Kernel(self._structure, hyper.lengthscale, hyper.correlation)
        centre = covariance.inputs(kernel, x[:, [y.argmin()]])
        near = covariance.cross(kernel, centre, covariance.inputs(kernel, x))[0]
        near[best_rows(y, self._max_posterior // 2)] = np.inf
        return best_rows(-near, self._max_posterior)
