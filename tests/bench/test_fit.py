"""The oracle of the fit bench against SciPy, and its table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from bench.surrogates import command, data, oracle


def matern(x, lengthscale):
    r = np.sqrt((((x[:, None] - x[None]) / lengthscale) ** 2).sum(axis=-1))
    return (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)


def test_likelihood_is_the_profiled_normal_density():
    rng = np.random.default_rng(0)
    x, lengthscale, noise = rng.random((12, 3)), np.array([0.3, 1.0, 2.0]), 0.05
    y = 5 + np.sin(4 * x).sum(axis=1)
    shape = matern(x, lengthscale) + noise * np.eye(12)

    def density(theta):
        return multivariate_normal.logpdf(y, np.full(12, theta[0]), np.exp(theta[1]) * shape)

    best = minimize(
        lambda theta: -density(theta),
        [y.mean(), 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12},
    )
    assert oracle.log_likelihood(x, y, lengthscale, noise) == pytest.approx(-best.fun, abs=1e-6)


def test_prior_is_a_density_of_the_noise():
    lengthscale = np.full(20, 0.5)
    ratio = oracle.log_prior(lengthscale, 0.02) - oracle.log_prior(lengthscale, 0.5)
    grid = np.exp(oracle.NOISE_LOCATION)
    total, _ = quad(
        lambda v: np.exp(oracle.log_prior(lengthscale, v) - oracle.log_prior(lengthscale, grid)),
        0,
        50,
        limit=500,
        points=[grid],
    )
    expected = -np.log(0.02) + np.log(0.5) - 0.5 * ((np.log(0.02) + 4) ** 2 - (np.log(0.5) + 4) ** 2)
    assert ratio == pytest.approx(expected, rel=1e-12)
    assert total == pytest.approx(np.sqrt(2 * np.pi) * grid, rel=1e-4)


def test_data_have_the_stated_noise_and_inputs():
    x, y = data.draw(200)
    assert x.shape == (200, data.D)
    near = oracle.log_likelihood(x, y, np.r_[np.full(8, 1.0), np.full(12, 50.0)], 0.01)
    assert near > oracle.log_likelihood(x, y, np.full(20, 1.0), 0.01), (
        "what does not matter is better left out"
    )
    assert np.array_equal(y, data.draw(200)[1])


def test_the_table_counts_times_ours():
    x = {"n": 50, "cpu": 1.0, "log_likelihood": -1.0, "log_posterior": -2.0}
    held = [
        {**x, "library": "hpo_core", "seconds": {"median": 0.1, "p10": 0.1, "p90": 0.1}},
        {**x, "library": "botorch", "seconds": {"median": 2.0, "p10": 2.0, "p90": 2.0}},
        {"n": 50, "library": "scikit-learn", "error": "ended"},
    ]
    lines = command.table(held).splitlines()
    assert [cell.strip() for cell in lines[3].split("|")][7] == "20.0"
    assert "ended" in lines[4]
