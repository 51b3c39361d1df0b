"""Scores of all metrics: slopes by differences, bounds that are bounds, draws as an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_core.gp.scores import Aim, LogChebyshev, LogEHVI, LogFeasible, Total

LIMIT = np.array([0.3, -0.2])
KINDS = ("one", "two", "three", "four", "feasible", "total")


def front(m, k=12):
    y = np.abs(np.random.default_rng(3).standard_normal((m, k)))
    return y / np.linalg.norm(y, axis=0)


def score(kind):
    """A score, and the number of metrics that it is about."""
    feasible = LogFeasible(LIMIT)
    if kind == "feasible":
        return feasible, 4
    if kind == "total":
        return Total(LogEHVI(front(2), np.full(2, 1.2)), feasible), 4
    if kind == "four":
        return LogChebyshev(front(4), np.array([0.4, 0.3, 0.2, 0.1])), 4
    m = ("one", "two", "three").index(kind) + 1
    return LogEHVI(front(m), np.full(m, 1.2)), m


def predictions(n_metrics, p=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 1.5, (n_metrics, p)), rng.uniform(0.05, 0.6, (n_metrics, p))


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_those_of_the_value(kind):
    ours, n_metrics = score(kind)
    mean, sd = predictions(n_metrics)
    value, by_mean, by_sd = ours.slopes(mean, sd)
    np.testing.assert_allclose(value, ours.value(mean, sd), rtol=1e-12)
    for row in range(n_metrics):
        step = np.zeros_like(mean)
        step[row] = 1e-6
        differences = (ours.value(mean + step, sd) - ours.value(mean - step, sd)) / 2e-6
        np.testing.assert_allclose(by_mean[row], differences, rtol=1e-5, atol=1e-6)
        differences = (ours.value(mean, sd + step) - ours.value(mean, sd - step)) / 2e-6
        np.testing.assert_allclose(by_sd[row], differences, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("least", [0.0, 0.3, 0.9])
def test_a_bound_covers_all_smaller_deviations(kind, least):
    ours, n_metrics = score(kind)
    mean, sd = predictions(n_metrics, 2000)
    smaller = sd * np.random.default_rng(1).uniform(least, 1.0, sd.shape)
    bound = ours.bound(mean, sd)
    assert np.all(bound >= ours.value(mean, smaller) - 1e-9)
    assert np.all(bound >= ours.value(mean, sd) - 1e-9)


def test_the_chebyshev_score_is_the_mean_improvement_of_draws():
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    ours, (mean, sd) = LogChebyshev(front(4), weights), predictions(4, 20)
    mean -= 0.5
    incumbent = (weights[:, None] * front(4)).max(axis=0).min()
    draws = mean[:, :, None] + sd[:, :, None] * np.random.default_rng(5).standard_normal((4, 20, 200_000))
    gain = np.maximum(incumbent - (weights[:, None, None] * draws).max(axis=0), 0.0)
    error = gain.std(axis=1) / np.sqrt(200_000)
    off = np.abs(np.exp(ours.value(mean, sd)) - gain.mean(axis=1))
    sure = gain.mean(axis=1) > 20.0 * error
    assert sure.sum() >= 8
    assert np.all((off < 5.0 * error + 1e-2 * gain.mean(axis=1))[sure])


def test_an_objective_that_is_known_is_the_limit_of_one_that_is_measured():
    ours, (mean, sd) = LogChebyshev(front(4), np.array([0.4, 0.3, 0.2, 0.1])), predictions(4, 50)
    mean[1] = np.linspace(-1.0, 0.3, 50)
    nearly, exactly = sd.copy(), sd.copy()
    nearly[1], exactly[1] = 1e-2, 0.0
    np.testing.assert_allclose(ours.value(mean, exactly), ours.value(mean, nearly), atol=0.1)
    value, by_mean, _ = ours.slopes(mean, exactly)
    step = np.zeros_like(mean)
    step[1] = 1e-5
    differences = (ours.value(mean + step, exactly) - ours.value(mean - step, exactly)) / 2e-5
    assert np.any(by_mean[1] < -0.5)
    np.testing.assert_allclose(by_mean[1], differences, rtol=0.05, atol=0.05)
    assert np.all(value[mean[1] * 0.3 > 1.0] == -np.inf)


def test_a_known_constraint_is_kept_or_orders_by_violation():
    ours = LogFeasible(LIMIT)
    mean = np.array([[0.0, 0.4, 0.5, 0.3], [-1.0, -1.0, -1.0, -0.2]])
    value = ours.value(mean, np.zeros_like(mean))
    assert value[0] == value[3] == 0.0
    assert 0.0 > value[1] > value[2] > -np.inf
    assert value[1] < ours.value(np.full((2, 1), 30.0), np.full((2, 1), 1.0))[0]


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_aim_is_feasibility_until_something_is_feasible(m):
    level = np.vstack([front(m, 6), np.full((1, 6), 1.0)])
    aim = Aim(level, np.full(m, 1.1), np.full(m, 2.0), np.zeros(1), seed=1)
    assert isinstance(aim.score(0), LogFeasible)
    after = aim.extended(np.vstack([np.full((m, 1), 0.5), [[-1.0]]]))
    np.testing.assert_array_equal(after.front(), np.full((m, 1), 0.5))
    assert isinstance(after.score(0), Total)


def test_hard_predictions_give_no_nan():
    sd = np.array([0.0, 1e-300, 1e-12, 1.0, 1e12])
    mean = np.array([-1e9, -1.0, 0.0, 1.0, 1e9])
    grid = np.array(np.meshgrid(mean, sd)).reshape(2, -1)
    for kind in KINDS:
        ours, n_metrics = score(kind)
        at = np.repeat(grid[:, None], n_metrics, axis=1)
        for part in (ours.value(*at), *ours.slopes(*at), ours.bound(*at)):
            assert not np.isnan(part).any(), kind
