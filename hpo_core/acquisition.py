"""Acquisition functions: scores of candidates, from a model's predictions. Arrays in, arrays out.

The score of a candidate follows from the mean and standard deviation predicted there. Objectives are
minimised, so an improvement is a value below ``best``; scores are maximised.

mean, sd    of the normal prediction at each candidate, in the units of the objective
best        the value to improve on
z           (best - mean) / sd
phi, Phi    density and distribution function of the standard normal
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.checks import check_int, check_number, shown
from hpo_core.errors import ArgumentError
from hpo_core.native import improvement, normal

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from hpo_core.gp.posterior import Posterior

    Array = NDArray[np.float64]

__all__ = [
    "expected_improvement",
    "log_expected_improvement",
    "probability_of_improvement",
    "thompson_draws",
    "upper_confidence_bound",
]


def expected_improvement(mean: ArrayLike, sd: ArrayLike, best: float) -> Array:
    """Expected improvement E max(best - f, 0) = sd (phi(z) + z Phi(z)).

    It underflows to 0 where z < -37; its logarithm does not.

    Parameters
    ----------
    mean, sd : array_like
        Predictions, in the units of the objective; sd >= 0. They are broadcast.
    best : float
        Value to improve on.

    Returns
    -------
    ndarray of float64
        Improvements, in the units of the objective, >= 0; max(best - mean, 0) where sd = 0.

    Raises
    ------
    ArgumentError
        ``mean`` or ``sd`` is not finite, best is NaN, some sd < 0, or the shapes do not fit.

    References
    ----------
    D. R. Jones, M. Schonlau, W. J. Welch (1998), Efficient global optimization of expensive
    black-box functions, Journal of Global Optimization 13.

    Examples
    --------
    >>> from hpo_core.acquisition import expected_improvement
    >>> expected_improvement([0.0, 1.0, -2.0], [1.0, 1.0, 0.0], best=0.0).round(3)
    array([0.399, 0.083, 2.   ])
    """
    return _of_predictions(improvement.ei, mean, sd, _number("best", best))


def log_expected_improvement(mean: ArrayLike, sd: ArrayLike, best: float) -> Array:
    """Logarithm of the expected improvement: finite, with a useful slope, even if EI itself underflows.

    Parameters
    ----------
    mean, sd : array_like
        Predictions, in the units of the objective; sd >= 0. They are broadcast.
    best : float
        Value to improve on.

    Returns
    -------
    ndarray of float64
        Relative error below 1e-13 while abs(z) < 1e75; -inf where sd = 0 and mean >= best.

    Raises
    ------
    ArgumentError
        ``mean`` or ``sd`` is not finite, best is NaN, some sd < 0, or the shapes do not fit.

    References
    ----------
    S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy (2023), Unexpected improvements to
    expected improvement for Bayesian optimization, arXiv:2310.20708.

    Examples
    --------
    >>> from hpo_core.acquisition import log_expected_improvement
    >>> log_expected_improvement([0.0, 100.0], 1.0, best=0.0).round(1)
    array([-9.0000e-01, -5.0101e+03])
    """
    return _of_predictions(improvement.log_ei, mean, sd, _number("best", best))


def probability_of_improvement(mean: ArrayLike, sd: ArrayLike, best: float) -> Array:
    """Probability Phi(z) that the objective lies below ``best``.

    Parameters
    ----------
    mean, sd : array_like
        Predictions, in the units of the objective; sd >= 0. They are broadcast.
    best : float
        Value to improve on. Choose it somewhat below the best value seen, or the search stays near it.

    Returns
    -------
    ndarray of float64
        In [0, 1]; where sd = 0, 1 if mean < best and else 0.

    Raises
    ------
    ArgumentError
        ``mean`` or ``sd`` is not finite, best is NaN, some sd < 0, or the shapes do not fit.

    References
    ----------
    H. J. Kushner (1964), A new method of locating the maximum point of an arbitrary multipeak
    curve in the presence of noise, Journal of Basic Engineering 86.

    Examples
    --------
    >>> from hpo_core.acquisition import probability_of_improvement
    >>> probability_of_improvement([0.0, 1.0], 1.0, best=0.0).round(3)
    array([0.5  , 0.159])
    """

    def below(mean: Array, sd: Array, best: float) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = (best - mean) / sd
        return normal.ndtr(np.where(np.isnan(z), -np.inf, z))  # 0 / 0 is no gain

    return _of_predictions(below, mean, sd, _number("best", best))


def upper_confidence_bound(mean: ArrayLike, sd: ArrayLike, *, beta: float = 2.0) -> Array:
    """Optimism in the face of uncertainty: beta sd - mean, to be maximised.

    The name is the usual one, which comes from maximisation. Here the objective is minimised, so this is the
    negative of its lower confidence bound, mean - beta sd.

    Parameters
    ----------
    mean, sd : array_like
        Predictions, in the units of the objective; sd >= 0. They are broadcast.
    beta : float
        Standard deviations below the mean, finite and >= 0; 0 exploits only.

    Returns
    -------
    ndarray of float64
        Scores, in the units of the objective.

    Raises
    ------
    ArgumentError
        A value is not a finite number, some sd < 0, beta < 0, or the shapes do not fit.

    References
    ----------
    N. Srinivas, A. Krause, S. M. Kakade, M. Seeger (2010), Gaussian process optimization in the
    bandit setting: no regret and experimental design, arXiv:0912.3995.

    Examples
    --------
    >>> from hpo_core.acquisition import upper_confidence_bound
    >>> upper_confidence_bound([0.0, 1.0], [1.0, 3.0])
    array([2., 5.])
    """
    check_number("beta", beta, "a finite number >= 0", lambda x: 0.0 <= x < math.inf)
    return _of_predictions(lambda mean, sd, beta: beta * sd - mean, mean, sd, float(beta))


def thompson_draws(posterior: Posterior, x: Array, n: int, *, seed: int) -> Array:
    """Draw the objective jointly at candidates; the minimum of each draw is a Thompson sample.

    Parameters
    ----------
    posterior : Posterior
    x : (d, m) float64
        Candidates, in internal coordinates. The joint covariance costs O(m^3): at most a few thousand.
    n : int
        Number of draws, at least 1.
    seed : int
        0 to 2**64 - 1. Up to rounding, draw number i depends only on the seed and on i.

    Returns
    -------
    (n, m) float64
        Values of the latent objective, without noise, in the units of the data.

    Raises
    ------
    ArgumentError
        An argument is not allowed.
    NotPositiveDefiniteError
        The joint covariance has no Cholesky factor, even with 1e-4 s^2 added to its diagonal.

    References
    ----------
    W. R. Thompson (1933), On the likelihood that one unknown probability exceeds another in view of
    the evidence of two samples, Biometrika 25.

    Examples
    --------
    >>> import numpy as np
    >>> from hpo_core.gp.posterior import Hyperparameters, Posterior
    >>> from hpo_core.native.covariance import Structure
    >>> from hpo_core.space import Float, Space
    >>> structure = Structure(Space({"x": Float(0, 1)}).layout)
    >>> hyper = Hyperparameters(np.array([0.3]), 1e-4, np.ones(structure.n_groups))
    >>> posterior = Posterior(structure, hyper, np.array([[0.1, 0.9]]), np.array([1.0, 0.0]))
    >>> thompson_draws(posterior, np.array([[0.2, 0.5, 0.8]]), 10, seed=0).shape
    (10, 3)
    """
    x = _candidates(x, posterior)
    n, seed = check_int("n", n, 1), check_int("seed", seed, 0, normal.WORD - 1)
    return posterior.draws(x, n, seed=int(seed))


def _of_predictions(
    f: Callable[[Array, Array, float], Array], mean: ArrayLike, sd: ArrayLike, c: float
) -> Array:
    """A function of flat arrays, in the shape that mean and sd broadcast to."""
    mean, sd = _numbers("mean", mean), _numbers("sd", sd)
    if (sd < 0.0).any():
        raise ArgumentError(f"sd must be >= 0 everywhere, got {sd.min()}")
    try:
        mean, sd = np.broadcast_arrays(mean, sd)
    except ValueError:
        raise ArgumentError(
            f"mean and sd must have shapes that broadcast, got {mean.shape} and {sd.shape}"
        ) from None
    return f(mean.ravel(), sd.ravel(), c).reshape(mean.shape)


def _numbers(name: str, values: ArrayLike) -> Array:
    try:
        given = np.asarray(values)
    except ValueError:  # rows of different lengths
        given = np.array(None)
    if given.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} must be a number or an array of numbers, got {shown(values)}")
    array = given.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} must be finite everywhere, got {array[~np.isfinite(array)][0]}")
    return array


def _number(name: str, value: float) -> float:
    return float(check_number(name, value, "a number", lambda x: not math.isnan(x)))


def _candidates(x: Array, posterior: Posterior) -> Array:
    array = np.asarray(x)
    d = posterior.x.shape[0]
    if array.dtype != np.float64 or array.ndim != 2 or array.shape[0] != d or array.shape[1] < 1:
        raise ArgumentError(f"x must be float64 of shape ({d}, m), got {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array)
