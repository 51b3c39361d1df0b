"""Failures by their definition: likelihood, moments and posteriors by quadrature, one value at a time."""

from __future__ import annotations

import numpy as np
from scipy import integrate, stats


def likelihood(ok, f, rate):
    """Probability of a label, given the latent function."""
    works = (1.0 - rate) * stats.norm.cdf(f)
    return works if ok else 1.0 - works


def mass(ok, mean, variance, rate, power=0):
    """Integral of f^power times cavity times likelihood."""
    sd = np.sqrt(variance)
    value, _ = integrate.quad(
        lambda f: f**power * stats.norm.pdf(f, mean, sd) * likelihood(ok, f, rate),
        mean - 12.0 * sd,
        mean + 12.0 * sd,
        points=[-3.0, 0.0, 3.0],
        epsabs=1e-13,
        epsrel=1e-11,
        limit=500,
    )
    return value


def two_trials(k, ok, rate, level, n=1200, reach=8.0):
    """Evidence and posterior means of f at two trials whose prior covariance is k (2, 2), on a grid."""
    factor = np.linalg.cholesky(k)
    grid = np.linspace(-reach, reach, n)
    white = np.stack(np.meshgrid(grid, grid, indexing="ij"))
    f = level + np.einsum("ij,jab->iab", factor, white)
    weight = stats.norm.pdf(white[0]) * stats.norm.pdf(white[1]) * (grid[1] - grid[0]) ** 2
    for label, values in zip(ok, f, strict=True):
        weight = weight * likelihood(label, values, rate)
    return weight.sum(), (f * weight).sum(axis=(1, 2)) / weight.sum()


def serial_propagation(k, ok, rate, level, sweeps=300):
    """Log evidence and posterior means, one site after the other, every matrix inverted."""
    n = len(ok)
    precision, shift, log_mass = np.zeros(n), np.zeros(n), np.zeros(n)
    prior = np.linalg.inv(k)

    def posterior():
        covariance = np.linalg.inv(prior + np.diag(precision))
        return covariance, covariance @ shift

    for step in range(n * sweeps):
        i = step % n
        covariance, means = posterior()
        variance = 1.0 / (1.0 / covariance[i, i] - precision[i])
        mean = variance * (means[i] / covariance[i, i] - shift[i])
        scale = np.sqrt(1.0 + variance)
        works = (1.0 - rate) * stats.norm.cdf((level + mean) / scale)
        density = (1.0 - rate) * stats.norm.pdf((level + mean) / scale) / scale
        z = works if ok[i] else 1.0 - works
        slope = density / z if ok[i] else -density / z
        new_mean = mean + variance * slope
        new_variance = variance - variance**2 * slope * (slope + (level + mean) / scale**2)
        precision[i] = 1.0 / new_variance - 1.0 / variance
        shift[i] = new_mean / new_variance - mean / variance
        # Of the site: what its integral with the cavity lacks to the tilted mass.
        total, linear = 1.0 / variance + precision[i], mean / variance + shift[i]
        log_site = 0.5 * (linear**2 / total - mean**2 / variance - np.log(variance * total))
        log_mass[i] = np.log(z) - log_site
    covariance, means = posterior()
    determinants = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(k)[1]
    return log_mass.sum() + 0.5 * (determinants + shift @ means), level + means
