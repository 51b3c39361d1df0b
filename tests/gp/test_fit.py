"""The objective against the definition and central differences; the fit against SciPy from many starts."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from gp.problems import SHAPES, layout, points, targets
from oracles import gaussian_process as oracle
from scipy import optimize, stats

from hpo_core.gp.bfgs import minimize
from hpo_core.gp.fit import STRIDE, WARM, GPSettings, Objective, Parameters, fit, refit, schedule, scheduled
from hpo_core.gp.posterior import Posterior
from hpo_core.layout import Kind
from hpo_core.native.covariance import Structure

every_shape = pytest.mark.parametrize("shape", SHAPES)


def objective(rng, shape, n, settings):
    of = layout(shape)
    x = points(rng, shape, n)
    return Objective(Structure(of), Parameters(of, settings), x, targets(rng, x))


def some_theta(rng, parameters):
    return np.clip(
        parameters.mode() + 0.5 * rng.standard_normal(parameters.size), parameters.low, parameters.high
    )


def log_posterior(of, theta, x, y):
    """Log of likelihood times priors by the definition, for the default settings."""
    d, groups = of.size, of.group.tolist()
    lengthscale, noise = np.exp(theta[:d]), math.exp(theta[d])
    correlation = [1.0, *(1.0 / (1.0 + np.exp(-theta[d + 1 :])))]
    kinds = ["categorical" if kind == Kind.CATEGORICAL else "numeric" for kind in of.kinds]
    k = oracle.cross(kinds, groups, lengthscale.tolist(), correlation, x, x)
    value = oracle.profiled_log_marginal_likelihood(k, y, noise) + stats.lognorm.logpdf(
        noise, s=1.0, scale=math.exp(-4.0)
    )
    for group, scale in zip(groups, lengthscale, strict=True):
        location = math.sqrt(2.0) + 0.5 * math.log(groups.count(group))
        value += stats.lognorm.logpdf(scale, s=math.sqrt(3.0), scale=math.exp(location))
    return value


@every_shape
def test_objective_equals_the_definition_but_for_a_constant(shape):
    rng = np.random.default_rng(1)
    ours = objective(rng, shape, 25, GPSettings())
    thetas = [some_theta(rng, ours.parameters) for _ in range(4)]
    off = [-log_posterior(layout(shape), t, ours.x, ours.y) - ours(t)[0] for t in thetas]
    np.testing.assert_allclose(off, off[0], rtol=1e-9)


@every_shape
@pytest.mark.parametrize("warp", [False, True])
@pytest.mark.parametrize("noise", [None, 1e-3])
def test_every_gradient_equals_central_differences(shape, warp, noise):
    rng = np.random.default_rng(2)
    ours = objective(rng, shape, 30, GPSettings(input_warp=warp, noise=noise))
    for _ in range(3):
        theta = some_theta(rng, ours.parameters)
        expected = [
            (ours(theta + shift)[0] - ours(theta - shift)[0]) / 2e-5
            for shift in 1e-5 * np.eye(ours.parameters.size)
        ]
        np.testing.assert_allclose(ours(theta)[1], expected, rtol=1e-6, atol=1e-6)


@every_shape
def test_objective_falls_with_the_likelihood_of_the_posterior(shape):
    """Without priors' terms it is minus what ``Posterior`` says, mean and scale profiled alike."""
    rng = np.random.default_rng(3)
    ours = objective(rng, shape, 30, GPSettings(input_warp=True))
    theta = some_theta(rng, ours.parameters)
    posterior = Posterior(ours.structure, ours.parameters.hyperparameters(theta), ours.x, ours.y)
    value = ours(theta)[0] - ours.parameters.penalty(theta)[0]
    assert -value == pytest.approx(posterior.log_marginal_likelihood(), rel=1e-10)


def test_start_is_the_mode_of_each_prior():
    of = layout("conditional")
    hyper = Parameters(of, GPSettings()).hyperparameters(Parameters(of, GPSettings()).mode())
    for scale, d in zip(hyper.lengthscale, [2, 2, 2, 2, 1], strict=True):
        prior = stats.lognorm(s=math.sqrt(3.0), scale=math.exp(math.sqrt(2.0)) * math.sqrt(d))
        assert prior.pdf(scale) >= max(prior.pdf(scale * 1.01), prior.pdf(scale / 1.01))
    assert hyper.noise == pytest.approx(math.exp(-5.0))
    assert hyper.correlation[1:].tolist() == [0.5, 0.5]


