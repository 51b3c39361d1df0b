"""A box around the incumbent that grows while trials succeed and shrinks while they fail.

Its length is a function of the values in the order of finishing, so that a study rebuilt has the same.

References
----------
.. [1] D. Eriksson et al. (2019), Scalable global optimization via local Bayesian optimization (TuRBO).
   NeurIPS 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.candidates import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# All from [1]: lengths as shares of the range, successes in a row to double, the least gain that counts.
FIRST_LENGTH = 0.8
MOST_LENGTH = 1.6
LEAST_LENGTH = 2.0**-7
SUCCESSES = 3
LEAST_FAILURES = 4
GAIN = 1e-3
# Parameters that a candidate moves on average [1].
MOVED = 20.0


def length(y: Array, start: int, d: int) -> float:
    """Return the side of the box after the values ``y`` (n,), of which the first ``start`` came before it.

    Three successes in a row double the side, and max(4, d) failures halve it. Once it is below
    ``LEAST_LENGTH``, it returns to ``FIRST_LENGTH``.
    """
    side, successes, end = FIRST_LENGTH, 0, 0
    gained = np.flatnonzero(gains(y)[start:]).tolist()
    for place in [*gained, len(y) - start]:
        failures = place - end
        for _ in range(failures // max(LEAST_FAILURES, d)):
            side = side / 2.0 if side >= 2.0 * LEAST_LENGTH else FIRST_LENGTH
        successes, end = 1 if failures else successes + 1, place + 1
        if successes == SUCCESSES and place < len(y) - start:
            side, successes = min(2.0 * side, MOST_LENGTH), 0
    return side


def gains(y: Array) -> NDArray[np.bool_]:
    """Return where a value is below the least earlier one by more than ``GAIN`` of its size, (n,)."""
    least = np.minimum.accumulate(y)
    before = np.concatenate([[np.inf], least[:-1]])
    with np.errstate(over="ignore"):
        return y < before - GAIN * np.where(np.isfinite(before), np.abs(before), 0.0)


def around(centre: Array, lengthscale: Array, side: float) -> Box:
    """Return the box with this side around a configuration (d,), stretched along long lengthscales."""
    d = len(centre)
    relative = lengthscale / np.exp(np.mean(np.log(lengthscale)))
    half = 0.5 * side * relative
    low, high = np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
    inactive = np.isnan(centre)
    share = min(1.0, MOVED / d)
    return Box(np.where(inactive, 0.0, low), np.where(inactive, 1.0, high), centre, min(share, 0.999))
