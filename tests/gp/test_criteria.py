"""Criteria: gradients by differences, bounds that are bounds, and the exact best of a pool through them."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import central_differences, layout, points, posterior

from hpo_core.gp.criteria import DOUBT, N_BOUND, N_TIGHT, LogEI, Weighted, doubt
from hpo_core.gp.feasibility import fit_failures
from hpo_core.gp.maximize import best_of
from hpo_core.native.covariance import Structure
from hpo_core.native.improvement import log_ei

SHAPE = "conditional"


def criterion(kind, n=20):
    rng = np.random.default_rng(1)
    model = posterior(rng, SHAPE, n)
    improvement = LogEI(model, float(model.y.min()))
    if kind == "log EI":
        return improvement
    x = points(rng, SHAPE, 30)
    return Weighted(improvement, fit_failures(Structure(layout(SHAPE)), x, x[0] < 0.6))


every_kind = pytest.mark.parametrize("kind", ["log EI", "weighted"])


def candidates(m):
    return points(np.random.default_rng(2), SHAPE, m)


@every_kind
def test_the_gradient_is_that_of_the_value(kind):
    ours, x = criterion(kind), candidates(10)
    value, slope = ours.gradient(x)
    np.testing.assert_allclose(value, ours.value(x), rtol=1e-12)
    moving = (slope != 0.0) & ~np.isnan(x)
    differences = central_differences(ours.value, x)
    np.testing.assert_allclose(slope[moving], differences[moving], rtol=1e-4, atol=1e-5)


@every_kind
def test_a_bound_is_one_and_a_tightened_one_is_closer(kind):
    ours, x = criterion(kind, 3 * N_TIGHT), candidates(400)
    assert ours.n > N_TIGHT > N_BOUND
    rows = np.arange(0, 400, 7)
    value, bound = ours.value(x), ours.bound(x)
    closer = bound.tightened(rows)
    assert np.all(bound.value >= value - 1e-9)
    assert np.all(closer >= value[rows] - 1e-9)
    assert np.all(closer <= bound.value[rows] + 1e-9)


@every_kind
@pytest.mark.parametrize("k", [1, 30])
def test_the_best_of_a_pool_found_through_bounds_are_the_best(kind, k):
    ours, x = criterion(kind, 3 * N_TIGHT), candidates(2000)
    index, value = best_of(ours, x, k)
    whole = np.concatenate([ours.value(x[:, i : i + 64]) for i in range(0, 2000, 64)])
    np.testing.assert_allclose(value, np.sort(whole)[::-1][:k], rtol=1e-9)
    np.testing.assert_allclose(whole[index], value, rtol=1e-9)


def test_a_weight_is_added():
    weighted, x = criterion("weighted"), candidates(12)
    expected = weighted.criterion.value(x) + weighted.feasibility.log_weight(x)
    np.testing.assert_array_equal(weighted.value(x), expected)
    assert weighted.n == max(weighted.criterion.n, weighted.feasibility.n)


def doubted(shape, tried, x):
    """The factor of each candidate, group by group."""
    group, factors = layout(shape).group, []
    for column in x.T:
        factor = 1.0
        for g in range(1, group.max() + 1):
            row = np.flatnonzero(group == g)[0]
            if not np.isnan(column[row]):
                factor = max(
                    factor,
                    1.0 + DOUBT * (np.log(tried.shape[1]) / (1 + np.sum(~np.isnan(tried[row])))) ** 0.5,
                )
        factors.append(factor)
    return np.array(factors)


@pytest.mark.parametrize("n", [2, 9, 40])
def test_a_group_is_doubted_the_less_the_more_trials_had_it(n):
    tried, x = points(np.random.default_rng(3), SHAPE, n), candidates(50)
    factor = doubt(Structure(layout(SHAPE)), tried, x)
    np.testing.assert_allclose(factor, doubted(SHAPE, tried, x), rtol=1e-14)
    active = factor > 1.0
    assert active.any()
    more = np.concatenate([tried, *[x[:, active]] * 9], axis=1)
    assert np.all(doubt(Structure(layout(SHAPE)), more, x)[active] < factor[active])


def test_nothing_is_doubted_without_conditions():
    x = points(np.random.default_rng(3), "flat", 5)
    np.testing.assert_array_equal(doubt(Structure(layout("flat")), x, x), np.ones(5))


def test_improvement_is_expected_with_doubt_about_the_data_and_the_running_trials():
    ours, x = criterion("log EI"), candidates(30)
    pending = LogEI(ours.posterior.conditioned(candidates(4)), ours.incumbent)
    for each in (ours, pending):
        mean, variance = each.posterior.predict(x)
        sd = np.sqrt(variance * doubted(SHAPE, each.posterior.x, x))
        np.testing.assert_allclose(each.value(x), log_ei(mean, sd, ours.incumbent), rtol=1e-12)