@every_shape
@pytest.mark.parametrize("warp", [False, True])
def test_theta_and_hyperparameters_are_inverses(shape, warp):
    rng = np.random.default_rng(4)
    parameters = Parameters(layout(shape), GPSettings(input_warp=warp))
    theta = some_theta(rng, parameters)
    np.testing.assert_allclose(
        parameters.theta(parameters.hyperparameters(theta)), theta, rtol=1e-9, atol=1e-12
    )


@every_shape
@pytest.mark.parametrize("n", [8, 40])
def test_fit_is_as_good_as_the_best_of_many_starts(shape, n):
    rng = np.random.default_rng(5)
    ours = objective(rng, shape, n, GPSettings())
    ours.y = (ours.y - ours.y.mean()) / ours.y.std()
    ours = Objective(ours.structure, ours.parameters, ours.x, ours.y)
    bounds = list(zip(ours.parameters.low, ours.parameters.high, strict=True))
    starts = [ours.parameters.mode(), *(some_theta(rng, ours.parameters) for _ in range(5))]
    best = min(optimize.minimize(ours, t, jac=True, method="L-BFGS-B", bounds=bounds).fun for t in starts)
    hyper = fit(ours.structure, ours.x, ours.y, settings=GPSettings())
    assert ours(ours.parameters.theta(hyper))[0] <= best + 0.2  # nats: it stops early in flat valleys


def test_fit_ignores_location_and_scale_and_repeats_itself():
    rng = np.random.default_rng(6)
    x = points(rng, "mixed", 50)
    y, structure = targets(rng, x), Structure(layout("mixed"))
    hyper = fit(structure, x, y, settings=GPSettings())
    again = fit(structure, x, y, settings=GPSettings())
    moved = fit(structure, x, 1e9 + 1e3 * y, settings=GPSettings())
    assert np.array_equal(hyper.lengthscale, again.lengthscale)
    assert hyper.noise == again.noise
    np.testing.assert_allclose(moved.lengthscale, hyper.lengthscale, rtol=1e-4)


def test_noisy_data_are_not_taken_for_a_short_lengthscale():
    """From the modes alone the search ends 8 nats worse, with next to no noise."""
    rng = np.random.default_rng(20)
    x = rng.random((6, 100))
    structure, settings = Structure(layout("flat", 6)), GPSettings()
    parameters = Parameters(layout("flat", 6), settings)
    values = []
    for seed in range(6):
        noise = 0.5 * np.random.default_rng(seed).standard_normal(100)
        y = np.sin(5.0 * x[0]) + 3.0 * (x[1] - 0.4) ** 2 + 0.3 * x[-1] + noise
        y = (y - y.mean()) / y.std()
        ours = Objective(structure, parameters, x, y)
        once = ours.minimize(parameters.mode(), 60).value
        values.append(once - ours(parameters.theta(fit(structure, x, y, settings=settings)))[0])
    assert min(values) >= -1e-6
    assert max(values) > 1.0


def test_warm_start_takes_fewer_evaluations():
    rng = np.random.default_rng(7)
    x = points(rng, "flat", 60)
    y, of = targets(rng, x), layout("flat")
    y = (y - y.mean()) / y.std()
    before = refit(Structure(of), x[:, :55].copy(), y[:55], GPSettings(), None)
    parameters = Parameters(of, GPSettings())
    cold, warm = (Objective(Structure(of), parameters, x, y) for _ in range(2))
    expected = cold.minimize(parameters.mode(), 60)
    found = warm.minimize(parameters.theta(before.hyper), 60, before.inverse_hessian * (55 / 60))
    assert warm.n_evaluations < 0.5 * cold.n_evaluations
    assert found.value == pytest.approx(expected.value, abs=0.02)


