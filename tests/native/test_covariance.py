"""Covariances on both backends and every SIMD level, against ``oracles.gaussian_process``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.layouts import build, categorical, continuous, irregular, regular
from oracles import gaussian_process as oracle

from hpo_core import native
from hpo_core.errors import ArgumentError
from hpo_core.layout import Kind, Layout
from hpo_core.native import _backend, covariance
from hpo_core.native.domain import Domain, random_draws

pytestmark = pytest.mark.usefixtures("variant")

KINDS = [continuous(), continuous(), regular(5), irregular(0.5, 0.2, 0.3), categorical(2), categorical(4)]
SIZES = [(0, 0), (0, 5), (5, 0), (1, 1), (9, 1), (3, 7), (17, 33), (66, 97)]
seeds = st.integers(0, 2**32 - 1)


def random_layout(rng, max_groups=4):
    """Up to 4 groups whose conditions read numbers of earlier groups, parameters in any order."""
    n_groups = int(rng.integers(1, max_groups + 1))
    groups = [0, *rng.permutation([*range(1, n_groups), *rng.integers(n_groups, size=rng.integers(6))])]
    parameters = [continuous(), *(KINDS[k] for k in rng.integers(len(KINDS), size=len(groups) - 1))]
    conditions = []
    for g in range(1, n_groups):
        readable = [i for i, p in enumerate(parameters) if groups[i] < g and p.kind == "continuous"]
        conditions.append(("lt", ("value", int(rng.choice(readable))), rng.uniform(0.3, 0.9)))
    return build(*parameters, groups=tuple(int(g) for g in groups), conditions=tuple(conditions))


@dataclass
class Case:
    """One kernel on both sides, and points of its layout."""

    layout: Layout
    lengthscale: np.ndarray
    correlation: np.ndarray
    rng: np.random.Generator

    @classmethod
    def random(cls, seed, spread=0.5):
        rng = np.random.default_rng(seed)
        layout = random_layout(rng)
        lengthscale = np.exp(spread * rng.normal(size=layout.size))
        return cls(layout, lengthscale, rng.uniform(0.05, 0.95, layout.n_groups), rng)

    @property
    def numeric(self):
        return self.layout.kinds != Kind.CATEGORICAL

    @property
    def kernel(self):
        structure = covariance.Structure(self.layout)
        return covariance.Kernel(structure, self.lengthscale, self.correlation)

    def points(self, n):
        """From the prior, a few of them twice."""
        x = random_draws(Domain(self.layout), int(self.rng.integers(2**32)), 0, 0, n)
        twice = np.where(self.rng.random(n) < 0.1, self.rng.integers(max(n, 1), size=n), np.arange(n))
        return np.ascontiguousarray(x[:, twice])

    def exact(self, a, b, *, lengthscale=None, correlation=None):
        return oracle.cross(
            ["numeric" if numeric else "categorical" for numeric in self.numeric],
            self.layout.group.tolist(),
            self.lengthscale if lengthscale is None else lengthscale,
            self.correlation if correlation is None else correlation,
            a,
            b,
        )

    def symmetric(self, n):
        w = self.rng.normal(size=(n, n))
        return w + w.T


def derivative(f, at):
    """f'(at) by central differences, extrapolated twice: the error is of order step^6."""
    step = 2.0**-8
    d = [(f(at + h) - f(at - h)) / (2.0 * h) for h in (step, step / 2, step / 4)]
    once = [(4.0 * d[1] - d[0]) / 3.0, (4.0 * d[2] - d[1]) / 3.0]
    return (16.0 * once[1] - once[0]) / 15.0


def changed(array, where, value):
    out = array.copy()
    out[where] = value
    return out


def everything(kernel, x, y, rng):
    """What all functions give for two sets of points."""
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, y)
    n, m = x.shape[1], y.shape[1]
    weight = rng.normal(size=(n, n))
    return [
        covariance.matrix(kernel, a),
        covariance.cross(kernel, a, b),
        covariance.cross_mean(kernel, a, rng.normal(size=(3, n)), b),
        *covariance.slopes(kernel, a, weight + weight.T),
        covariance.cross_slopes(kernel, a, b, rng.normal(size=(n, m))),
    ]


