"""Expected improvement and its logarithm on both backends and every SIMD level, against mpmath."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import improvement as oracle

from hpo_core.errors import ArgumentError
from hpo_core.native import improvement

pytestmark = pytest.mark.usefixtures("variant")

SCALES = [1.0, 1e100, 1e-100]
FUNCTIONS = ["ei", "log_ei", "ei_slopes", "log_ei_slopes"]
INF = np.inf


@functools.cache
def cases(scale):
    """Mean, sd and best with z from -1e8 to 1e3, dense near 0; the length is odd."""
    rng = np.random.default_rng(0)
    z = np.concatenate(
        [
            -(10.0 ** rng.uniform(-3, 8, 120)),
            rng.uniform(-40, 10, 120),
            10.0 ** rng.uniform(-3, 3, 60),
            [0, -1e8, 1e3],
        ]
    )
    sd = scale * 10.0 ** rng.uniform(-3, 3, z.size)
    best = scale * rng.choice([0.0, 1.0, -3.0])
    return best - z * sd, sd, float(best)


def truth(name, scale, n=None):
    mean, sd, best = cases(scale)
    return [getattr(oracle, name)(float(a), float(b), best) for a, b in zip(mean[:n], sd[:n], strict=True)]


truth = functools.cache(truth)


def relative_error(got, exact, floor=0.0):
    return max(float(abs(g - e) / max(abs(e), floor)) for g, e in zip(got.tolist(), exact, strict=True))


@pytest.mark.parametrize("scale", SCALES)
def test_log_ei_is_that_of_mpmath(scale):
    # Where EI is about 1 its logarithm is about 0, and the error of EI counts.
    assert relative_error(improvement.log_ei(*cases(scale)), truth("log_ei", scale), floor=1.0) <= 1e-13


@pytest.mark.parametrize("scale", SCALES)
def test_slopes_of_log_ei_are_differences(scale):
    value, by_mean, by_sd = improvement.log_ei_slopes(*cases(scale))
    exact = np.array(truth("log_ei_slopes", scale), dtype=object)
    np.testing.assert_array_equal(value, improvement.log_ei(*cases(scale)))
    assert relative_error(by_mean, exact[:, 0]) <= 1e-12
    # To the right phi(z) is 0 in float64 from z = 38 on, and its relative error grows with z^2.
    mean, sd, best = cases(scale)
    near = (best - mean) / sd < 8.0
    assert relative_error(by_sd[near], exact[near, 1]) <= 1e-12
    assert np.all(np.abs(by_sd[~near]) <= 1e-13 * np.abs(by_mean[~near]))


@pytest.mark.parametrize("scale", SCALES)
def test_ei_and_its_slopes_are_those_of_log_ei(scale):
    mean, sd, best = cases(scale)
    log_value, log_by_mean, log_by_sd = improvement.log_ei_slopes(mean, sd, best)
    value, by_mean, by_sd = improvement.ei_slopes(mean, sd, best)
    near = ((best - mean) / sd > -35.0) & (log_value > -600.0)
    np.testing.assert_array_equal(value, improvement.ei(mean, sd, best))
    np.testing.assert_allclose(value[near], np.exp(log_value[near]), rtol=1e-12)
    np.testing.assert_allclose(by_mean[near], (value * log_by_mean)[near], rtol=1e-12)
    np.testing.assert_allclose(by_sd[near], (value * log_by_sd)[near], rtol=1e-12, atol=1e-100)
    assert np.all((value[~near] >= 0.0) & (value[~near] <= 1e-260 * np.maximum(sd[~near], 1.0)))


@pytest.mark.parametrize("centre", [0.0, -1.0, -5.0, -25.0, -38.0, -100.0, -1e4, 8.0, 38.0])
def test_log_ei_is_monotone_and_continuous(centre):
    z = centre + np.linspace(-0.5, 0.5, 4001) * max(1.0, 1e-6 * abs(centre))
    value, by_mean, _ = improvement.log_ei_slopes(-z, np.ones(z.size), 0.0)
    rounding = 16 * np.spacing(np.maximum(np.abs(value[1:]), 1.0))
    step = np.diff(value)
    assert np.all(step >= -rounding)
    slope = -0.5 * (by_mean[1:] + by_mean[:-1])
    np.testing.assert_allclose(step, slope * np.diff(z), rtol=1e-6, atol=rounding.max())


def test_log_ei_is_monotone_to_the_ends_of_float64():
    z = np.concatenate([-np.logspace(300, -300, 4000), [0.0], np.logspace(-300, 300, 4000)])
    value = improvement.log_ei(-z, np.ones(z.size), 0.0)
    assert np.all(np.isfinite(value))
    assert np.all(np.diff(value) >= -16 * np.spacing(np.maximum(np.abs(value[1:]), 1.0)))


def test_without_deviation_the_improvement_is_certain():
    mean = np.array([1.0, 2.0, 3.0, -1e300])
    zero = np.zeros(4)
    gain = [1.0, 0.0, 0.0, 1e300]
    np.testing.assert_array_equal(improvement.ei(mean, zero, 2.0), gain)
    value, by_mean, by_sd = improvement.log_ei_slopes(mean, zero, 2.0)
    np.testing.assert_allclose(value, [0.0, -INF, -INF, np.log(1e300)], rtol=1e-15)
    np.testing.assert_allclose(by_mean, [-1.0, 0.0, 0.0, -1e-300], rtol=1e-15)
    np.testing.assert_array_equal(by_sd, 0.0)
    np.testing.assert_array_equal(improvement.ei_slopes(mean, zero, 2.0)[1], [-1.0, 0.0, 0.0, -1.0])


values = st.one_of(
    st.sampled_from([0.0, INF, -INF, 1e308, -1e308, 5e-324, 1.0]),
    st.floats(allow_nan=False, allow_infinity=True),
)


@given(mean=values, sd=values.map(abs), best=values)
def test_what_is_not_nan_gives_no_nan(mean, sd, best):
    mean, sd = np.full(9, mean), np.full(9, sd)
    for name in FUNCTIONS:
        assert not np.isnan(getattr(improvement, name)(mean, sd, best)).any(), name
    average = improvement.log_ei_average(np.tile(mean, (2, 1)), sd, np.full(2, best))
    assert not np.isnan(average).any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_and_negative_deviations_give_nan(name):
    bad = (np.array([np.nan, 0.0, 0.0]), np.array([1.0, np.nan, -1.0]), 0.0)
    assert np.isnan(getattr(improvement, name)(*bad)).all()
    assert np.isnan(getattr(improvement, name)(np.zeros(3), np.ones(3), np.nan)).all()


@pytest.mark.parametrize("m", [0, 1, 7, 8, 9, 17])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_value_does_not_depend_on_its_place(name, m):
    mean, sd, best = cases(1.0)
    function = getattr(improvement, name)
    whole = np.asarray(function(mean, sd, best))
    np.testing.assert_array_equal(function(mean[3 : 3 + m], sd[3 : 3 + m], best), whole[..., 3 : 3 + m])
    assert whole.shape[-1] == mean.size


@pytest.mark.parametrize(("k", "m"), [(1, 9), (2, 1), (64, 21)])
@pytest.mark.parametrize("shift", [0.0, 30.0, 1e5])
def test_the_average_is_the_log_of_the_mean(k, m, shift):
    rng = np.random.default_rng(k)
    mean, sd, best = rng.normal(shift, 3.0, (k, m)), rng.uniform(0.5, 2.0, m), rng.normal(size=k)
    each = np.stack([improvement.log_ei(row, sd, value) for row, value in zip(mean, best, strict=True)])
    got = improvement.log_ei_average(mean, sd, best)
    np.testing.assert_allclose(got, np.logaddexp.reduce(each, axis=0) - np.log(k), rtol=1e-12, atol=1e-13)


def test_the_average_of_certain_predictions():
    mean = np.array([[0.0, 5.0, 5.0], [5.0, -3.0, 5.0]])
    got = improvement.log_ei_average(mean, np.zeros(3), np.array([1.0, 1.0]))
    np.testing.assert_allclose(got, [np.log(0.5), np.log(2.0), -INF])


def test_read_only_and_strided_arrays_are_taken():
    mean, sd, best = cases(1.0)
    pair = np.stack([mean, sd], axis=1)
    pair.flags.writeable = False
    np.testing.assert_array_equal(
        improvement.log_ei(pair[:, 0], pair[:, 1], best), improvement.log_ei(mean, sd, best)
    )


def test_shapes_are_checked():
    with pytest.raises(ArgumentError, match=r"\(3,\) and \(2,\)"):
        improvement.log_ei(np.zeros(3), np.ones(2), 0.0)
    with pytest.raises(ArgumentError, match=r"\(2, 3\), \(3,\) and \(3,\)"):
        improvement.log_ei_average(np.zeros((2, 3)), np.ones(3), np.zeros(3))
