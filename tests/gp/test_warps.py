"""Output warps: monotone, robust, equal to SciPy's where it has them; the input warp and its slopes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from hpo_core.gp.warps import (
    EXPONENTS,
    OUTPUT_WARPS,
    capped,
    half_rank,
    kumaraswamy,
    kumaraswamy_slopes,
    penalties,
    power,
    standardized,
    tamed,
    zoom,
)

every_warp = pytest.mark.parametrize("warp", OUTPUT_WARPS.values(), ids=OUTPUT_WARPS.keys())
# Few distinct values, so that ties occur; outliers; signs.
values = st.one_of(
    st.floats(-10, 10),
    st.integers(-2, 2).map(float),
    st.floats(-1e150, 1e150),
    st.sampled_from([1e12, -1e12]),
)
samples = hnp.arrays(np.float64, st.integers(1, 40), elements=values)


@every_warp
@given(y=samples)
def test_warps_are_monotone_finite_and_standardized(warp, y):
    z = warp(y)
    order = np.argsort(y, kind="stable")
    assert np.isfinite(z).all()
    assert np.all(np.diff(z[order]) >= -1e-12)
    assert all(len(set(z[y == tie].tolist())) == 1 for tie in set(y.tolist()))
    if np.ptp(z) > 0.0:
        assert (z.mean(), z.std()) == pytest.approx((0.0, 1.0), abs=1e-9)
    else:
        assert not z.any()


@every_warp
@pytest.mark.parametrize("y", [[4.0], [1e12] * 5, [0.0, 0.0], [-1e-300] * 3])
def test_constant_targets_become_zero(warp, y):
    assert not warp(np.array(y)).any()


@every_warp
def test_units_of_the_targets_do_not_matter(warp):
    y = np.random.default_rng(1).standard_normal(30) ** 3
    np.testing.assert_allclose(warp(1e100 * y - 1e100), warp(y), rtol=0.0, atol=1e-10)


@every_warp
def test_targets_whose_sum_overflows_stay_apart(warp):
    y = 1.7e308 * np.array([1.0] * 5 + [-1.0] * 3)
    np.testing.assert_allclose(warp(y), warp(y / 1e10), rtol=1e-9)


@pytest.mark.parametrize(("warp", "outlier"), [(power, 1e12), (power, -1e12), (half_rank, 1e12)])
def test_an_outlier_leaves_the_others_apart(warp, outlier):
    y = np.append(np.random.default_rng(2).standard_normal(50), outlier)
    assert np.ptp(standardized(y)[:-1]) < 1e-10
    assert np.ptp(warp(y)[:-1]) > 0.5


def test_power_is_the_most_likely_yeo_johnson_of_the_grid():
    y = np.exp(np.random.default_rng(3).standard_normal(60))
    centered = y - np.median(y)
    centered /= np.median(np.abs(centered))
    best = max(EXPONENTS, key=lambda exponent: stats.yeojohnson_llf(exponent, centered))
    assert best < 1.0
    np.testing.assert_allclose(power(y), stats.zscore(stats.yeojohnson(centered, best)), rtol=1e-10)


def test_half_rank_keeps_the_order_of_magnitudes_of_the_better_half_only():
    y = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 1e3, 1e6, 1e9, 1e12])
    moved = np.where(y > 4.0, y * 7.0, y)
    assert np.array_equal(half_rank(y), half_rank(moved))
    z = half_rank(y)
    assert z[1] - z[0] > z[2] - z[1] > z[3] - z[2] > 0.0


def test_capped_leaves_the_better_ones_apart_and_makes_the_worse_equal():
    y = np.array([4.0, 2.0, 6.0, 1.0, 1e12, 1.5, 0.0])  # the first three: median 4, best 0, so 8 at most
    capped_y = capped(y, 3)
    np.testing.assert_allclose(capped_y, standardized(np.minimum(y, 8.0)), atol=1e-10)
    np.testing.assert_allclose(capped(1e296 * y, 3), capped_y, atol=1e-10)
    assert not capped(np.full(4, 7.0), 3).any()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e307])
def test_zoom_is_the_share_of_the_first_spread_that_the_better_half_takes(scale):
    y = scale * np.array([4.0, 2.0, 6.0, 0.5, 0.0, 1.0, 1.0])  # medians: 4 of the first three, 1 of all
    assert zoom(y, 3) == pytest.approx(0.25)
    assert zoom(np.full(4, scale), 3) == 1.0


def test_input_warp_is_the_distribution_function_and_its_slopes_are_right():
    rng = np.random.default_rng(4)
    x, warp = rng.uniform(0.01, 0.99, (3, 20)), rng.uniform(0.3, 3.0, (2, 3))
    a, b = warp[:, :, None]
    np.testing.assert_allclose(kumaraswamy(x, warp), 1.0 - (1.0 - x**a) ** b, rtol=1e-12)
    step = 1e-6
    by_x = (kumaraswamy(x + step, warp) - kumaraswamy(x - step, warp)) / (2 * step)
    by_logs = [
        (kumaraswamy(x, warp * np.exp(shift)) - kumaraswamy(x, warp * np.exp(-shift))) / (2 * step)
        for shift in (np.array([[step], [0.0]]), np.array([[0.0], [step]]))
    ]
    for ours, expected in zip(kumaraswamy_slopes(x, warp), (by_x, *by_logs), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_input_warp_is_finite_at_the_ends_and_keeps_inactive_values():
    x = np.array([[0.0, 1.0, np.nan]])
    for exponent in (0.1, 10.0):
        warp = np.full((2, 1), exponent)
        assert np.isfinite(kumaraswamy(x, warp)[:, :2]).all()
        assert np.isnan(kumaraswamy(x, warp)[0, 2])
        assert all(np.isfinite(slopes[:, :2]).all() for slopes in kumaraswamy_slopes(x, warp))


def test_huge_targets_come_after_the_ordinary_ones_as_far_apart():
    y = np.array([0.1, 1e300, 0.2, -1e9, 0.3, 1e9, -1e200, 1e300])
    np.testing.assert_allclose(tamed(y), [0.1, 0.6, 0.2, -0.1, 0.3, 0.5, -0.2, 0.6])
    ordinary = np.array([1e-3, 1.0, 900.0, -20.0])
    assert tamed(ordinary) is ordinary


@given(y=samples)
def test_taming_keeps_the_order(y):
    assert (np.argsort(tamed(y), kind="stable") == np.argsort(y, kind="stable")).all()


@every_warp
@pytest.mark.parametrize("huge", [1e10, 1e150, 1.79e308])
def test_a_majority_of_huge_targets_leaves_the_others_apart(warp, huge):
    y = np.append(np.random.default_rng(2).standard_normal(20), np.full(30, huge))
    assert warp is standardized or np.ptp(warp(y)[:20]) > 0.3


def test_penalties_are_told_from_large_results():
    huge = np.finfo(np.float64).max
    assert penalties(np.array([1.0, huge, -huge, 1e101, 1e99])).tolist() == [False, True, False, True, False]
    assert not penalties(np.array([1e150, 1e200, huge])).any()
