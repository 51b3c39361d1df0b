"""exp and log of every SIMD level, against mpmath; loads and stores of incomplete vectors."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from hpo_core import native

pytestmark = pytest.mark.skipif(not native.simd_levels(), reason="the extensions are not compiled")

# A quiet NaN whose payload fills the bits that exp shifts into the exponent.
NAN_WITH_PAYLOAD = np.array([0x7FF8000000000FFF], dtype=np.uint64).view(np.float64)[0]


@pytest.fixture(params=native.simd_levels(), autouse=True)
def level(request):
    with native.simd_level(request.param):
        yield request.param


def evaluate(name, x):
    from hpo_core.native import _normal

    out = np.empty(len(x))
    getattr(_normal, name)(np.ascontiguousarray(x, dtype=np.float64), out)
    return out


def worst_ulps(got, x, function):
    with mpmath.workdps(40):
        exact = [function(mpmath.mpf(value)) for value in x.tolist()]
        return max(
            float(abs(g - e) / mpmath.mpf(float(np.spacing(abs(float(e))))))
            for g, e in zip(got.tolist(), exact, strict=True)
        )


def test_exp_is_within_two_ulps():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-708, 709.7, 2001), rng.uniform(-1, 1, 1000), [-708, 709.78, 0.0, -1e-300]]
    )
    assert worst_ulps(evaluate("_exp", x), x, mpmath.exp) <= 1.5


def test_exp_at_its_ends():
    x = np.array([-np.inf, -1e308, -745.0, -708.001, -0.0, 709.79, 1e308, np.inf, np.nan, NAN_WITH_PAYLOAD])
    expected = [0, 0, 0, 0, 1, np.inf, np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(evaluate("_exp", x), expected)


def test_log_is_within_two_ulps():
    rng = np.random.default_rng(1)
    near_one = 1 + rng.choice([-1, 1], 1000) * 10 ** rng.uniform(-15, -0.5, 1000)
    x = np.concatenate(
        [np.exp(rng.uniform(-708, 709, 2001)), near_one, [2.0**-1022, np.finfo(float).max, 0.5]]
    )
    assert worst_ulps(evaluate("_log", x), x, mpmath.log) <= 1.5


def test_log_at_its_ends():
    x = np.array([0.0, -0.0, 5e-324, np.inf, -1.0, -1e-310, -np.inf, np.nan, 1.0])
    expected = [-np.inf, -np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan, np.nan, 0.0]
    np.testing.assert_array_equal(evaluate("_log", x), expected)


@pytest.mark.parametrize("n", range(1, 18))
def test_incomplete_vectors_keep_to_their_elements(n):
    from hpo_core.native import _normal

    x, out = np.full(n + 16, np.nan), np.full(n + 16, -7.0)
    x[8 : 8 + n] = np.linspace(-3, 3, n)
    _normal._exp(x[8 : 8 + n], out[8 : 8 + n])
    np.testing.assert_allclose(out[8 : 8 + n], np.exp(x[8 : 8 + n]), rtol=1e-15)
    assert np.all(out[:8] == -7.0)
    assert np.all(out[8 + n :] == -7.0)
