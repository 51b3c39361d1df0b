"""What a fit's hyperparameters are worth: one score for all sides, by NumPy and SciPy alone.

Glossary
--------
n, d       data, inputs
R          Matern-5/2 correlations of the data, a lengthscale l an input
lambda     noise variance over output scale
C          R + lambda I
mu, s2     profiled mean and scale: their maximum-likelihood values given l and lambda

The score takes l and lambda from a side, and mu and s2 at their best: no side gains or loses by how
it holds these two.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning, MIT
   Press: equation 2.30.
.. [2] C. Hvarfner et al. (2024), arXiv:2402.02229 (the priors).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from scipy.stats import lognorm

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTHSCALE_LOCATION, LENGTHSCALE_SCALE = math.sqrt(2.0), math.sqrt(3.0)  # log(d) / 2 is added
NOISE_LOCATION, NOISE_SCALE = -4.0, 1.0


def log_likelihood(
    x: NDArray[np.float64], y: NDArray[np.float64], lengthscale: NDArray[np.float64], noise: float
) -> float:
    """log p(y | l, lambda) with mu and s2 profiled; x is (n, d)."""
    n = len(y)
    r = math.sqrt(5.0) * cdist(x / lengthscale, x / lengthscale)
    covariance = (1.0 + r + r * r / 3.0) * np.exp(-r) + noise * np.eye(n)
    factor = cho_factor(covariance, lower=True)
    ones = np.ones(n)
    solved = cho_solve(factor, np.column_stack([y, ones]))
    mean = (ones @ solved[:, 0]) / (ones @ solved[:, 1])
    scale = (y - mean) @ (solved[:, 0] - mean * solved[:, 1]) / n
    half_log_determinant = np.log(np.diag(factor[0])).sum()
    return float(-0.5 * n * (math.log(2 * math.pi * scale) + 1.0) - half_log_determinant)


def log_prior(lengthscale: NDArray[np.float64], noise: float) -> float:
    """log p(l) + log p(lambda), densities of l and lambda themselves."""
    location = LENGTHSCALE_LOCATION + 0.5 * math.log(len(lengthscale))
    of_lengthscale = lognorm.logpdf(lengthscale, LENGTHSCALE_SCALE, scale=math.exp(location)).sum()
    return float(of_lengthscale + lognorm.logpdf(noise, NOISE_SCALE, scale=math.exp(NOISE_LOCATION)))