@settings(max_examples=25)
@given(seeds, st.integers(0, 20), st.integers(0, 40))
def test_values_are_the_definition(seed, n, m):
    case = Case.random(seed)
    kernel, x, y = case.kernel, case.points(n), case.points(m)
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, y)
    np.testing.assert_allclose(covariance.matrix(kernel, a), case.exact(x, x), rtol=1e-12)
    exact = case.exact(x, y)
    np.testing.assert_allclose(covariance.cross(kernel, a, b), exact, rtol=1e-12)
    for k in (0, 1, 3, 6):
        weights = case.rng.normal(size=(k, n))
        mean = covariance.cross_mean(kernel, a, weights, b)
        np.testing.assert_allclose(mean, weights @ exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 8, 31, 32, 33, 67])
def test_a_matrix_is_symmetric_with_unit_diagonal(n):
    case = Case.random(n)
    x = case.points(n)
    x[:, -1] = x[:, 0]
    matrix = covariance.matrix(case.kernel, covariance.inputs(case.kernel, x))
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(matrix.diagonal(), 1.0)
    assert matrix[0, -1] == 1.0  # equal points


def test_gram_matrices_are_positive_semidefinite():
    rng = np.random.default_rng(11)
    for trial in range(1000):
        if trial % 20 == 0:
            case = Case.random(trial)
        case.lengthscale = np.exp(rng.uniform(np.log(0.05), np.log(20.0), case.layout.size))
        case.correlation = rng.uniform(0.0, 1.0, case.layout.n_groups)
        n = int(rng.integers(2, 30))
        kernel = case.kernel
        matrix = covariance.matrix(kernel, covariance.inputs(kernel, case.points(n)))
        assert np.linalg.eigvalsh(matrix)[0] >= -n * np.finfo(float).eps * n


def test_far_points_are_uncorrelated_and_irrelevant_parameters_ignored():
    case = Case.random(3)
    x = case.points(20)
    case.lengthscale = np.full(case.layout.size, 1e-12)
    for result in everything(case.kernel, x, case.points(9), case.rng):
        assert np.isfinite(result).all()
    case.lengthscale, case.correlation = np.full(case.layout.size, np.inf), np.ones(case.layout.n_groups)
    np.testing.assert_array_equal(covariance.matrix(case.kernel, covariance.inputs(case.kernel, x)), 1.0)


