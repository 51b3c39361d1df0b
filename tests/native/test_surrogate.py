"""A fit's objective and a climb of log EI against their pieces, on both backends and every SIMD level."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import SHAPES, hyperparameters, layout, points, posterior, targets

from hpo_core.errors import ArgumentError
from hpo_core.gp.criteria import LogEI
from hpo_core.gp.maximize import MAX_STEPS, TOLERANCE, climb
from hpo_core.layout import Kind
from hpo_core.native import covariance
from hpo_core.native.surrogate import likelihood

pytestmark = pytest.mark.usefixtures("variant")
every_shape = pytest.mark.parametrize("shape", SHAPES)


def data(shape, n, seed=0):
    rng = np.random.default_rng(seed)
    hyper, x = hyperparameters(rng, shape), points(rng, shape, n)
    kernel = covariance.Kernel(covariance.Structure(layout(shape)), hyper.lengthscale, hyper.correlation)
    return kernel, x, targets(rng, x)


@every_shape
@pytest.mark.parametrize("n", [2, 7, 33, 130])
def test_a_likelihood_is_that_of_dense_matrices(shape, n):
    kernel, x, y = data(shape, n)
    noise, w = 0.01, np.full((n, n), np.nan)
    found = likelihood(kernel, x, y, noise, w)
    inputs = covariance.inputs(kernel, x)
    c = covariance.matrix(kernel, inputs) + noise * np.eye(n)
    inverse = np.linalg.inv(c)
    rest = y - inverse.sum(axis=0) @ y / inverse.sum()
    alpha = inverse @ rest
    s2 = rest @ alpha / n
    value = 0.5 * (n * (np.log(2.0 * np.pi * s2) + 1.0) + np.linalg.slogdet(c)[1])
    expected = inverse - np.outer(alpha, alpha) / s2
    size = np.abs(expected).max()
    assert found.value == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(np.tril(w), np.tril(expected), atol=1e-9 * size)
    by_lengthscale, by_correlation = covariance.slopes(kernel, inputs, expected)
    np.testing.assert_allclose(found.by_log_lengthscale, by_lengthscale, atol=1e-8 * size)
    np.testing.assert_allclose(found.by_correlation, by_correlation, atol=1e-8 * size)
    assert found.by_log_noise == pytest.approx(0.5 * noise * expected.trace(), abs=1e-8 * size)


def test_without_a_factor_a_likelihood_is_infinite():
    kernel, x, y = data("flat", 9)
    assert likelihood(kernel, x[:, [0] * 9].copy(), y, -0.1, np.empty((9, 9))).value == np.inf


@every_shape
@pytest.mark.parametrize(("n", "m"), [(5, 1), (40, 4), (130, 19)])
def test_a_climb_ends_where_one_of_the_criterion_does(shape, n, m):
    rng = np.random.default_rng(n)
    criterion = LogEI(posterior(rng, shape, n), 0.0)
    starts, moved = points(rng, shape, m), np.flatnonzero(layout(shape).kinds == Kind.CONTINUOUS)
    before = starts.copy()
    box = tuple(np.full(len(moved), bound) for bound in (0.3, 0.1, 0.9))
    options = {"max_steps": MAX_STEPS, "tolerance": TOLERANCE}
    ends = criterion.climb(starts, moved, box, **options)
    expected = climb(criterion.gradient, starts, moved, *box)
    assert np.array_equal(starts, before, equal_nan=True)
    assert np.array_equal(np.isnan(ends), np.isnan(expected))
    # Rounding may end a climb a step earlier, on a plateau.
    np.testing.assert_allclose(criterion.value(ends), criterion.value(expected), atol=1e-3)
    np.testing.assert_allclose(ends, expected, atol=1e-2)
    assert np.all(criterion.value(ends) >= criterion.value(starts))
    assert np.nanmax(np.abs(ends - starts)[moved]) > 1e-3
    alone = [criterion.climb(starts[:, [j]].copy(), moved, box, **options) for j in range(m)]
    np.testing.assert_allclose(np.concatenate(alone, axis=1), ends, atol=1e-9)


def test_a_point_that_is_inactive_in_part_and_wrong_shapes_are_refused():
    kernel, x, y = data("conditional", 6)
    partly = x.copy()
    partly[0, 2] = np.nan
    with pytest.raises(ArgumentError, match="x must be NaN in all columns of an inactive group"):
        likelihood(kernel, partly, y, 0.1, np.empty((6, 6)))
    with pytest.raises(ArgumentError, match="x, y and w must have shapes"):
        likelihood(kernel, x[:, :5], y, 0.1, np.empty((6, 6)))
    criterion = LogEI(posterior(np.random.default_rng(0), "flat", 6), 0.0)
    with pytest.raises(ArgumentError, match="x must have shape"):
        criterion.climb(np.empty((3, 0)), np.arange(3), (np.ones(3),) * 3, max_steps=3, tolerance=0.1)
