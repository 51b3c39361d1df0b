"""What the gp sampler does beyond the contracts: two views of values that have come close together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hpo_core as hpo

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
