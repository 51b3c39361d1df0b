"""The normal distribution on both backends and every SIMD level, against mpmath."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import normal as oracle
from scipy import special

from hpo_core.errors import ArgumentError
from hpo_core.native import normal

EPS = 2.0**-52
SMALLEST_NORMAL = 2.0**-1022
pytestmark = pytest.mark.usefixtures("variant")


@functools.cache
def points(low, high, n=300):
    """Points of [low, high]: uniform, near 0 on a log scale, and the ends; the length is odd."""
    rng = np.random.default_rng(0)
    small = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-20, 1, n)
    x = np.concatenate([rng.uniform(low, high, n), small, [low, high, 0.0]])
    return x[(x >= low) & (x <= high)]


@functools.cache
def truth(name, low, high):
    return [getattr(oracle, name)(x) for x in points(low, high)]


def relative_error(got, exact):
    return np.array([float(abs(g / e - 1)) for g, e in zip(got.tolist(), exact, strict=True)])


@pytest.mark.parametrize(("low", "high"), [(-6.0, 6.0), (-37.0, 0.0)])
def test_ndtr(low, high):
    exact = [oracle.tail(-x) for x in points(low, high)]
    assert relative_error(normal.ndtr(points(low, high)), exact).max() <= 8 * EPS


@pytest.mark.parametrize(("low", "high"), [(-1e8, 0.0), (-1e3, 37.0), (-6.0, 6.0), (20.0, 37.4)])
def test_log_ndtr(low, high):
    got = normal.log_ndtr(points(low, high))
    assert relative_error(got, truth("log_ndtr", low, high)).max() <= 1e-14


def test_log_ndtr_where_its_value_is_subnormal():
    x = np.linspace(37.4, 40.0, 30)
    exact = np.array([float(oracle.log_ndtr(value)) for value in x])
    np.testing.assert_allclose(normal.log_ndtr(x), exact, rtol=0, atol=SMALLEST_NORMAL)


@pytest.mark.parametrize(("low", "high"), [(-26.6, 30.0), (0.0, 1e9)])
def test_erfcx(low, high):
    got = normal.erfcx(points(low, high))
    assert relative_error(got, truth("erfcx", low, high)).max() <= 8 * EPS


@pytest.mark.parametrize("function", ["ndtr", "log_ndtr", "erfcx"])
def test_special_values_are_those_of_scipy(function):
    x = np.array([-np.inf, np.inf, np.nan, 0.0, -0.0, -1e200, 1e200, -40.0, 40.0])
    got = getattr(normal, function)(x)
    np.testing.assert_allclose(got, getattr(special, function)(x), rtol=1e-13, atol=1e-299)


@pytest.fixture(scope="module")
def probabilities():
    rng = np.random.default_rng(1)
    near_half = 0.5 + rng.choice([-1, 1], 200) * 10.0 ** rng.uniform(-16, -1, 200)
    tails = 10.0 ** rng.uniform(-6, 0, 1000)
    edges = np.nextafter([0.075, 0.925, np.exp(-25)], 1) - [[0], [1e-16], [-1e-16]]
    return np.concatenate(
        [rng.random(2000), tails, 1 - tails, near_half, 10.0 ** rng.uniform(-307, 0, 300), edges.ravel()]
    )


def test_ndtri_inverts_phi(probabilities):
    """8 eps of the smaller tail for |x| <= 4; further out (8 + x²) eps.

    8 eps everywhere cannot be had: neighbouring doubles near x are up to eps x apart, Phi's relative
    slope is about x, so that rounding x alone costs up to x² eps / 2: 8 eps at x = 4, 340 at x = 26.
    """
    x = normal.ndtri(probabilities)
    for value, u in zip(x.tolist(), probabilities.tolist(), strict=True):
        smaller = min(u, 1 - u)
        allowed = 8 if abs(value) <= 4 else 8 + value**2
        assert abs(oracle.tail(abs(value)) - smaller) <= allowed * EPS * smaller, u
        assert (value > 0) == (u > 0.5)


def test_ndtri_at_and_beyond_the_ends():
    got = normal.ndtri([0.0, 1.0, 0.5, -0.1, 1.1, np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(got, [-np.inf, np.inf, 0.0, *[np.nan] * 5])
    assert -38.5 < normal.ndtri(5e-324) < normal.ndtri(SMALLEST_NORMAL) < -37.5


def intervals(n=250):
    """Intervals of every kind: around 0, aside, one-sided, of widths 1e-14 to 1e4."""
    rng = np.random.default_rng(2)
    a = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-3, 4, n)
    b = a + 10.0 ** rng.uniform(-14, 4, n)
    mean, sd = rng.random(n), 10.0 ** rng.uniform(-3, 4, n)
    a, b = np.concatenate([a, -mean / sd, a[:20]]), np.concatenate([b, (1 - mean) / sd, np.full(20, np.inf)])
    return np.stack([np.concatenate([a, -b]), np.concatenate([b, -a])])


@functools.cache
def log_masses():
    return [oracle.log_mass(a, b) for a, b in intervals().T if a < b]


def test_log_mass():
    a, b = intervals()
    a, b = a[a < b], b[a < b]
    exact = np.array(log_masses(), dtype=np.float64)
    error = np.abs(normal.log_mass(a, b) - exact) / np.maximum(1, np.abs(exact))
    assert error.max() <= 1e-13


def test_log_mass_of_nothing_and_of_everything():
    got = normal.log_mass([-np.inf, 1.0, -np.inf, 0.0], [np.inf, 1.0, 0.0, np.inf])
    np.testing.assert_allclose(got, [0.0, -np.inf, -np.log(2), -np.log(2)], rtol=1e-15)


@given(
    st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=20),
    st.floats(0, 1),
    st.floats(1e-3, 10.0),
)
def test_truncated_inverts_the_truncated_distribution(u, mean, sd):
    a, b = -mean / sd, (1 - mean) / sd
    x = normal.truncated(u, a, b)
    assert np.all((a <= x) & (x <= b))
    whole = oracle.mass(a, b)
    for value, quantile in zip(x.tolist(), u, strict=True):
        # 1 - u decides above the middle; its rounding and that of x are a few eps of the mass.
        assert abs(oracle.mass(a, value) / whole - quantile) <= 64 * EPS * max(1.0, sd)


def test_truncated_keeps_the_digits_of_both_tails():
    u = np.array([1e-280, 1e-12, 0.3, 0.7])
    np.testing.assert_allclose(normal.truncated(u, -40.0, 40.0), special.ndtri(u), rtol=1e-14)
    near_the_end = normal.truncated(1 - u[:2], -40.0, 0.0)
    np.testing.assert_allclose(near_the_end, -u[:2] * np.sqrt(np.pi / 2), rtol=1e-3, atol=4 * EPS)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 17])
def test_a_value_does_not_depend_on_its_neighbours(n):
    u = np.linspace(1e-13, 1 - 1e-13, n)
    for function in (normal.ndtri, normal.ndtr, normal.log_ndtr, normal.erfcx):
        whole = function(u)
        assert whole.tolist() == [float(function(value)) for value in u]


def test_arrays_of_any_shape_and_strides_broadcast():
    a = np.broadcast_to(np.linspace(-3, -1, 6)[::2], (2, 3))
    got = normal.log_mass(a, [[0.5], [1.5]])
    want = [[normal.log_mass(low, high).item() for low in a[0]] for high in (0.5, 1.5)]
    assert got.tolist() == want
    frozen = np.ones(3)
    frozen.flags.writeable = False
    assert normal.ndtr(frozen).shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normal.log_mass(1.0, 0.0), "a <= b"),
        (lambda: normal.log_mass(np.nan, 0.0), "NaN"),
        (lambda: normal.truncated(0.5, 1.0, 2.0), "a <= 0 <= b"),
        (lambda: normal.truncated(1.5, -1.0, 2.0), "u must be in"),
        (lambda: normal.truncated(np.nan, -1.0, 2.0), "u must be in"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
