"""Steps of many starts on both backends, against one start written out and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.climb import climb as climb_one
from scipy import optimize

from hpo_core.errors import ArgumentError
from hpo_core.gp.maximize import climb
from hpo_core.native.climb import Climb

pytestmark = pytest.mark.usefixtures("backend")

P = 5
SCALE = np.array([0.2, 1.0, 0.5, 3.0, 0.1])
LOW, HIGH = np.full(P, -0.5), np.array([1.0, 0.4, 1.0, 1.0, 1.0])


def bumps(z):
    """Two hills and a slope: concave in places only. Values (m,) and gradients (p, m) at z (p, m)."""
    value, gradient = 0.1 * z.sum(axis=0), np.full(z.shape, 0.1)
    for centre, width in ((0.3, 0.6), (0.8, 0.2)):
        hill = np.exp(-0.5 * ((z - centre) ** 2).sum(axis=0) / width**2)
        value, gradient = value + hill, gradient - hill * (z - centre) / width**2
    return value, gradient


def bumps_at(z):
    value, gradient = bumps(z[:, None])
    return value[0], gradient[:, 0]


def starts(m, seed=0):
    return np.random.default_rng(seed).uniform(LOW[:, None], HIGH[:, None], (P, m))


def test_starts_climb_independently():
    x, n_steps = starts(7), 12
    climb = Climb(np.arange(P), SCALE, LOW, HIGH, x, *bumps(x))
    steps = [climb_one(bumps_at, x[:, j], SCALE, LOW, HIGH, n_steps) for j in range(7)]
    shortened = 0
    for k in range(n_steps):
        tried = climb.propose().copy()
        climb.accept(*bumps(tried))
        reached = climb.ends(np.ones(7, bool))
        shortened += int((tried != reached).any(axis=0).sum())
        for j, (expected, arrived) in enumerate(steps):
            assert tried[:, j] == pytest.approx(expected[k], abs=1e-10)
            assert reached[:, j] == pytest.approx(arrived[k], abs=1e-10)
    assert shortened > 0  # some steps were too long


def test_gain_is_the_first_order_promise():
    x = starts(6, seed=1)
    value, slope = bumps(x)
    climb = Climb(np.arange(P), SCALE, LOW - 9, HIGH + 9, x, value, slope)
    promised = (slope * (climb.propose() - x)).sum(axis=0)
    assert climb.accept(np.full(6, -np.inf), slope) == pytest.approx(0.3 * promised, rel=1e-12)
    assert climb.ends(np.ones(6, bool)) == pytest.approx(x, abs=0)


def test_climbs_end_where_scipy_ends_on_a_concave_function():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(P, P))
    hessian, centre = root @ root.T + np.eye(P), rng.uniform(-1.0, 2.0, P)  # partly outside of the box

    def hill(z):
        off = z - centre[:, None]
        return -0.5 * (off * (hessian @ off)).sum(axis=0), -hessian @ off

    def below(z):
        value, slope = hill(z[:, None])
        return -value[0], -slope[:, 0]

    best = optimize.minimize(below, np.zeros(P), jac=True, bounds=list(zip(LOW, HIGH, strict=True)))
    ends = climb(hill, starts(9), np.arange(P), np.ones(P), LOW, HIGH)
    assert (best.x <= LOW).any() or (best.x >= HIGH).any()
    assert (hill(ends)[0] >= -best.fun - 1e-3).all()
    assert (ends >= LOW[:, None]).all()
    assert (ends <= HIGH[:, None]).all()


def test_only_active_rows_move():
    def slopes(x):
        value, gradient = bumps(np.nan_to_num(x))
        return value, np.where(np.isnan(x), 0.0, gradient)

    x = starts(8)
    x[1, ::2] = np.nan
    rows = np.array([1, 3, 4])
    ends = climb(slopes, x, rows, SCALE[rows], LOW[rows], HIGH[rows])
    assert np.array_equal(ends[[0, 2]], x[[0, 2]])
    assert np.array_equal(np.isnan(ends), np.isnan(x))
    assert (slopes(ends)[0] > slopes(x)[0]).all()


def test_a_start_climbs_alike_alone_and_in_company():
    x, options = starts(9), (np.arange(P), SCALE, LOW, HIGH)
    together = climb(bumps, x, *options)
    for j in range(9):
        alone = climb(bumps, x[:, [j]], *options)
        assert np.array_equal(alone[:, 0], together[:, j])


def test_nothing_is_gained_on_a_plain():
    x = starts(3)
    ends = climb(lambda z: (np.zeros(z.shape[1]), 0 * z), x, np.arange(P), SCALE, LOW, HIGH)
    assert np.array_equal(ends, x)


def test_nan_is_not_accepted():
    x = starts(3)
    climb = Climb(np.arange(P), SCALE, LOW, HIGH, x, *bumps(x))
    climb.propose()
    climb.accept(np.full(3, np.nan), np.full((P, 3), np.nan))
    assert np.array_equal(climb.ends(np.ones(3, bool)), x)


@pytest.mark.parametrize(
    ("scale", "value", "slope"),
    [(SCALE[:2], np.zeros(3), np.zeros((P, 3))), (SCALE, np.zeros(2), np.zeros((P, 3)))],
)
def test_shapes_that_do_not_fit_are_refused(scale, value, slope):
    low, high = LOW[: len(scale)], HIGH[: len(scale)]
    with pytest.raises(ArgumentError, match="must have shapes"):
        Climb(np.arange(P), scale, low, high, starts(3), value, slope)
