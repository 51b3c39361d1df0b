"""Public scores against mpmath, SciPy and frequencies; Thompson draws against the posterior's moments."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import improvement as oracle
from scipy import stats

import hpo_core as hpo
from hpo_core import acquisition
from hpo_core.gp.posterior import Hyperparameters, Posterior
from hpo_core.native.covariance import Structure

rng = np.random.default_rng(0)
MEAN, SD, BEST = rng.normal(size=200), rng.uniform(0.1, 3.0, 200), -0.3


@pytest.fixture(scope="module")
def posterior():
    """Two continuous parameters and a category; 12 points."""
    space = hpo.Space({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1), "c": hpo.Categorical(["u", "v"])})
    x = np.random.default_rng(1).uniform(size=(3, 12))
    x[2] = np.round(x[2])
    hyper = Hyperparameters(np.array([0.4, 0.7, 1.5]), 1e-3, np.ones(1))
    return Posterior(Structure(space.layout), hyper, x, 100.0 + 5.0 * np.sin(6.0 * x[0]) + x[2])


def candidates(m, seed=2):
    x = np.random.default_rng(seed).uniform(size=(3, m))
    x[2] = np.round(x[2])
    return x


def test_log_ei_and_ei_are_those_of_mpmath():
    exact = np.array([float(oracle.log_ei(float(a), float(b), BEST)) for a, b in zip(MEAN, SD, strict=True)])
    np.testing.assert_allclose(
        acquisition.log_expected_improvement(MEAN, SD, BEST), exact, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(acquisition.expected_improvement(MEAN, SD, BEST), np.exp(exact), rtol=1e-12)


def test_ei_and_pi_are_averages_over_the_prediction():
    values = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    for mean, sd in ((0.0, 1.0), (1.5, 0.7), (-2.0, 3.0)):
        gain = BEST - (mean + sd * values)
        ei = acquisition.expected_improvement(mean, sd, BEST)
        np.testing.assert_allclose(ei, np.maximum(gain, 0.0).mean(), rtol=1e-3)
        np.testing.assert_allclose(
            acquisition.probability_of_improvement(mean, sd, BEST), (gain > 0).mean(), rtol=1e-3
        )


def test_pi_is_that_of_scipy_and_certain_without_deviation():
    got = acquisition.probability_of_improvement(MEAN, SD, BEST)
    np.testing.assert_allclose(got, stats.norm.cdf(BEST, MEAN, SD), rtol=1e-13)
    certain = acquisition.probability_of_improvement([-1.0, 0.0, 1.0], 0.0, 0.0)
    np.testing.assert_array_equal(certain, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(acquisition.probability_of_improvement(MEAN, SD, np.inf), 1.0)


def test_the_confidence_bound_prefers_low_means_and_large_deviations():
    np.testing.assert_array_equal(acquisition.upper_confidence_bound(MEAN, SD, beta=0.0), -MEAN)
    np.testing.assert_allclose(acquisition.upper_confidence_bound(MEAN, SD, beta=3.0), 3.0 * SD - MEAN)


def bound(mean, sd, best):
    return acquisition.upper_confidence_bound(mean, sd)


@pytest.mark.parametrize(
    "score",
    [
        acquisition.expected_improvement,
        acquisition.log_expected_improvement,
        acquisition.probability_of_improvement,
        bound,
    ],
)
def test_predictions_are_broadcast(score):
    mean, sd = MEAN[:12].reshape(3, 4), SD[:4]
    got = score(mean, sd, BEST)
    assert got.shape == (3, 4)
    np.testing.assert_array_equal(got.ravel(), score(mean.ravel(), np.tile(sd, 3), BEST))
    assert score(0, 1, BEST).shape == ()
    assert score([], [], BEST).shape == (0,)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(hpo.ArgumentError, match=r"mean and sd must .* broadcast, got \(3,\) and \(2,\)"):
        acquisition.expected_improvement(np.zeros(3), np.ones(2), 0.0)


def test_draws_have_the_moments_of_the_posterior(posterior):
    x = candidates(7)
    draws = acquisition.thompson_draws(posterior, x, 20_000, seed=0)
    mean, variance = posterior.predict(x)
    assert draws.shape == (20_000, 7)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=4 * np.sqrt(variance.max() / 20_000))
    covariance = posterior.covariance(x)
    np.testing.assert_allclose(np.diag(covariance), variance, rtol=1e-9)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * variance.max())


def test_draws_are_a_function_of_seed_and_number(posterior):
    x = candidates(5)
    ten = acquisition.thompson_draws(posterior, x, 10, seed=3)
    np.testing.assert_array_equal(ten, acquisition.thompson_draws(posterior, x, 10, seed=3))
    np.testing.assert_allclose(ten[:4], acquisition.thompson_draws(posterior, x, 4, seed=3), rtol=1e-12)
    assert np.abs(ten - acquisition.thompson_draws(posterior, x, 10, seed=4)).min() > 0.0


def test_draws_at_equal_candidates_are_equal(posterior):
    x = np.repeat(candidates(1), 3, axis=1)
    draws = acquisition.thompson_draws(posterior, x, 50, seed=0)
    np.testing.assert_allclose(draws - draws[:, :1], 0.0, atol=1e-3 * np.sqrt(posterior.s2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": np.zeros((2, 4))}, r"x must be .*\(2, 4\)"),
        ({"x": np.zeros((3, 0))}, r"x must be .*\(3, 0\)"),
        ({"x": np.zeros((3, 4), np.float32)}, "float32"),
        ({"n": 0}, "n must be an int >= 1, got 0"),
        ({"n": True}, "n must be an int >= 1, got True"),
        ({"n": 1.5}, "n must be an int >= 1, got 1.5"),
        ({"seed": -1}, "seed must be an int .*, got -1"),
        ({"seed": 2**64}, "seed must be an int .*, got 1844"),
        ({"seed": None}, "seed must be an int .*, got None"),
    ],
)
def test_arguments_of_draws_are_checked(posterior, arguments, words):
    with pytest.raises(hpo.ArgumentError, match=words):
        acquisition.thompson_draws(
            **{"posterior": posterior, "x": candidates(3), "n": 2, "seed": 0} | arguments
        )
