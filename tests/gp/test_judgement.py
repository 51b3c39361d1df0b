"""Trials judged under noise: as sure as is right, quiet values taken as they are, units, limits."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import SHAPES, layout, points, targets

import hpo_core as hpo
from hpo_core.gp import judgement
from hpo_core.gp.judgement import judge
from hpo_core.gp.regression import continuous_layout
from hpo_core.native.covariance import Structure

FLAT = Structure(continuous_layout(2))


def bowl(x):
    return ((x - 0.4) ** 2).sum(axis=0)


def noisy(seed, n=60, deviation=0.1):
    rng = np.random.default_rng(seed)
    x = rng.random((2, n))
    return x, bowl(x), bowl(x) + deviation * rng.standard_normal(n)


def test_intervals_hold_the_true_values_as_often_as_they_say():
    inside = []
    for seed in range(12):
        x, true, y = noisy(seed, deviation=(0.03, 0.1, 0.3)[seed % 3])
        found = judge(FLAT, x, y)
        low = found.mean < np.median(y)  # below the cap, also of values that noise moved
        z = np.abs(true[found.places] - found.mean) / found.deviation
        inside += (z[low] < 1.2816).tolist()
    assert len(inside) > 200
    assert 0.7 < np.mean(inside) < 0.95


def test_under_noise_the_first_is_better_than_the_best_observed_one():
    gain = []
    for seed in range(40):
        x, true, y = noisy(seed)
        gain.append(true[y.argmin()] - true[judge(FLAT, x, y).places[0]])
    assert np.mean(gain) > 2.0 * np.std(gain) / np.sqrt(len(gain))


@pytest.mark.parametrize("shape", SHAPES)
def test_without_noise_trials_are_compared_by_their_values(shape):
    rng = np.random.default_rng(1)
    x = points(rng, shape, 60)
    y = targets(rng, x, noise=0.0)
    np.testing.assert_array_equal(judge(Structure(layout(shape)), x, y).places, np.argsort(y, kind="stable"))


def test_a_lucky_trial_loses_to_its_repeats():
    x, _, y = noisy(0)
    x[:, 7] = 0.9
    y[7] = y.min() - 0.2
    repeated, bad = np.concatenate([x, np.full((2, 6), 0.9)], axis=1), np.append(y, 0.5 + 0.02 * np.arange(6))
    assert bad.argmin() == 7
    assert judge(FLAT, repeated, bad).places[0] < 60
    assert judge(FLAT, repeated, bad).places[0] != 7, "nor any of its repeats"


def test_if_most_trials_are_equally_good_the_values_decide():
    x, _, y = noisy(4)
    y = np.maximum(y, np.quantile(y, 0.6))
    np.testing.assert_array_equal(judge(FLAT, x, y).places, np.argsort(y, kind="stable"))


@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0.0), (1e6, -3e7), (1.0, 1e3)])
def test_units_are_those_of_the_values(factor, shift):
    x, _, y = noisy(3)
    first, second = judge(FLAT, x, y), judge(FLAT, x, factor * y + shift)
    np.testing.assert_array_equal(first.places, second.places)
    np.testing.assert_allclose(second.mean, factor * first.mean + shift, rtol=1e-5, atol=1e-5 * factor)
    np.testing.assert_allclose(second.deviation, factor * first.deviation, rtol=1e-4)


def test_of_many_trials_the_best_and_their_neighbours_are_judged(monkeypatch):
    x, _, y = noisy(5, n=300)
    monkeypatch.setattr(judgement, "MOST", 64)
    places = judge(FLAT, x, y).places
    assert len(set(places.tolist())) == 64
    assert set(np.argsort(y)[:32].tolist()) <= set(places.tolist())


def test_none_without_a_common_scale_or_with_too_many_parameters(monkeypatch):
    x, _, y = noisy(5)
    assert judge(FLAT, x, np.where(np.arange(60) == 9, -1e12, y)) is None
    assert judge(FLAT, x, np.where(np.arange(60) == 9, 1e300, y)) is not None, "a bad one is only bad"
    monkeypatch.setattr(judgement, "MOST_PARAMETERS", 1)
    assert judge(FLAT, x, y) is None


@pytest.mark.parametrize("name", ["gp", "auto"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_samplers_recommend_the_first_and_say_what_to_expect(name, direction):
    sign = 1.0 if direction == "minimize" else -1.0
    study = hpo.Study({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler=name, seed=0, direction=direction)
    x, _, y = noisy(2, n=40)
    for (a, b), value in zip(x.T.tolist(), (sign * y).tolist(), strict=True):
        study.add({"x": a, "y": b}, value)
    places = judge(Structure(study.space.layout), study.history.x, y).places
    assert study.recommend() == study.trials[int(places[0])].params
    assert places[0] != y.argmin(), "else the example shows nothing"
    assert study.best_value == pytest.approx(sign * y.min())


def test_values_whose_sum_is_infinite_are_judged():
    study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="gp", seed=0, direction="maximize")
    batch = study.ask(10)
    study.tell(batch, np.linspace(1e308, 1.7e308, 10))
    assert study.recommend() == study.trials[9].params
