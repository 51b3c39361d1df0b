"""A Gaussian process for regression over mixed and conditional inputs, usable alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.checks import check_number, check_one_of, shown
from hpo_core.errors import ArgumentError
from hpo_core.gp.fit import GPSettings, fit
from hpo_core.gp.posterior import Hyperparameters, Posterior
from hpo_core.gp.warps import OUTPUT_WARPS, location_scale, warp
from hpo_core.layout import Layout
from hpo_core.native import linalg
from hpo_core.native.covariance import Structure

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray


# Variances are in squared units of the targets, and must stay in float64.
LARGEST = 1e150


class GaussianProcess:
    """Matern-5/2 Gaussian process whose hyperparameters are fitted to its data.

    One lengthscale per parameter; mean, output scale and, unless given, noise are fitted. Inputs are
    expected in [0, 1], or indices of categories: the priors say that a lengthscale is of the order
    of the range.

    Parameters
    ----------
    layout : Layout, optional
        The parameters: ``space.layout`` of a search space, whose internal coordinates are then the
        inputs, NaN where inactive. By default every row of ``x`` is a continuous parameter.
    noise : float in [0, 10], optional
        Variance of the noise relative to the output scale, held. By default it is fitted.
    warp : {"none", "power", "half-rank"}, default "none"
        Monotone map of the targets before the fit: Yeo and Johnson's power transform, or ranks for
        the worse half. All that follows is then in the units of the mapped targets.
    settings : GPSettings, optional
        Priors and bounds of the fit.

    Attributes
    ----------
    lengthscale : (d,) float64
    correlation : (G,) float64
        Between points where a conditional group is active and where it is not; entry 0 means nothing.
    noise : float
        Variance of the noise relative to the output scale.
    mean, outputscale : float
        Of the prior: constant mean and variance.
    hyperparameters : Hyperparameters
        Lengthscales, correlations and noise, to start another fit from.

    Raises
    ------
    ArgumentError
        An argument is not allowed, or another method was called before ``fit``.
    NotPositiveDefiniteError
        Equal points with hardly any noise, beyond what a jitter of 1e-4 mends.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning. MIT Press.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0, 1, 12)[None]  # (d, n): one row per parameter
    >>> gp = GaussianProcess().fit(x, np.sin(6 * x[0]))
    >>> mean, variance = gp.predict(np.array([[0.25]]))
    >>> bool(abs(mean[0] - np.sin(1.5)) < 0.01)
    True
    """

    def __init__(
        self,
        layout: Layout | None = None,
        *,
        noise: float | None = None,
        warp: str = "none",
        settings: GPSettings | None = None,
    ) -> None:
        if noise is not None:
            noise = check_number("noise", noise, "a number from 0 to 10 or None", lambda x: 0.0 <= x <= 10.0)
        check_one_of("warp", warp, OUTPUT_WARPS)
        self._layout, self._warp = layout, warp
        self._settings = settings or GPSettings()
        if noise is not None:
            self._settings = replace(self._settings, noise=float(noise))
        self._fitted: Posterior | None = None

    def fit(self, x: ArrayLike, y: ArrayLike, *, start: Hyperparameters | None = None) -> Self:
        """Fit hyperparameters to data, and condition on them.

        Parameters
        ----------
        x : (d, n) array
            Inputs, one row per parameter.
        y : (n,) array
            Finite targets; n is at least 1.
        start : Hyperparameters, optional
            Where the search begins, by default at the modes of the priors: near a solution, as after
            a few more data, it is soon over.
        """
        x, y = _data(x, y, self._layout)
        structure = Structure(self._layout or continuous_layout(len(x)))
        self._y, self._units = y, location_scale(y) if self._warp == "none" else (0.0, 1.0)
        targets = self._targets()
        hyper = fit(structure, x, targets, settings=self._settings, start=start)
        self._fitted = Posterior(structure, hyper, x, targets)
        return self

    def append(self, x: ArrayLike, y: ArrayLike) -> Self:
        """Condition on more data, (d, k) and (k,), with the hyperparameters as they are: O(k n^2)."""
        posterior = self._posterior
        x, y = _data(x, y, posterior.structure.layout)
        self._y = np.concatenate([self._y, y])
        posterior.append(x, self._targets())
        return self

    def predict(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Posterior mean and variance (m,) of the function, without noise, at inputs ``x`` (d, m)."""
        mean, variance = self._posterior.predict(self._inputs(x))
        center, scale = self._units
        return center + scale * mean, scale**2 * variance

    def sample(self, x: ArrayLike, n: int, *, seed: int) -> NDArray[np.float64]:
        """Joint draws (n, m) of the function at inputs ``x`` (d, m)."""
        points = self._inputs(x)
        mean, _ = self.predict(points)
        covariance = self._posterior.covariance(points)
        root = linalg.root(covariance, float(covariance.diagonal().max()) or 1.0) * self._units[1]
        return mean + np.random.default_rng(seed).standard_normal((n, len(mean))) @ root.T

    def log_marginal_likelihood(self) -> float:
        """Log density of the data: mean and output scale at their best, no prior of hyperparameters."""
        return self._posterior.log_marginal_likelihood() - len(self._y) * float(np.log(self._units[1]))

    @property
    def hyperparameters(self) -> Hyperparameters:
        return self._posterior.hyper

    @property
    def lengthscale(self) -> NDArray[np.float64]:
        return self._posterior.hyper.lengthscale

    @property
    def correlation(self) -> NDArray[np.float64]:
        return self._posterior.hyper.correlation

    @property
    def noise(self) -> float:
        return self._posterior.hyper.noise

    @property
    def mean(self) -> float:
        center, scale = self._units
        return center + scale * self._posterior.mu

    @property
    def outputscale(self) -> float:
        return self._units[1] ** 2 * self._posterior.s2

    @property
    def _posterior(self) -> Posterior:
        if self._fitted is None:
            raise ArgumentError("the Gaussian process has no data: call fit(x, y) first")
        return self._fitted

    def _targets(self) -> NDArray[np.float64]:
        """Targets as they are modelled."""
        if self._warp != "none":
            return warp(self._y, self._warp)
        center, scale = self._units
        return (self._y - center) / scale

    def _inputs(self, x: ArrayLike) -> NDArray[np.float64]:
        return _points(x, self._posterior.structure.layout.size)


