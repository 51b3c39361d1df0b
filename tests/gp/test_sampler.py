"""What the gp sampler does beyond the contracts: two views of values, halves of batches, branches."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.gp import criteria
from hpo_core.gp import sampler as gp_sampler
from hpo_core.gp.objective import ObjectiveModel

SPACE = hpo.Space({"u": hpo.Float(0, 1), "v": hpo.Float(0, 1)})


def suggestion(study, first, **settings):
    """What a fresh sampler proposes as trial number ``first`` after the study's history."""
    sampler = hpo.GPSampler()
    sampler._settings = dataclasses.replace(sampler._settings, **settings)
    sampler.start(SPACE, seed=0)
    return sampler.ask(study.history, first, 1).x


@pytest.mark.parametrize(("width", "alternates"), [(0.1, True), (1.0, False)])
def test_every_other_suggestion_looks_at_all_values_once_the_better_half_is_close(width, alternates):
    """Four trials all over the space, then twelve that keep to a part of it."""
    study = hpo.Study(SPACE, seed=0)
    points = (
        np.random.default_rng(0).uniform(-0.5, 0.5, (16, 2))
        * np.where(np.arange(16) < 4, 0.8, width)[:, None]
    )
    for u, v in 0.5 + points:
        study.add({"u": u, "v": v}, (u - 0.52) ** 2 + (v - 0.47) ** 2)
    assert np.array_equal(suggestion(study, 16), suggestion(study, 16, zoomed=0.0))
    same = np.array_equal(suggestion(study, 17), suggestion(study, 17, zoomed=0.0))
    assert same is not alternates


def test_recommendations_and_both_views_leave_each_other_alone():
    """Values are close, so that the views alternate; one study is asked for its best all the time."""
    studies = [hpo.Study(SPACE, sampler="gp", seed=1) for _ in range(2)]
    for _ in range(30):
        for study, curious in zip(studies, (False, True), strict=True):
            trial = study.ask()
            study.tell(trial, 1e-3 * ((trial["u"] - 0.5) ** 2 + (trial["v"] - 0.5) ** 2))
            if curious:
                study.recommend()
    np.testing.assert_array_equal(studies[0].history.x, studies[1].history.x)
    assert studies[0].recommend() == studies[1].recommend()


BRANCHES = hpo.Space(
    {
        "x": hpo.Float(0, 1),
        "kind": hpo.Categorical(
            {
                "flat": {"a": hpo.Float(0, 1)},
                "steep": {"b": hpo.Float(0, 1), "c": hpo.Float(0, 1)},
            }
        ),
    }
)


def two_branches(trial):
    """The flat branch is good everywhere; the steep one is better, but only near its best point."""
    if trial["kind"] == "flat":
        return 0.2 + 0.2 * (trial["a"] - 0.4) ** 2 + 0.2 * (trial["x"] - 0.5) ** 2
    return 3.0 * ((trial["b"] - 0.8) ** 2 + (trial["c"] - 0.2) ** 2 + (trial["x"] - 0.3) ** 2)


def sampler_after(space, objective, n, seed=0):
    """A study of n trials, and a sampler that has made its model of them."""
    study = hpo.Study(space, sampler="sobol", seed=seed)
    study.optimize(objective, n_trials=n)
    sampler = hpo.GPSampler()
    sampler.start(space, seed=seed)
    sampler.ask(study.history, n, 1)
    return study, sampler


def test_a_model_at_the_modes_is_of_the_same_trials():
    """The mode of a lengthscale is exp(sqrt 2 + log(d_g) / 2 - 3), for the d_g parameters of its group."""
    _, sampler = sampler_after(BRANCHES, two_branches, 15)
    own, before = sampler._sharp._model.posterior, sampler._sharp._model.posterior.hyper.lengthscale.copy()
    other = sampler._sharp.at_modes()._model.posterior
    size = np.array([2.0, 2.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(other.hyper.lengthscale, np.sqrt(size) * math.exp(math.sqrt(2.0) - 3.0))
    assert other.hyper.noise == own.hyper.noise
    np.testing.assert_array_equal(other.hyper.correlation, own.hyper.correlation)
    np.testing.assert_array_equal(other.x, own.x)
    np.testing.assert_array_equal(other.y, own.y)
    np.testing.assert_array_equal(sampler._sharp._model.posterior.hyper.lengthscale, before)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_second_half_of_a_batch_comes_from_the_modes(monkeypatch, n):
    study, sampler = sampler_after(BRANCHES, two_branches, 15)
    ours = sampler.ask(study.history, 15, n).x
    monkeypatch.setattr(ObjectiveModel, "at_modes", lambda self: self)
    fitted = sampler.ask(study.history, 15, n).x
    first = (n + 1) // 2
    np.testing.assert_array_equal(ours[:, :first], fitted[:, :first])
    assert not np.array_equal(ours[:, first:], fitted[:, first:], equal_nan=True)
    assert len(np.unique(np.nan_to_num(ours, nan=-1.0), axis=1).T) == n


def test_a_batch_is_as_large_as_what_is_left_of_a_small_space():
    space = hpo.Space({"k": hpo.Int(0, 5), "m": hpo.Int(0, 3)})
    study = hpo.Study(space, sampler="gp", seed=0)
    study.optimize(lambda trial: (trial["k"] - 2) ** 2 + trial["m"], n_trials=17)
    batch = study.ask(7)
    assert set(batch.tier) == {"gp"}
    assert len({(trial["k"], trial["m"]) for trial in study.trials}) == 24


@pytest.mark.parametrize(("told", "asked", "tier"), [(8, 8, "gp"), (8, 2, "sobol"), (4, 64, "sobol")])
def test_the_model_takes_over_at_the_nearest_batch(told, asked, tier):
    """Ten parameters begin with ten trials."""
    study = hpo.Study({f"x{i}": hpo.Float(0, 1) for i in range(10)}, sampler="gp", seed=0)
    study.optimize(lambda trial: trial["x0"] ** 2 + trial["x1"], n_trials=told)
    assert set(study.ask(asked).tier) == {tier}


def test_doubt_sends_trials_to_the_branch_that_looked_worse(monkeypatch):
    counts = []
    for value in (criteria.DOUBT, 0.0):
        monkeypatch.setattr(criteria, "DOUBT", value)
        studies = [hpo.Study(BRANCHES, sampler="gp", seed=seed) for seed in range(3)]
        for study in studies:
            study.optimize(two_branches, n_trials=24)
        counts.append(sum(trial["kind"] == "steep" for study in studies for trial in study.trials))
    assert counts[0] > counts[1]


def test_enough_trials_leave_whole_batches_to_the_fit(monkeypatch):
    study, sampler = sampler_after(BRANCHES, two_branches, 15)
    monkeypatch.setattr(ObjectiveModel, "at_modes", lambda self: pytest.fail("asked for another model"))
    monkeypatch.setattr(gp_sampler, "FITTED_ALONE", 15)
    assert sampler.ask(study.history, 15, 6).x.shape[1] == 6
