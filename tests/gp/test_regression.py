"""The public class: units, arguments, draws, and hard data."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import SHAPES, layout, points, targets
from hypothesis import given
from hypothesis import strategies as st

from hpo_core.errors import ArgumentError
from hpo_core.gp.fit import GPSettings
from hpo_core.gp.regression import GaussianProcess

every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_shape
def test_append_equals_fit_with_the_same_hyperparameters(shape):
    rng = np.random.default_rng(1)
    x, new = points(rng, shape, 90), points(rng, shape, 50)
    y = 1e3 + 1e2 * targets(rng, x)
    gp = GaussianProcess(layout(shape)).fit(x[:, :70], y[:70]).append(x[:, 70:], y[70:])
    again = GaussianProcess(layout(shape), settings=GPSettings(max_evaluations=1)).fit(
        x, y, start=gp.hyperparameters
    )
    for ours, expected in zip(gp.predict(new), again.predict(new), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-8)
    assert (gp.mean, gp.outputscale) == pytest.approx((again.mean, again.outputscale), rel=1e-8)
    assert gp.log_marginal_likelihood() == pytest.approx(again.log_marginal_likelihood(), rel=1e-8)


def test_predictions_follow_the_units_of_the_targets():
    rng = np.random.default_rng(2)
    x, new = points(rng, "flat", 30), points(rng, "flat", 20)
    y = targets(rng, x)
    mean, variance = GaussianProcess().fit(x, y).predict(new)
    scaled = GaussianProcess().fit(x, 1e6 * y - 5e6)
    np.testing.assert_allclose(scaled.predict(new)[0], 1e6 * mean - 5e6, rtol=1e-6)
    np.testing.assert_allclose(scaled.predict(new)[1], 1e12 * variance, rtol=1e-5)


def test_prediction_interpolates_a_smooth_function_and_knows_what_it_does_not_know():
    x = np.linspace(0.0, 1.0, 15)[None]
    gp = GaussianProcess().fit(x, np.sin(6.0 * x[0]))
    new = np.linspace(0.0, 1.0, 101)[None]
    mean, variance = gp.predict(new)
    assert np.abs(mean - np.sin(6.0 * new[0])).max() < 0.01
    assert gp.predict(np.array([[3.0]]))[1] > 100.0 * variance.max()


def test_draws_have_the_posterior_mean_and_covariance():
    rng = np.random.default_rng(3)
    x, new = points(rng, "mixed", 12), points(rng, "mixed", 5)
    gp = GaussianProcess(layout("mixed")).fit(x, 100.0 + 10.0 * targets(rng, x))
    draws = gp.sample(new, 40_000, seed=4)
    mean, variance = gp.predict(new)
    assert draws.shape == (40_000, 5)
    assert np.array_equal(draws, gp.sample(new, 40_000, seed=4))
    assert not np.array_equal(draws, gp.sample(new, 40_000, seed=5))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5.0 * np.sqrt(variance.max() / 40_000))
    expected = gp._posterior.covariance(new) * gp._units[1] ** 2
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.05 * variance.max())


@pytest.mark.parametrize("warp", ["power", "half-rank"])
def test_warped_targets_move_together_when_more_come(warp):
    rng = np.random.default_rng(5)
    x = points(rng, "flat", 40)
    y = np.exp(3.0 * targets(rng, x))
    gp = GaussianProcess(warp=warp).fit(x[:, :30], y[:30]).append(x[:, 30:], y[30:])
    again = GaussianProcess(warp=warp, settings=GPSettings(max_evaluations=1)).fit(
        x, y, start=gp.hyperparameters
    )
    np.testing.assert_allclose(gp.predict(x)[0], again.predict(x)[0], rtol=1e-8, atol=1e-10)
    assert np.corrcoef(np.argsort(np.argsort(gp.predict(x)[0])), np.argsort(np.argsort(y)))[0, 1] > 0.8


def test_noise_is_held_where_it_is_given():
    rng = np.random.default_rng(6)
    x = points(rng, "flat", 20)
    gp = GaussianProcess(noise=0.25).fit(x, targets(rng, x))
    assert gp.noise == 0.25
    assert GaussianProcess().fit(x, targets(rng, x)).noise != 0.25


@st.composite
def hard_data(draw):
    """Few points, equal ones, near-collinear ones; targets constant, tied or with outliers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape, n = draw(st.sampled_from(SHAPES)), draw(st.integers(1, 30))
    x = points(rng, shape, n)
    match draw(st.sampled_from(["random", "equal", "duplicates", "collinear"])):
        case "equal":
            x = np.repeat(x[:, :1], n, axis=1)
        case "duplicates":
            x = x[:, rng.integers(0, n, n)]
        case "collinear":
            numeric = layout(shape).kinds != 2
            x[numeric] = np.where(np.isnan(x[numeric]), np.nan, np.linspace(0, 1, n) * 1e-6 + 0.5)
    y = {
        "random": rng.standard_normal(n),
        "constant": np.full(n, rng.choice([0.0, 1.0, -1e12, 1e-12])),
        "tied": rng.integers(0, 2, n) * 1.0,
        "outlier": np.where(rng.random(n) < 0.2, rng.choice([1e12, -1e12]), rng.standard_normal(n)),
        "tiny": 1e-300 * rng.standard_normal(n),
        "offset": 1e12 + rng.standard_normal(n),
    }[draw(st.sampled_from(["random", "constant", "tied", "outlier", "tiny", "offset"]))]
    return shape, x, y