def test_near_points_keep_their_digits():
    layout, t = build(continuous()), 2.0**-30
    kernel = covariance.Kernel(covariance.Structure(layout), np.array([0.5]), np.ones(1))
    a, b = (covariance.inputs(kernel, np.array([[value]])) for value in (0.75, 0.75 + t))
    slope = covariance.cross_slopes(kernel, a, b, np.ones((1, 1)))
    s = np.sqrt(5.0) * t / 0.5
    np.testing.assert_allclose(slope, -5.0 / 3.0 * t / 0.25 * (1.0 + s) * np.exp(-s), rtol=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_slopes_are_central_differences_of_the_definition(seed):
    case = Case.random(seed)
    if seed == 5:  # k_g of 0 and of 1: nothing is divided by them
        case.correlation = np.arange(case.layout.n_groups) % 2.0
    x, kernel = case.points(11), case.kernel
    weight = case.symmetric(11)

    def of_lengthscale(i):
        return lambda t: (
            np.sum(weight * case.exact(x, x, lengthscale=changed(case.lengthscale, i, np.exp(t)))) / 2
        )

    def of_correlation(g):
        return lambda c: np.sum(weight * case.exact(x, x, correlation=changed(case.correlation, g, c))) / 2

    by_l, by_c = covariance.slopes(kernel, covariance.inputs(kernel, x), weight)
    exact_l = [derivative(of_lengthscale(i), np.log(case.lengthscale[i])) for i in range(case.layout.size)]
    exact_c = [derivative(of_correlation(g), case.correlation[g]) for g in range(case.layout.n_groups)]
    np.testing.assert_allclose(by_l, exact_l, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(by_c, exact_c, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_cross_slopes_are_central_differences_of_the_definition(seed):
    case = Case.random(100 + seed)
    x, y, kernel = case.points(13), case.points(5), case.kernel
    weight = case.rng.normal(size=(13, 5))
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, y)
    exact = np.zeros_like(y)
    for k, j in zip(*np.nonzero(np.isfinite(y) & case.numeric[:, None]), strict=True):
        column = y[:, j : j + 1]
        exact[k, j] = derivative(
            lambda t, k=k, j=j, column=column: weight[:, j] @ case.exact(x, changed(column, (k, 0), t))[:, 0],
            y[k, j],
        )
    np.testing.assert_allclose(covariance.cross_slopes(kernel, a, b, weight), exact, rtol=1e-7, atol=1e-9)


def test_only_the_lower_triangle_of_the_weight_is_read():
    case = Case.random(8)
    a, weight = covariance.inputs(case.kernel, case.points(37)), case.symmetric(37)
    expected = covariance.slopes(case.kernel, a, weight)
    weight[np.triu_indices(37)] = np.nan
    for got, want in zip(covariance.slopes(case.kernel, a, weight), expected, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_each_column_depends_on_its_point_only(n, m):
    case = Case.random(7 * n + m)
    x, y, kernel = case.points(n), case.points(m), case.kernel
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, y)
    weight, weights = case.rng.normal(size=(n, m)), case.rng.normal(size=(2, n))
    matrix, mean = covariance.cross(kernel, a, b), covariance.cross_mean(kernel, a, weights, b)
    slopes = covariance.cross_slopes(kernel, a, b, weight)
    assert (matrix.shape, mean.shape, slopes.shape) == ((n, m), (2, m), y.shape)
    for j in range(m):
        one = covariance.inputs(kernel, y[:, [j]])
        np.testing.assert_array_equal(covariance.cross(kernel, a, one), matrix[:, [j]])
        np.testing.assert_array_equal(covariance.cross_mean(kernel, a, weights, one), mean[:, [j]])
        np.testing.assert_array_equal(covariance.cross_slopes(kernel, a, one, weight[:, [j]]), slopes[:, [j]])


@pytest.mark.parametrize("n", [0, 1, 2, 33, 66])
def test_a_matrix_is_its_own_cross_matrix(n):
    case = Case.random(n + 50)
    a = covariance.inputs(case.kernel, case.points(n))
    np.testing.assert_array_equal(covariance.matrix(case.kernel, a), covariance.cross(case.kernel, a, a))


def test_permuted_points_permute_the_results():
    case = Case.random(21)
    x, weight, order = case.points(45), case.symmetric(45), case.rng.permutation(45)
    kernel = case.kernel
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, x[:, order])
    square = np.ix_(order, order)
    np.testing.assert_array_equal(covariance.matrix(kernel, b), covariance.matrix(kernel, a)[square])
    for got, want in zip(
        covariance.slopes(kernel, b, weight[square]), covariance.slopes(kernel, a, weight), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def test_results_do_not_depend_on_threads(monkeypatch):
    case = Case.random(22)
    x, y, kernel = case.points(301), case.points(290), case.kernel
    alone = everything(kernel, x, y, np.random.default_rng(0))
    monkeypatch.setattr(covariance, "PAIRS_PER_THREAD", 64)
    before = native.get_num_threads()
    try:
        native.set_num_threads(3)
        shared = everything(kernel, x, y, np.random.default_rng(0))
    finally:
        native.set_num_threads(before)
    for got, want in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("seed", range(4))
def test_backends_agree(seed, variant):
    pytest.importorskip("numba")
    case = Case.random(seed + 200)
    x, y = case.points(61), case.points(83)
    got = everything(case.kernel, x, y, np.random.default_rng(0))
    other = "native" if variant == "numba" and native.simd_levels() else "numba"
    with _backend.use(other):
        expected = everything(case.kernel, x, y, np.random.default_rng(0))
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10)


def test_inputs_may_be_read_only():
    case = Case.random(31)
    x, y = case.points(12), case.points(10)
    expected = everything(case.kernel, x, y, np.random.default_rng(0))
    kernel = case.kernel
    a, b = covariance.inputs(kernel, x), covariance.inputs(kernel, y)
    weight, cross_weight, weights = case.symmetric(12), np.ones((12, 10)), np.ones((2, 12))
    for array in (x, y, *a, *b, case.lengthscale, case.correlation, weight, cross_weight, weights):
        array.flags.writeable = False
    for got, want in zip(everything(case.kernel, x, y, np.random.default_rng(0)), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    covariance.matrix(kernel, a)
    covariance.slopes(kernel, a, weight)
    covariance.cross_mean(kernel, a, weights, b)
    covariance.cross_slopes(kernel, a, b, cross_weight)


def test_views_may_receive_matrix_or_weight():
    case = Case.random(32)
    x, kernel = case.points(19), case.kernel
    a = covariance.inputs(kernel, x)
    for function, arguments in ((covariance.matrix, (a,)), (covariance.cross, (a, a))):
        buffer = np.full((25, 30), -7.0)
        view = buffer[2:21, 3:22]
        assert function(kernel, *arguments, out=view) is view
        np.testing.assert_array_equal(view, function(kernel, *arguments))
        view[:] = -7.0
        np.testing.assert_array_equal(buffer, -7.0)
    wide = case.rng.normal(size=(19, 40))
    for view in (wide[:, 5:24], wide[:, 2:40:2]):
        for got, want in zip(
            covariance.slopes(kernel, a, view), covariance.slopes(kernel, a, view.copy()), strict=True
        ):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(
            covariance.cross_slopes(kernel, a, a, view), covariance.cross_slopes(kernel, a, a, view.copy())
        )


def test_inactive_values_are_absent():
    layout = build(
        continuous(), continuous(), categorical(3), groups=(0, 1, 1), conditions=(("lt", ("value", 0), 0.5),)
    )
    kernel = covariance.Kernel(covariance.Structure(layout), np.full(3, 0.7), np.array([1.0, 0.3]))
    x = np.array([[0.1, 0.1, 0.9, 0.9], [0.2, 0.2, np.nan, np.nan], [2.0, 1.0, np.nan, np.nan]])
    scaled = covariance.inputs(kernel, x)
    assert all(np.isfinite(array).all() for array in scaled)
    np.testing.assert_array_equal(scaled.active, [[1, 1, 1, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(scaled.rows, scaled.z.T)
    apart = oracle.matern52(0.8 / 0.7)
    np.testing.assert_allclose(
        covariance.matrix(kernel, scaled)[2], [0.3 * apart, 0.3 * apart, 1.0, 1.0], rtol=1e-14
    )
    for result in everything(kernel, x, x, np.random.default_rng(0)):
        assert np.isfinite(result).all()


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_value_missing_in_an_active_group_is_named(row):
    layout = build(
        continuous(), continuous(), categorical(3), groups=(0, 1, 1), conditions=(("lt", ("value", 0), 0.5),)
    )
    kernel = covariance.Kernel(covariance.Structure(layout), np.ones(3), np.ones(2))
    x = np.full((3, 5), 0.25)
    x[row, 3] = np.nan
    with pytest.raises(ArgumentError, match="got NaN in group 0 or in some columns"):
        covariance.inputs(kernel, x)


def test_bad_arguments_are_named():
    structure = covariance.Structure(build(continuous(), categorical(3)))
    one, two = np.ones(1), np.ones(2)
    kernel = covariance.Kernel(structure, two, one)
    a = covariance.inputs(kernel, np.zeros((2, 4)))
    other = covariance.Kernel(covariance.Structure(build(continuous())), one, one)
    foreign = covariance.inputs(other, np.zeros((1, 4)))
    grouped = covariance.Structure(
        build(continuous(), continuous(), groups=(0, 1), conditions=(("lt", ("value", 0), 0.5),))
    )
    calls = {
        "lengthscale": [
            (covariance.Kernel, structure, lengthscale, one)
            for lengthscale in (one, -two, 0 * two, two * np.nan, np.ones((2, 1)))
        ],
        "correlation": [
            (covariance.Kernel, structure, two, two),
            *((covariance.Kernel, grouped, two, np.array([0.0, c])) for c in (-0.1, 1.1, np.nan)),
        ],
        "x must have shape": [
            (covariance.inputs, kernel, np.zeros(shape)) for shape in ((4, 2), (2,), (1, 2, 4))
        ],
        "a must have .*, got 1 in": [
            (covariance.matrix, kernel, foreign),
            (covariance.slopes, kernel, foreign, two),
        ],
        "b must have .*, got 1 in": [(covariance.cross, kernel, a, foreign)],
        "weights must have shape": [
            (covariance.cross_mean, kernel, a, np.ones(shape), a) for shape in ((4,), (1, 5))
        ],
        "weight must have shape": [
            (covariance.slopes, kernel, a, np.ones((4, 5))),
            (covariance.cross_slopes, kernel, a, a, np.ones(4)),
        ],
        "out must be": [
            (covariance.matrix, kernel, a, np.empty((4, 5))),
            (covariance.matrix, kernel, a, np.empty((4, 4), np.float32)),
            (covariance.cross, kernel, a, a, np.empty((4, 4)).T),
        ],
    }
    for message, each in calls.items():
        for function, *arguments in each:
            with pytest.raises(ArgumentError, match=message):
                function(*arguments)