def test_many_data_start_from_a_subset_within_the_evaluations_allowed(monkeypatch):
    sizes = []
    call = Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda self, t: (sizes.append(len(self.y)), call(self, t))[1])
    rng = np.random.default_rng(8)
    x = rng.random((3, 320))
    hyper = fit(Structure(layout("flat")), x, targets(rng, x), settings=GPSettings(max_subset=64, max_full=5))
    assert 0 < sizes.count(320) <= 5
    assert set(sizes) == {64, 320}
    assert hyper.lengthscale[0] < 2.0


@pytest.mark.parametrize("y", [np.zeros(5), np.full(5, -1e12), np.array([2.0])])
def test_constant_targets_leave_the_modes(y):
    rng = np.random.default_rng(9)
    parameters = Parameters(layout("flat"), GPSettings())
    hyper = fit(Structure(layout("flat")), points(rng, "flat", len(y)), y, settings=GPSettings())
    assert np.array_equal(hyper.lengthscale, parameters.hyperparameters(parameters.mode()).lengthscale)


def test_schedule_refits_every_trial_then_at_eight_percent():
    assert [scheduled(n) for n in range(14)] == list(range(14))
    fits = sorted({scheduled(n) for n in range(12, 2000)})
    assert all(later == math.ceil(1.08 * earlier) for earlier, later in pairwise(fits))
    assert all(scheduled(n) <= n < 1.08 * scheduled(n) + 1 for n in range(1, 2000))


def test_each_fit_of_a_schedule_begins_with_one_that_was_in_use():
    fits = sorted({scheduled(n) for n in range(12, 5000)})
    for before, k in pairwise(fits):
        leading = schedule(k)
        assert leading[-1] == k
        assert leading[:-1] in ([], schedule(before), schedule(before)[:-1])
        assert leading[:-1] == [] or fits.index(k) - fits.index(leading[-2]) <= STRIDE
    assert max(len(schedule(n)) for n in fits) == WARM // STRIDE + 1
    assert all(schedule(n) == [n] for n in range(12))


def test_fits_that_follow_one_another_are_as_good_as_fits_from_the_modes():
    rng = np.random.default_rng(10)
    of, x = layout("flat", 6), points(rng, "flat", 100, 6)
    y, structure, settings = targets(rng, x), Structure(of), GPSettings()
    parameters, before, off = Parameters(of, settings), None, []
    for k in schedule(100):
        some, values = x[:, :k].copy(), y[:k]
        values = (values - values.mean()) / values.std()
        ours = Objective(structure, parameters, some, values)
        before = refit(structure, some, y[:k], settings, before)
        cold = ours.minimize(parameters.mode(), settings.max_evaluations)
        off.append(ours(parameters.theta(before.hyper))[0] - cold.value)
    assert len(off) > 4
    assert np.mean(off) < 0.02


@pytest.mark.parametrize("start", [[-1.2, 1.0], [1.5, -1.0], [0.0, 0.0]])
def test_descent_finds_minima_inside_and_on_bounds(start):
    def rosenbrock(t):
        return optimize.rosen(t), optimize.rosen_der(t)

    low, high = np.array([-2.0, -2.0]), np.array([2.0, 2.0])
    found = minimize(rosenbrock, np.array(start), low, high, max_evaluations=200)
    assert found.value < 1e-2
    high = np.array([0.5, 2.0])
    found = minimize(rosenbrock, np.minimum(start, high), low, high, max_evaluations=200)
    assert found.theta[0] == pytest.approx(0.5, abs=1e-2)
    assert found.value == pytest.approx(0.25, abs=1e-2)


def test_descent_stops_at_the_evaluations_allowed_and_survives_infinities():
    calls = []

    def walled(t):
        calls.append(t)
        inside = t[0] < 1.0
        return (float((t[0] - 0.9) ** 2), 2.0 * (t - 0.9)) if inside else (math.inf, np.zeros(1))

    low, high = np.array([-9.0]), np.array([9.0])
    found = minimize(walled, np.array([-8.0]), low, high, max_evaluations=40)
    assert found.theta[0] == pytest.approx(0.9, abs=0.05)
    calls.clear()
    minimize(walled, np.array([-8.0]), low, high, max_evaluations=3)
    assert len(calls) == 3
    nowhere = minimize(lambda t: (math.inf, np.zeros(1)), np.array([0.0]), low, high, max_evaluations=9)
    assert nowhere.theta[0] == 0.0