@given(
    data=hard_data(),
    noise=st.sampled_from([None, None, 0.0, 1e-3]),
    warp=st.sampled_from(["none", "power", "half-rank"]),
    input_warp=st.booleans(),
)
def test_hard_data_give_finite_answers_without_a_warning(data, noise, warp, input_warp):
    shape, x, y = data
    gp = GaussianProcess(layout(shape), noise=noise, warp=warp, settings=GPSettings(input_warp=input_warp))
    gp.fit(x, y)
    new = np.concatenate([points(np.random.default_rng(7), shape, 10), x], axis=1)
    gp.append(new[:, :3], np.full(3, y[0]))
    mean, variance = gp.predict(new)
    assert np.isfinite(mean).all()
    assert np.isfinite(variance).all()
    assert np.all(variance >= 0.0)
    assert np.isfinite(gp.sample(new, 2, seed=0)).all()
    assert np.isfinite([gp.log_marginal_likelihood(), gp.mean, gp.outputscale, *gp.lengthscale]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianProcess(noise=-1.0), "noise must be a number from 0 to 10 or None, got -1.0"),
        (lambda: GaussianProcess(warp="log"), "warp must be 'none', 'power' or 'half-rank', got 'log'"),
        (lambda: GaussianProcess().predict([[0.5]]), "call fit"),
        (lambda: GaussianProcess().fit(np.zeros((20, 3)), np.zeros(20)), "pass x.T"),
        (lambda: GaussianProcess().fit(np.zeros((3, 20)), np.zeros(19)), "x must have 19 points.*, got 20"),
        (
            lambda: GaussianProcess().fit(np.zeros(20), np.zeros(20)),
            r"x must .* \(d, n\).*, got \(20,\)",
        ),
        (lambda: GaussianProcess().fit(np.zeros((1, 2)), [1.0, np.nan]), "y must be a vector"),
        (lambda: GaussianProcess().fit(np.zeros((1, 2)), [1.0, 1e200]), "y must be a vector"),
        (lambda: GaussianProcess().fit([[0.0, np.inf]], [1.0, 2.0]), "infinite"),
        (lambda: GaussianProcess().fit([[0.0, np.nan]], [1.0, 2.0]), "NaN"),
        (
            lambda: GaussianProcess(layout("mixed")).fit(np.zeros((3, 20)), np.zeros(20)),
            r"x must .* \(4, n\)",
        ),
        (lambda: GaussianProcess().fit([[0.1, 0.2]], [1.0, 2.0]).predict(np.zeros((2, 5))), r"\(1, n\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_inputs_are_left_as_they_were():
    rng = np.random.default_rng(8)
    x = points(rng, "conditional", 20)
    y = targets(rng, x)
    x.flags.writeable = y.flags.writeable = False
    gp = GaussianProcess(layout("conditional"), settings=GPSettings(input_warp=True)).fit(x, y)
    gp.append(x[:, :2], y[:2]).predict(x)
