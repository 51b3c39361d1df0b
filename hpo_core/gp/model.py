"""The gp sampler's model of one metric: hyperparameters fitted on schedule, posterior of the trials."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.gp.fit import at_modes, refit, schedule
from hpo_core.gp.posterior import Posterior
from hpo_core.native import covariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.fit import Fit, GPSettings
    from hpo_core.gp.posterior import Hyperparameters
    from hpo_core.native.covariance import Structure

    Array = NDArray[np.float64]


class Targets(Protocol):
    """The data of a model, as functions of the number of trials."""

    def values(self, k: int) -> Array:
        """Return the targets of the first k trials, (k,)."""

    def order(self, k: int) -> NDArray[np.int64]:
        """Return the places of the first k trials, best first, (k,)."""


class GPModel:
    """Posterior of one metric at the complete trials, a function of their order of finishing alone.

    Parameters
    ----------
    structure : Structure
    fit_settings : GPSettings
    quiet : float
        Noise, relative to the output scale, below which trials are compared by their values; above, by
        their posterior means.
    max_fit : int
        Most trials that hyperparameters are fitted to. If there are more, some are selected.

    Attributes
    ----------
    posterior : Posterior
        Of the targets.
    level : (k,) float64
        The value by which each trial conditioned on is compared: its target or, if there is noise, its
        posterior mean.
    """

    posterior: Posterior
    level: Array

    def __init__(
        self,
        structure: Structure,
        fit_settings: GPSettings,
        *,
        quiet: float,
        max_fit: int,
    ) -> None:
        self._structure, self._fit_settings = structure, fit_settings
        self._quiet, self._max_fit = quiet, max_fit
        self.restart()

    def restart(self) -> None:
        """Forget all trials."""
        self._fits: dict[int, Fit] = {}  # by the number of trials; those that lead to the one in use
        self._fitted = 0
        self._outdated = True

    @property
    def hyper(self) -> Hyperparameters | None:
        """Hyperparameters from the last fit."""
        return self._hyper if self._fitted else None

    @property
    def _hyper(self) -> Hyperparameters:
        return self._fits[self._fitted].hyper

    def fit(self, x: Array, targets: Targets) -> None:
        """Fit hyperparameters to the first of the trials (d, n), as many as are scheduled."""
        sizes = schedule(x.shape[1])
        if sizes[-1] == self._fitted:
            return
        fits: dict[int, Fit] = {}
        before = None
        for k in sizes:
            before = fits[k] = self._fits.get(k) or self._fit_to(x[:, :k], targets, before)
        self._fits, self._fitted, self._outdated = fits, sizes[-1], True

    def _fit_to(self, x: Array, targets: Targets, before: Fit | None) -> Fit:
        """Return a fit to trials (d, k), which are the first ones."""
        k = x.shape[1]
        y = targets.values(k)
        if k > self._max_fit:
            # Half are the best, where the model must be right; half are from the whole search.
            best = np.sort(targets.order(k)[: self._max_fit // 2])
            others = np.setdiff1d(np.arange(k), best)
            spread = others[np.linspace(0, len(others) - 1, self._max_fit - len(best)).astype(np.int64)]
            rows = np.sort(np.concatenate([best, spread]))
            x, y = x[:, rows], y[rows]
        return refit(self._structure, np.ascontiguousarray(x), y, self._fit_settings, before)

    def condition(self, x: Array, y: Array, rows: NDArray[np.int64] | None) -> None:
        """Condition on all trials (d, n) and their targets (n,); if ``rows`` are given, on these alone."""
        if rows is not None:
            self.posterior = Posterior(
                self._structure, self._hyper, np.ascontiguousarray(x[:, rows]), y[rows]
            )
        elif self._outdated:
            self.posterior = Posterior(self._structure, self._hyper, np.ascontiguousarray(x), y)
        else:
            self.posterior.append(x[:, self.posterior.n :], y)
        self._outdated = False
        self.level = self._levels()

    def at_modes(self) -> GPModel:
        """Return the model of the same trials with each lengthscale at the mode of its prior."""
        other, own = copy.copy(self), self.posterior
        hyper = at_modes(self._structure, own.hyper, self._fit_settings)
        other.posterior = Posterior(self._structure, hyper, own.x, own.y)
        other.level = other._levels()
        return other

    def correlations(self, x: Array, places: NDArray[np.int64]) -> Array:
        """Return the correlations of the trials ``places`` (k,) with all trials (d, n), (k, n)."""
        hyper = self._hyper
        kernel = covariance.Kernel(self._structure, hyper.lengthscale, hyper.correlation)
        centres = covariance.inputs(kernel, np.ascontiguousarray(x[:, places]))
        found: Array = covariance.cross(kernel, centres, covariance.inputs(kernel, x))
        return found

    def means(self) -> Array:
        """Return the posterior means of the data, (k,): mu + R alpha = y - (C - R) alpha."""
        model = self.posterior
        means: Array = model.y - (model.hyper.noise + model.jitter) * model.alpha
        return means

    def _levels(self) -> Array:
        return self.posterior.y if self.posterior.hyper.noise < self._quiet else self.means()
