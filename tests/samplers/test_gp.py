"""What the gp sampler does beyond the contracts: two views of values that have come close together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hpo_core as hpo

SPACE = hpo.Space({"u": hpo.Float(0, 1), "branch": hpo.Categorical({"a": {"w": hpo.Float(0, 1)}, "b": {}})})


def suggestion(study, first, **settings):
    """What a fresh sampler proposes as trial number ``first`` after the study's history."""
    sampler = hpo.GPSampler()
    sampler._settings = dataclasses.replace(sampler._settings, **settings)
    sampler.start(SPACE, seed=0)
    return sampler.ask(study.history, first, 1).x


@pytest.mark.parametrize(("spread", "alternates"), [(1e-3, True), (1.5, False)])
def test_every_other_suggestion_looks_at_all_values_once_the_better_half_is_close(spread, alternates):
    study = hpo.Study(SPACE, sampler="random", seed=1)
    first = study.ask(6)
    study.tell(first, np.linspace(2.0, 3.0, 6))
    later = study.ask(12)
    study.tell(later, 1.0 + spread * np.abs(later["u"] - 0.4))
    assert np.array_equal(suggestion(study, 18), suggestion(study, 18, zoomed=0.0), equal_nan=True)
    same = np.array_equal(suggestion(study, 19), suggestion(study, 19, zoomed=0.0), equal_nan=True)
    assert same is not alternates
