"""Monotone maps that make data easier for a Gaussian process: of inputs, and of targets.

Glossary
--------
x               a numeric input in [0, 1], (d, n)
a, b            positive exponents, one pair per input: (d,)
w(x)            1 - (1 - x^a)^b, the distribution function of Kumaraswamy (1980)
y               minimised targets, (n,), finite

References
----------
.. [1] A. I. Cowen-Rivers et al. (2022), HEBO: pushing the limits of sample-efficient hyperparameter
   optimisation. JAIR 74 (the input warp, the power transforms).
.. [2] X. Song et al. (2024), The Vizier Gaussian process bandit algorithm. arXiv:2408.11527, appendix B
   (the half-rank and log warps).
.. [3] I.-K. Yeo, R. A. Johnson (2000), A new family of power transformations to improve normality or
   symmetry. Biometrika 87.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# At 0 and 1 the slopes of w may be infinite; this far inside they are below 1e7 for any a, b >= 0.1.
MARGIN = 1e-7


def kumaraswamy(x: NDArray[np.float64], warp: NDArray[np.float64]) -> NDArray[np.float64]:
    """w(x), row by row, for exponents ``warp`` (2, d): a and b."""
    a, b = warp[:, :, None]
    warped: NDArray[np.float64] = -np.expm1(b * np.log1p(-(np.clip(x, MARGIN, 1.0 - MARGIN) ** a)))
    return warped


def kumaraswamy_slopes(
    x: NDArray[np.float64], warp: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of w in x, log a and log b, each (d, n); in x it is 0 outside the margins."""
    a, b = warp[:, :, None]
    inside = np.clip(x, MARGIN, 1.0 - MARGIN)
    power = inside**a
    by_power = b * (1.0 - power) ** (b - 1.0)
    by_x = np.where(inside == x, by_power * a * power / inside, 0.0)
    by_log_a = by_power * a * power * np.log(inside)
    by_log_b = -b * np.log1p(-power) * (1.0 - power) ** b
    return by_x, by_log_a, by_log_b
