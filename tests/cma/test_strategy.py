"""The update beside that of the package cmaes, and properties of the distribution."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_core.cma.strategy import Strategy, constants, population


def generations(strategy, n, seed=0):
    """The generations (k, lam), best first, of a valley with a little noise."""
    rng, k = np.random.default_rng(seed), len(strategy.mean)
    scale = 10.0 ** np.linspace(0, 2, k)[:, None]
    for _ in range(n):
        x = strategy.draw(rng.standard_normal((k, strategy.lam)))
        y = ((x * scale) ** 2).sum(axis=0) + 1e-3 * rng.standard_normal(strategy.lam)
        yield x[:, np.argsort(y)]


@pytest.mark.parametrize(("k", "lam"), [(1, 4), (2, 6), (5, 8), (5, 9), (10, 40), (25, 13)])
def test_updates_are_those_of_cmaes(k, lam):
    ours = Strategy(np.full(k, 0.3), 0.2, lam, full=True)
    cmaes = pytest.importorskip("cmaes")
    theirs = cmaes.CMA(mean=np.full(k, 0.3), sigma=0.2, population_size=lam)
    for x in generations(ours, 25):
        theirs.tell([(x[:, j].copy(), float(j)) for j in range(lam)])
        ours.update(x)
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=0, atol=1e-10)
        assert ours.sigma == pytest.approx(theirs._sigma, rel=1e-10)
        deviations = ours.sigma * np.sqrt(np.diag(theirs._C))
        np.testing.assert_allclose(ours.deviations, deviations, rtol=1e-10)
        c = ours.draw(np.eye(k)) - ours.mean[:, None]
        np.testing.assert_allclose(c @ c.T, ours.sigma**2 * theirs._C, rtol=0, atol=1e-10)


@pytest.mark.parametrize("lam", [4, 9, 16])
def test_variances_alone_are_the_diagonal_of_the_covariances(monkeypatch, lam):
    """While the covariances are zero, with the rates of the variances."""
    rates = constants(6, lam, full=False)
    monkeypatch.setattr("hpo_core.cma.strategy.constants", lambda *_, **__: rates)
    both = [Strategy(np.full(6, 0.4), 0.1, lam, full=full) for full in (False, True)]
    x = next(generations(both[0], 1))
    for strategy in both:
        strategy.update(x)
    np.testing.assert_allclose(both[0].deviations, both[1].deviations, rtol=1e-12)
    assert both[0].sigma == pytest.approx(both[1].sigma, rel=1e-12)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("k", [1, 2, 7, 20, 60, 500])
def test_constants_are_within_their_bounds(k, full):
    for lam in (population(k), 32 * population(k)):
        its = constants(k, lam, full=full)
        positive = its.weights[: lam // 2]
        assert positive.sum() == pytest.approx(1.0)
        assert (np.diff(its.weights) < 0).all()
        assert 0.0 < its.c_1 < its.c_1 + its.c_mu <= 1.0
        # What is kept of the covariance stays positive, whatever the worst half is.
        assert 1 - its.c_1 - its.c_mu + its.c_mu * k * its.weights[its.weights < 0].sum() >= -1e-12


@pytest.mark.parametrize(("k", "full", "n"), [(8, True, 250), (60, False, 900)])
def test_it_finds_the_bottom_of_a_valley(k, full, n):
    rng = np.random.default_rng(3)
    strategy = Strategy(np.full(k, 0.8), 0.2, population(k), full=full)
    scale = 10.0 ** np.linspace(0, 2, k)[:, None]
    for _ in range(n):
        x = strategy.draw(rng.standard_normal((k, strategy.lam)))
        strategy.update(x[:, np.argsort(((x * scale) ** 2).sum(axis=0))])
    assert np.abs(strategy.mean).max() < 1e-5


def test_only_far_trials_are_brought_nearer():
    strategy = Strategy(np.zeros(4), 0.5, 8, full=True)
    for x in generations(strategy, 30):
        strategy.update(x)
    near = strategy.draw(np.full((4, 1), 0.5))
    np.testing.assert_array_equal(strategy.shortened(near), near)
    far = strategy.draw(np.full((4, 1), 50.0))
    moved = strategy.shortened(far) - strategy.mean[:, None]
    most = 2 + 8 / 6
    np.testing.assert_allclose(moved * 100 / most, far - strategy.mean[:, None], rtol=1e-9)


def test_a_move_takes_the_step_size_of_the_trials_around():
    strategy = Strategy(np.zeros(3), 0.5, 8, full=True)
    for x in generations(strategy, 20):
        strategy.update(x)
    z = np.random.default_rng(1).standard_normal((3, 200))
    shape = strategy.draw(z) - strategy.mean[:, None]
    sigma, mean = strategy.sigma, np.array([0.2, 0.3, 0.4])
    strategy.move(mean, mean[:, None] + 0.01 * shape)
    typical = np.sqrt(np.median(np.mean(z * z, axis=0)))
    assert strategy.sigma == pytest.approx(0.01 * sigma * typical, rel=1e-9)
    np.testing.assert_array_equal(strategy.mean, mean)
    strategy.move(mean, mean[:, None])
    assert strategy.sigma > 0.0
