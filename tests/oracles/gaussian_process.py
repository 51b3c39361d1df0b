"""Gaussian process regression over mixed, conditional inputs by the definition: plain loops, no hpo_core.

kinds           "numeric" or "categorical" per parameter
groups          group of each parameter; group 0 is always active
lengthscale     one per parameter
correlation     c of each group; that of group 0 is not used
x               (d, n); NaN where inactive
noise           lambda, the noise variance over the output scale
"""

from __future__ import annotations

import math

import numpy as np


def matern52(r):
    return (1.0 + math.sqrt(5.0) * r + 5.0 / 3.0 * r * r) * math.exp(-math.sqrt(5.0) * r)


def kernel(kinds, groups, lengthscale, correlation, x, y):
    """k(x, y) of two points."""
    product = 1.0
    for g, c in enumerate(correlation):
        members = [i for i, owner in enumerate(groups) if owner == g]
        active = [bool(members) and not any(math.isnan(point[i]) for i in members) for point in (x, y)]
        if g == 0 or all(active):
            terms = [
                float(x[i] != y[i]) / lengthscale[i] ** 2
                if kinds[i] == "categorical"
                else ((x[i] - y[i]) / lengthscale[i]) ** 2
                for i in members
            ]
            value = matern52(math.sqrt(math.fsum(terms)))
            product *= value if g == 0 else c**2 + (1.0 - c**2) * value
        elif any(active):
            product *= c
    return product


def cross(kinds, groups, lengthscale, correlation, a, b):
    """Kernel matrix (n_a, n_b)."""
    spec = kinds, groups, lengthscale, correlation
    return np.array([[kernel(*spec, p, q) for q in b.T.tolist()] for p in a.T.tolist()]).reshape(
        a.shape[1], b.shape[1]
    )


def profile(k, y, noise):
    """Mean and output scale of greatest likelihood, in closed form."""
    ones, c = np.ones(len(y)), k + noise * np.eye(len(y))
    mean = (ones @ np.linalg.solve(c, y)) / (ones @ np.linalg.solve(c, ones))
    return mean, (y - mean) @ np.linalg.solve(c, y - mean) / len(y)


def log_marginal_likelihood(k, y, noise, mean, outputscale):
    """Log density of y under N(mean, outputscale (K + noise I))."""
    c = outputscale * (k + noise * np.eye(len(y)))
    sign, log_determinant = np.linalg.slogdet(c)
    assert sign > 0
    residual = y - mean
    square = residual @ np.linalg.solve(c, residual)
    return -0.5 * (square + log_determinant + len(y) * math.log(2.0 * math.pi))


def profiled_log_marginal_likelihood(k, y, noise):
    """The same at its best mean and output scale."""
    return log_marginal_likelihood(k, y, noise, *profile(k, y, noise))


def posterior(k, k_cross, k_new, y, noise):
    """Mean (m,) and covariance (m, m) of the latent function, at the profiled mean and output scale.

    ``k_cross`` is (n, m) between data and new points, ``k_new`` (m, m) among the new points.
    """
    mean, outputscale = profile(k, y, noise)
    c = k + noise * np.eye(len(y))
    covariance = outputscale * (k_new - k_cross.T @ np.linalg.solve(c, k_cross))
    return mean + k_cross.T @ np.linalg.solve(c, y - mean), covariance
