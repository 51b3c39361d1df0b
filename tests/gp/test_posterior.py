"""The posterior against scikit-learn, the definition, central differences and itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gp.problems import (
    SHAPES,
    central_differences,
    hyperparameters,
    layout,
    points,
    posterior,
    targets,
)
from oracles import gaussian_process as oracle

from hpo_core.errors import NotPositiveDefiniteError
from hpo_core.gp.posterior import BLOCK, Hyperparameters, Posterior
from hpo_core.layout import Kind
from hpo_core.native import linalg
from hpo_core.native.covariance import Structure

every_shape = pytest.mark.parametrize("shape", SHAPES)


def spec(layout_, hyper):
    """What the oracle calls the hyperparameters."""
    kinds = ["categorical" if kind == Kind.CATEGORICAL else "numeric" for kind in layout_.kinds]
    return kinds, layout_.group.tolist(), hyper.lengthscale.tolist(), hyper.correlation.tolist()


@pytest.mark.parametrize(("n", "noise"), [(1, 0.1), (2, 1e-3), (7, 1e-4), (150, 1e-4), (200, 1.0)])
def test_posterior_and_likelihood_equal_those_of_scikit_learn(n, noise):
    sklearn = pytest.importorskip("sklearn.gaussian_process")
    rng = np.random.default_rng(n)
    x, new = points(rng, "flat", n), points(rng, "flat", 300)
    y = 5.0 + 3.0 * targets(rng, x)
    hyper = hyperparameters(rng, "flat", noise=noise)
    ours = Posterior(Structure(layout("flat")), hyper, x, y)
    kernel = sklearn.kernels.ConstantKernel(ours.s2, "fixed")
    kernel *= sklearn.kernels.Matern(hyper.lengthscale, "fixed", nu=2.5)
    theirs = sklearn.GaussianProcessRegressor(kernel, alpha=noise * ours.s2, optimizer=None).fit(
        x.T, y - ours.mu
    )

    mean, covariance = theirs.predict(new.T, return_cov=True)
    np.testing.assert_allclose(ours.predict(new)[0], mean + ours.mu, rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(ours.mean(new), mean + ours.mu, rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(ours.predict(new)[1], covariance.diagonal(), rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(ours.covariance(new), covariance, rtol=0.0, atol=1e-8)
    expected = theirs.log_marginal_likelihood_value_
    assert ours.log_marginal_likelihood() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_shape
def test_mixed_and_conditional_posteriors_equal_the_definition(shape):
    rng = np.random.default_rng(1)
    ours, new = posterior(rng, shape, 40), points(rng, shape, 25)
    of = spec(layout(shape), ours.hyper)
    k, k_cross, k_new = (oracle.cross(*of, a, b) for a, b in ((ours.x, ours.x), (ours.x, new), (new, new)))
    mean, covariance = oracle.posterior(k, k_cross, k_new, ours.y, ours.hyper.noise)
    assert (ours.mu, ours.s2) == pytest.approx(oracle.profile(k, ours.y, ours.hyper.noise), rel=1e-10)
    np.testing.assert_allclose(ours.predict(new)[0], mean, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(ours.covariance(new), covariance, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(ours.cross(new), k_cross, rtol=0.0, atol=1e-12)
    expected = oracle.profiled_log_marginal_likelihood(k, ours.y, ours.hyper.noise)
    assert ours.log_marginal_likelihood() == pytest.approx(expected, rel=1e-9)


@every_shape
@pytest.mark.parametrize("warp", [False, True])
def test_slopes_equal_central_differences(shape, warp):
    rng = np.random.default_rng(2)
    ours, x = posterior(rng, shape, 30, warp=warp), points(rng, shape, 40)
    x = np.where(layout(shape).kinds[:, None] == Kind.CATEGORICAL, x, np.clip(x, 0.01, 0.99))
    by_mean, by_variance = rng.standard_normal((2, 40))

    def combination(at):
        mean, variance = ours.predict(at)
        return by_mean * mean + by_variance * variance

    expected = np.nan_to_num(central_differences(combination, x))
    expected[layout(shape).kinds == Kind.CATEGORICAL] = 0.0
    slopes = ours.slopes(ours.evaluate(x), by_mean, by_variance)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@every_shape
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_appended_equals_built_bit_for_bit(shape, steps):
    n = 2 * BLOCK + 5
    rng = np.random.default_rng(3)
    x, hyper = points(rng, shape, n), hyperparameters(rng, shape)
    y, structure = targets(rng, x), Structure(layout(shape))
    appended = Posterior(structure, hyper, x[:, :1], y[:1])
    for start in range(1, n, steps):
        stop = min(start + steps, n)
        appended.append(x[:, start:stop], y[:stop])
        if stop in (2, 15, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, n):
            built = Posterior(structure, hyper, x[:, :stop], y[:stop])
            assert np.array_equal(np.tril(appended.factor), np.tril(built.factor))
            assert np.array_equal(appended.alpha, built.alpha)
            assert (appended.mu, appended.s2) == (built.mu, built.s2)


def test_appended_rows_equal_a_whole_factorisation():
    rng = np.random.default_rng(4)
    ours = posterior(rng, "conditional", BLOCK + 40, noise=1e-6)
    k = ours.cross(ours.x) + ours.hyper.noise * np.eye(ours.n)
    assert np.linalg.cond(k) <= 1e8
    np.testing.assert_allclose(np.tril(ours.factor), np.linalg.cholesky(k), rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("n", [20, 100])
def test_conditioning_keeps_the_mean_and_lowers_the_variance_as_data_at_the_mean_would(n):
    rng = np.random.default_rng(5)
    ours = posterior(rng, "conditional", n)
    pending, new = points(rng, "conditional", 9), points(rng, "conditional", 50)
    before, factor = ours.predict(new), ours.factor.copy()
    conditioned = ours.conditioned(pending)
    observed = Posterior(
        ours.structure,
        ours.hyper,
        np.concatenate([ours.x, pending], axis=1),
        np.concatenate([ours.y, ours.mean(pending)]),
    )
    np.testing.assert_allclose(conditioned.mean(new), before[0], rtol=1e-12)
    np.testing.assert_allclose(conditioned.predict(new)[0], before[0], rtol=1e-12)
    # The scale is a fit's: data at the mean would lower it, points conditioned on do not.
    variance = observed.predict(new)[1] * (ours.s2 / observed.s2)
    np.testing.assert_allclose(conditioned.predict(new)[1], variance, rtol=1e-9, atol=1e-12)
    assert np.all(conditioned.predict(new)[1] <= before[1])
    assert conditioned.n == n + 9
    assert np.array_equal(np.tril(ours.factor), np.tril(factor))
    assert np.array_equal(ours.predict(new), before)


def test_an_appended_point_may_move_all_targets():
    rng = np.random.default_rng(6)
    ours, x, y = posterior(rng, "mixed", 70), points(rng, "mixed", 1), rng.standard_normal(71)
    built = Posterior(ours.structure, ours.hyper, np.concatenate([ours.x, x], axis=1), y)
    ours.append(x, y)
    assert np.array_equal(ours.alpha, built.alpha)
    assert (ours.mu, ours.s2) == (built.mu, built.s2)


@pytest.mark.parametrize("n", [3, BLOCK - 1, BLOCK, BLOCK + 30])
def test_jitter_climbs_until_equal_points_can_be_factorised(n):
    rng = np.random.default_rng(7)
    x = np.tile(points(rng, "flat", 2), n)[:, :n]
    hyper, structure = hyperparameters(rng, "flat", noise=0.0), Structure(layout("flat"))
    ours = Posterior(structure, hyper, x, targets(rng, x))
    assert ours.jitter in linalg.JITTER[1:]
    mean, variance = ours.predict(points(rng, "flat", 20))
    assert np.isfinite(mean).all()
    assert np.all((variance >= 0.0) & (variance <= ours.s2))
    appended = Posterior(structure, hyper, x[:, :1], ours.y[:1])
    for i in range(1, n):
        appended.append(x[:, i : i + 1], ours.y[: i + 1])
    assert appended.jitter == ours.jitter
    assert np.array_equal(appended.alpha, ours.alpha)


def test_the_last_step_of_the_ladder_is_an_error(monkeypatch):
    monkeypatch.setattr("hpo_core.native.linalg.JITTER", (0.0, 1e-30))
    rng = np.random.default_rng(8)
    x = np.repeat(points(rng, "flat", 1), 5, axis=1)
    structure, hyper = Structure(layout("flat")), hyperparameters(rng, "flat", noise=0.0)
    with pytest.raises(NotPositiveDefiniteError, match="even with 1e-30"):
        Posterior(structure, hyper, x, np.arange(5.0))


def test_a_point_that_no_step_of_the_ladder_can_append_is_an_error(monkeypatch):
    monkeypatch.setattr("hpo_core.native.linalg.JITTER", (0.0,))
    rng = np.random.default_rng(8)
    x, structure = points(rng, "flat", 4), Structure(layout("flat"))
    ours = Posterior(structure, hyperparameters(rng, "flat", noise=0.0), x, np.arange(4.0))
    with pytest.raises(NotPositiveDefiniteError, match="even with"):
        ours.append(x[:, :1], np.arange(5.0))


@pytest.mark.parametrize("warped", [False, True])
def test_the_variance_given_some_data_is_that_of_a_posterior_of_these_and_no_less(warped):
    rng = np.random.default_rng(12)
    ours, new = posterior(rng, "flat", 40), points(rng, "flat", 30)
    if warped:
        hyper = replace(ours.hyper, warp=rng.uniform(0.5, 2.0, (2, len(new))))
        ours = Posterior(ours.structure, hyper, ours.x, ours.y)
    rows = np.array([3, 4, 11, 20, 38])
    few = Posterior(ours.structure, ours.hyper, np.ascontiguousarray(ours.x[:, rows]), ours.y[rows])
    variance = ours.variance_given(rows, new)
    np.testing.assert_allclose(variance, few.predict(new)[1] * (ours.s2 / few.s2), rtol=1e-9, atol=1e-14)
    assert np.all(variance >= ours.predict(new)[1] - 1e-12)


def test_variance_needs_no_clipping_beyond_rounding():
    """At the least noise that is fitted and data on top of each other, 1 - |V|^2 stays above -1e-9."""
    rng = np.random.default_rng(9)
    x = np.clip(0.5 + 1e-5 * rng.standard_normal((3, 300)), 0.0, 1.0)
    hyper = Hyperparameters(np.full(3, 10.0), 1e-6, np.ones(1))
    ours = Posterior(Structure(layout("flat")), hyper, x, rng.standard_normal(300))
    columns = ours.columns(x)
    assert np.min(1.0 - np.sum(columns**2, axis=0)) > -1e-9


@pytest.mark.parametrize("y", [[3.0], [1e12, 1e12, 1e12], [0.0, 0.0]])
def test_constant_targets_leave_their_value_and_a_scale_of_one(y):
    rng = np.random.default_rng(10)
    x = points(rng, "flat", len(y))
    ours = Posterior(Structure(layout("flat")), hyperparameters(rng, "flat"), x, np.array(y))
    assert (ours.mu, ours.s2) == (y[0], 1.0)
    np.testing.assert_allclose(ours.mean(points(rng, "flat", 5)), y[0], rtol=1e-15)
