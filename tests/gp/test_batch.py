"""Batches: conditioning equals refitting, each choice is the best of its kind, all are different points."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import gaussian_process as oracle
from scipy.stats import norm

from hpo_core import Categorical, Float, Space
from hpo_core.gp import batch
from hpo_core.gp.criteria import DOUBT
from hpo_core.gp.posterior import Hyperparameters, Posterior
from hpo_core.native.covariance import Structure
from hpo_core.native.improvement import log_ei

SPACE = {"x": Float(0, 1), "c": Categorical({"a": {"y": Float(0, 1)}, "b": {}})}
KINDS, GROUPS = ("numeric", "categorical", "numeric"), (0, 0, 1)
LENGTHSCALE, CORRELATION, NOISE = np.array([0.3, 1.5, 0.5]), np.array([1.0, 0.6]), 1e-3


def points(n, seed):
    rng = np.random.default_rng(seed)
    x = np.stack([rng.random(n), rng.integers(0, 2, n).astype(float), rng.random(n)])
    x[2, x[1] == 1] = np.nan
    return x


def values(x):
    return (x[0] - 0.3) ** 2 + 0.2 * x[1] + 0.3 * np.nan_to_num(x[2]) * x[0]


def posterior(n=14, noise=NOISE, seed=0):
    x = points(n, seed)
    hyper = Hyperparameters(LENGTHSCALE, noise, CORRELATION)
    return Posterior(Structure(Space(SPACE).layout), hyper, x, values(x))


def options(m, **changed):
    defaults = {"best": 0.05, "bonus": np.zeros(m), "pending": np.empty((3, 0)), "seed": 7, "first": 14}
    return defaults | changed


class Refit:
    """The posterior at x once values are told at some of its columns, mu and s2 as they were."""

    def __init__(self, model, x):
        self.model, self.n, self.m = model, model.n, x.shape[1]
        both = np.concatenate([model.x, x], axis=1)
        self.full = oracle.cross(KINDS, GROUPS, LENGTHSCALE, CORRELATION, both, both)

    def __call__(self, given, told):
        rows = [*range(self.n), *(self.n + np.array(given, int))]
        cross = self.full[rows, self.n :]
        weights = np.linalg.solve(self.full[np.ix_(rows, rows)] + NOISE * np.eye(len(rows)), cross)
        mean = self.model.mu + (np.concatenate([self.model.y, told]) - self.model.mu) @ weights
        return mean, self.model.s2 * (1 - np.einsum("ij,ij->j", cross, weights))

    def correlation(self, s):
        return self.full[self.n + s, self.n :]

    def variance(self, given):
        return self(given, np.zeros(len(given)))[1]


@pytest.fixture
def model():
    return posterior()


def test_conditioning_equals_refitting(model):
    x = points(20, 1)
    candidates, refit = batch.CandidatePosterior.of(model, x, capacity=6), Refit(model, x)
    given = [3, 0, 19, 7, 3, 11]  # one of them twice
    for k, s in enumerate(given, start=1):
        candidates.observe(s, refit.correlation(s))
        np.testing.assert_allclose(model.s2 * candidates.variance, refit.variance(given[:k]), atol=1e-10)


def test_a_fantasy_is_what_its_values_would_teach(model):
    x, given = points(20, 1), [5, 2, 17]
    candidates, refit = batch.CandidatePosterior.of(model, x, capacity=3), Refit(model, x)
    fantasies = batch.Fantasies(model, x, 0.05, (7, 14))
    told, best = np.empty((batch.N_FANTASIES, 0)), np.full(batch.N_FANTASIES, 0.05)
    for k, s in enumerate(given):
        mean = np.array([refit(given[:k], row)[0][s] for row in told])
        sd = np.sqrt(refit.variance(given[:k])[s] + NOISE * model.s2)
        told = np.column_stack([told, mean + sd * batch.stratified_normals(7 ^ batch._FANTASY_STREAM, 14, k)])
        best = np.minimum(best, [refit(given[: k + 1], row)[0][s] for row in told])
        fantasies.observe(s, candidates.observe(s, refit.correlation(s)))
    mean = np.array([refit(given, row)[0] for row in told])
    sd = np.sqrt(refit.variance(given))
    z = (best[:, None] - mean) / sd
    expected = np.log(np.mean(sd * (z * norm.cdf(z) + norm.pdf(z)), axis=0))
    np.testing.assert_allclose(fantasies.log_ei(candidates.variance), expected, rtol=1e-6)


def test_stratified_normals_are_balanced_and_unrelated():
    z = np.array([batch.stratified_normals(3, 5, k) for k in range(40)])
    middles = norm.ppf((np.arange(batch.N_FANTASIES) + 0.5) / batch.N_FANTASIES)
    np.testing.assert_allclose(np.sort(z), np.tile(middles, (40, 1)), rtol=1e-12, atol=1e-15)
    related = np.corrcoef(z) - np.eye(40)
    assert np.abs(related).max() < 0.5
    assert abs(related.mean()) < 0.01


def test_the_first_choice_has_the_greatest_improvement(model):
    x = points(300, 1)
    mean, variance = model.predict(x)
    tried = np.sum(model.x[1] == 0)
    doubted = variance * np.where(x[1] == 0, 1.0 + DOUBT * np.sqrt(np.log(model.n) / (1.0 + tried)), 1.0)
    score = log_ei(mean, np.sqrt(doubted), 0.05)
    for q in (1, 5, 30):
        assert batch.choose(model, x, q, **options(300))[0] == score.argmax()
    bonus = np.zeros(300)
    bonus[score.argmax()] = -20.0
    assert batch.choose(model, x, 1, **options(300, bonus=bonus))[0] == np.argsort(score)[-2]


@pytest.mark.parametrize("q", [1, 5, 16, 17, 64, 65, 130, 299, 300, 1000])
def test_as_many_as_asked_for_all_different_and_always_the_same(model, q):
    x = points(300, 2)
    found = batch.choose(model, x, q, **options(300))
    assert len(found) == len(set(found.tolist())) == min(q, 300)
    assert 0 <= found.min() <= found.max() < 300
    np.testing.assert_array_equal(batch.choose(model, x, q, **options(300)), found)


@pytest.mark.parametrize("q", [8, 40])
def test_the_order_of_the_candidates_does_not_matter(model, q):
    x, order = points(200, 3), np.random.default_rng(0).permutation(200)
    found = batch.choose(model, x, q, **options(200))
    np.testing.assert_array_equal(order[batch.choose(model, x[:, order], q, **options(200))], found)


@pytest.mark.parametrize(("q", "explored_from"), [(40, 10), (100, 50)])
def test_what_follows_the_first_part_is_where_least_is_known(model, q, explored_from):
    x = points(200, 3)
    refit = Refit(model, x)
    found = batch.choose(model, x, q, **options(200)).tolist()
    for k in range(explored_from, q):
        variance = refit.variance(found[:k])
        assert variance[found[k]] >= variance[np.setdiff1d(np.arange(200), found[:k])].max() - 1e-8


def test_the_first_quarter_is_the_smaller_batch(model):
    x = points(200, 3)
    found, few = (batch.choose(model, x, q, **options(200)) for q in (40, 10))
    np.testing.assert_array_equal(found[:10], few)


@pytest.mark.parametrize("q", [4, 30, 80])
def test_near_duplicates_are_the_last_resort(model, q):
    distinct = points(q, 4)
    distinct[0] = (np.arange(q) + 0.5) / q
    x = np.repeat(distinct, 3, axis=1)
    x[0] += np.tile([0.0, 1e-8, -1e-8], q)
    found = batch.choose(model, x, q, **options(3 * q))
    assert len(set((found // 3).tolist())) == q
    assert sorted(batch.choose(model, x, 3 * q, **options(3 * q))) == list(range(3 * q))


def test_a_running_trial_is_an_earlier_choice(model):
    x = points(200, 5)
    found = batch.choose(model, x, 6, **options(200))
    rest = batch.choose(model, x, 5, **options(200, pending=x[:, found[:1]]))
    np.testing.assert_array_equal(rest, found[1:])


@pytest.mark.parametrize("q", [40, 90])
def test_running_trials_are_not_run_again(model, q):
    x = points(200, 5)
    pending = batch.choose(model, x, 16, **options(200))
    found = batch.choose(model, x, q, **options(200, pending=x[:, pending]))
    assert not set(pending.tolist()) & set(found[: q // 2].tolist())


@pytest.mark.parametrize("q", [3, 40, 90])
def test_what_will_fail_is_avoided(model, q):
    x = points(200, 6)
    bonus = np.where(x[0] < 0.5, -40.0, 0.0)
    found = batch.choose(model, x, q, **options(200, bonus=bonus))
    assert (x[0, found] >= 0.5).sum() >= min(q, (x[0] >= 0.5).sum())


def test_thompson_draws_choose_with_the_probability_of_being_best():
    model = posterior(n=6)
    x = points(9, 8)
    mean, _ = model.predict(x)
    draws = np.random.default_rng(0).multivariate_normal(mean, model.covariance(x), 20_000)
    expected = np.bincount(draws.argmin(axis=1), minlength=9) / 20_000
    x = np.concatenate([x, np.repeat(x[:, :1], 80, axis=1)], axis=1)  # a batch has to be large
    firsts = [batch.choose(model, x, 65, **options(89, first=k))[0] for k in range(150)]
    counts = np.bincount(np.where(np.array(firsts) > 8, 0, firsts), minlength=9)
    assert np.abs(counts / 150 - expected).max() < 0.13
    assert (counts > 0).sum() >= 3


def test_no_noise_and_a_point_of_the_data_among_the_candidates():
    model = posterior(noise=0.0)
    x = np.concatenate([model.x, points(100, 9)], axis=1)
    for q in (4, 20, 70):
        found = batch.choose(model, x, q, **options(x.shape[1]))
        assert len(set(found.tolist())) == q