def continuous_layout(d: int) -> Layout:
    """Of d continuous parameters in [0, 1], all of them active."""
    none, zeros, ones = np.zeros(0), np.zeros(d), np.ones(d)
    return Layout(
        names=tuple(f"x{i}" for i in range(d)),
        kinds=np.zeros(d, np.uint8),
        levels=np.zeros(d, np.int64),
        table_start=np.zeros(d + 1, np.int64),
        centers=none,
        widths=none,
        values=none,
        log=np.zeros(d, np.uint8),
        offset=zeros,
        span=ones,
        low=zeros,
        high=ones,
        step=zeros,
        scale=ones,
        default=0.5 * ones,
        group=np.zeros(d, np.int32),
        context=np.zeros((1, 1), np.bool_),
        program=np.zeros((0, 2), np.int32),
        constants=none,
        condition_start=np.zeros(2, np.int64),
        forbid_start=np.zeros(1, np.int64),
    )


def _data(
    x: ArrayLike, y: ArrayLike, layout: Layout | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    targets = np.ascontiguousarray(y, np.float64)
    if targets.ndim != 1 or not len(targets) or not (np.abs(targets) <= LARGEST).all():
        raise ArgumentError(f"y must be a vector of numbers up to {LARGEST}, one per point, got {shown(y)}")
    points = _points(x, None if layout is None else layout.size, n=len(targets))
    if points.shape[1] != len(targets):
        raise ArgumentError(f"x must have {len(targets)} points, as many as y, got {points.shape[1]}")
    return points, targets


def _points(x: ArrayLike, d: int | None, *, n: int | None = None) -> NDArray[np.float64]:
    points = np.ascontiguousarray(x, np.float64)
    rows = "d" if d is None else d
    if points.ndim != 2 or not len(points) or (d is not None and len(points) != d):
        raise ArgumentError(f"x must have shape ({rows}, n), one row per parameter, got {points.shape}")
    if n is not None and points.shape[1] != n == len(points):
        raise ArgumentError(
            f"x must have shape ({rows}, {n}), one row per parameter, got {points.shape}; pass x.T"
        )
    if np.isinf(points).any():
        raise ArgumentError("x must be finite, and NaN where inactive, got infinite entries")
    return points
