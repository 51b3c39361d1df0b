"""The model of failures against quadrature, central differences, itself, and what it has to learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gp.problems import SHAPES, central_differences, hyperparameters, layout, points
from oracles import feasibility as oracle

from hpo_core.gp import feasibility
from hpo_core.gp.feasibility import FailureHyperparameters, Feasibility, fit_failures, tilted
from hpo_core.layout import Kind
from hpo_core.native.covariance import Structure

every_shape = pytest.mark.parametrize("shape", SHAPES)


@pytest.fixture
def converged(monkeypatch):
    """Sites that have ended, not almost: gradients of the evidence are exact there."""
    monkeypatch.setattr(feasibility, "TOLERANCE", 1e-11)
    monkeypatch.setattr(feasibility, "MAX_SWEEPS", 500)


def labelled(rng, shape, n, share=0.4):
    """Random points (d, n) of which the ``share`` of smallest sums fails."""
    x = points(rng, shape, n)
    total = np.nansum(x, axis=0)
    return x, total >= np.quantile(total, share)


def model(rng, shape, n, rate=0.02):
    x, ok = labelled(rng, shape, n)
    hyper = FailureHyperparameters(hyperparameters(rng, shape), rate)
    return Feasibility(Structure(layout(shape)), hyper, x, ok)


def fitted(shape, x, ok):
    structure = Structure(layout(shape, len(x)))
    return fit_failures(structure, x, ok)


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 0.3), (-2.0, 9.0), (30.0, 400.0)])
def test_tilted_moments_equal_quadrature(ok, mean, variance):
    rate = 0.05
    found = tilted(np.array([ok]), np.array([mean]), np.array([variance]), rate)
    z, first, second = (oracle.mass(ok, mean, variance, rate, power) for power in range(3))
    tilted_mean = mean + variance * found.slope[0]
    tilted_variance = variance * (1.0 + variance * found.curvature[0])
    assert found.log_mass[0] == pytest.approx(np.log(z), abs=1e-8)
    assert tilted_mean == pytest.approx(first / z, rel=1e-7, abs=1e-7)
    assert tilted_variance == pytest.approx(second / z - (first / z) ** 2, rel=1e-5, abs=1e-6)
    step = 1e-6
    above, below = (oracle.mass(ok, mean, variance, rate + by) for by in (step, -step))
    assert found.by_rate[0] == pytest.approx(np.log(above / below) / (2.0 * step), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("mean", [-1e6, -40.0, 40.0, 1e6])
def test_tilted_moments_are_finite_in_the_tails(mean):
    for rate in feasibility.RATE_BOUNDS:
        found = tilted(np.array([True, False]), np.full(2, mean), np.full(2, 1e-8), rate)
        assert all(np.isfinite(part).all() for part in found)


@every_shape
def test_sites_equal_those_moved_one_by_one(converged, monkeypatch, shape):
    monkeypatch.setattr(feasibility, "SCALE", 2.0)
    ours = model(np.random.default_rng(10), shape, 8)
    level = feasibility.LEVEL * 2.0
    evidence, means = oracle.serial_propagation(ours._k, ours._ok, 0.02, level)
    assert ours.log_evidence == pytest.approx(evidence, abs=1e-6)
    np.testing.assert_allclose(level + ours._k @ ours._b, means, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ok", [(True, True), (True, False), (False, False)])
def test_two_trials_have_nearly_the_posterior_of_quadrature(converged, monkeypatch, ok):
    """At a scale of 2 and an even prior: sharp edges and unlikely labels leave more to be desired."""
    monkeypatch.setattr(feasibility, "SCALE", 2.0)
    monkeypatch.setattr(feasibility, "LEVEL", 0.0)
    x = np.array([[0.2, 0.6]])
    hyper = FailureHyperparameters(hyperparameters(np.random.default_rng(0), "flat", d=1), 0.02)
    ours = Feasibility(Structure(layout("flat", 1)), hyper, x, np.array(ok))
    evidence, means = oracle.two_trials(ours._k, ok, 0.02, 0.0)
    assert ours.log_evidence == pytest.approx(np.log(evidence), abs=0.04)
    np.testing.assert_allclose(ours.latent(x)[0], means, atol=0.04 * np.sqrt(8.0))


@every_shape
def test_gradient_of_the_evidence_equals_central_differences(converged, shape):
    rng = np.random.default_rng(1)
    x, ok = labelled(rng, shape, 15)
    kernel, rate, step = hyperparameters(rng, shape), 0.05, 1e-5

    def evidence(lengthscale, correlation, rate):
        hyper = FailureHyperparameters(
            replace(kernel, lengthscale=lengthscale, correlation=correlation), rate
        )
        return Feasibility(Structure(layout(shape)), hyper, x, ok)

    by_scale, by_correlation, by_rate = evidence(
        kernel.lengthscale, kernel.correlation, rate
    ).evidence_slopes()

    def difference(change):
        return (change(step).log_evidence - change(-step).log_evidence) / (2.0 * step)

    for i in range(len(x)):

        def scaled(by, i=i):
            factor = np.where(np.arange(len(x)) == i, np.exp(by), 1.0)
            return evidence(kernel.lengthscale * factor, kernel.correlation, rate)

        assert by_scale[i] == pytest.approx(difference(scaled), rel=1e-3, abs=1e-4)
    for g in range(1, len(kernel.correlation)):

        def shifted(by, g=g):
            unit = np.arange(len(kernel.correlation)) == g
            return evidence(kernel.lengthscale, kernel.correlation + by * unit, rate)

        assert by_correlation[g] == pytest.approx(difference(shifted), rel=1e-3, abs=1e-4)
    found = difference(lambda by: evidence(kernel.lengthscale, kernel.correlation, rate + by))
    assert by_rate == pytest.approx(found, rel=1e-3, abs=1e-4)


@every_shape
def test_slopes_of_the_weight_equal_central_differences(shape):
    rng = np.random.default_rng(2)
    ours, x = model(rng, shape, 20), points(rng, shape, 30)
    value, slopes = ours.slopes(x)
    np.testing.assert_array_equal(value, ours.log_weight(x))
    expected = np.nan_to_num(central_differences(ours.log_weight, x, 1e-7))
    expected[layout(shape).kinds == Kind.CATEGORICAL] = 0.0
    np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@every_shape
def test_the_bound_is_never_below_the_weight(shape):
    rng = np.random.default_rng(3)
    for n in (1, 4, 30):
        ours, x = model(rng, shape, n), points(rng, shape, 500)
        assert (ours.bound(x) - ours.log_weight(x)).min() > -1e-9
        assert ours.log_weight(x).max() <= 0.0


@every_shape
def test_the_order_of_the_trials_does_not_matter(converged, shape):
    rng = np.random.default_rng(4)
    x, ok = labelled(rng, shape, 25)
    hyper, order = FailureHyperparameters(hyperparameters(rng, shape), 0.02), rng.permutation(25)
    ours, other = (
        Feasibility(Structure(layout(shape)), hyper, np.ascontiguousarray(x[:, rows]), ok[rows])
        for rows in (np.arange(25), order)
    )
    new = points(rng, shape, 50)
    np.testing.assert_allclose(ours.probability(new), other.probability(new), atol=1e-6)


@pytest.mark.parametrize(
    "works",
    [
        lambda x: x[0] + x[1] > 1.0,
        lambda x: np.hypot(x[0] - 0.5, x[1] - 0.5) > 0.3,
        lambda x: np.hypot(x[0] - 0.5, x[1] - 0.5) < 0.35,
    ],
    ids=["half", "outside a disc", "inside a disc"],
)
@pytest.mark.parametrize("lost", [0.0, 0.05])
def test_regions_are_learnt_beside_random_failures(works, lost):
    rng = np.random.default_rng(5)
    x, new = rng.random((2, 100)), rng.random((2, 1000))
    ours = fitted("flat", x, works(x) & (rng.random(100) >= lost))
    assert ((ours.probability(new) > 0.5) == works(new)).mean() > 0.93


@pytest.mark.parametrize("n", [20, 40, 128])
def test_random_failures_repel_nothing(n):
    """Of places all over the space hardly any loses half its weight: only where failures met by chance."""
    lost = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        ours = fitted("flat", rng.random((2, n)), np.arange(n) % 20 > 0)
        lost.append((ours.log_weight(rng.random((2, 1000))) < math.log(0.5)).mean())
        assert ours.hyper.rate < 0.2
    assert np.mean(lost) < 0.02


def test_what_fails_twice_in_one_place_is_no_accident():
    rng = np.random.default_rng(7)
    x, near = rng.random((2, 40)), 0.5 + 0.02 * rng.standard_normal((2, 4))
    x = x[:, np.abs(x - 0.5).max(axis=0) > 0.1]
    both = np.concatenate([x, near], axis=1)
    ours = fitted("flat", both, np.arange(both.shape[1]) < x.shape[1])
    assert ours.probability(np.full((2, 1), 0.5)) < 0.2
    assert ours.probability(x).min() > 0.8


@every_shape
def test_if_all_has_failed_the_likeliest_place_is_far_from_it(shape):
    rng = np.random.default_rng(8)
    x, new = points(rng, shape, 12), points(rng, shape, 200)
    ours = fitted(shape, x, np.zeros(12, np.bool_))
    assert ours.log_weight(x).max() < ours.log_weight(new).max()
    assert np.isfinite(ours.log_weight(new)).all()


@pytest.mark.parametrize("n", [1, 2, 128])
@pytest.mark.parametrize("labels", ["failed", "worked", "both", "alternating"])
def test_one_place_with_any_labels_is_no_numerical_accident(n, labels):
    x = np.full((2, n), 0.25)
    ok = {
        "failed": np.zeros(n),
        "worked": np.ones(n),
        "both": np.arange(n) % 2,
        "alternating": np.arange(n) % 7 > 0,
    }
    ours = fitted("flat", x, ok[labels].astype(np.bool_))
    value, slopes = ours.slopes(np.random.default_rng(9).random((2, 50)))
    assert np.isfinite(value).all()
    assert np.isfinite(slopes).all()


@every_shape
def test_sites_of_other_trials_are_only_where_the_sweeps_begin(converged, shape):
    rng = np.random.default_rng(11)
    x, ok = labelled(rng, shape, 30)
    hyper, structure = FailureHyperparameters(hyperparameters(rng, shape), 0.02), Structure(layout(shape))
    before = Feasibility(structure, hyper, np.ascontiguousarray(x[:, :20]), ok[:20])
    trials = np.arange(5, 30)  # the first five are forgotten, ten are new
    later = np.ascontiguousarray(x[:, trials]), ok[trials]
    start = before.sites.of_others(np.arange(20) >= 5, trials < 20)
    cold, warm = (Feasibility(structure, hyper, *later, begin) for begin in (None, start))
    new = points(rng, shape, 50)
    np.testing.assert_allclose(warm.probability(new), cold.probability(new), atol=1e-6)
