"""Importance: shares that are known, what changes nothing, which trials count, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.analysis import importance
from hpo_core.native import _backend
from hpo_core.study import ReadOnlyStudy

UNIT = {name: hpo.Float(0.0, 1.0) for name in "abc"}


def study_of(space, f, n, *, seed=0, **options):
    """A study of random configurations and their values ``f(columns)``."""
    study = hpo.Study(space, sampler="random", seed=seed, **options)
    columns = study.space.sample(n, seed=seed)
    params = [
        {name: columns[name][i] for name in study.space.names if study.space.codec.active(name, *at)[0]}
        for i, at in enumerate(zip(*[iter([study.space.encode(columns)])], strict=False))
    ] if False else None
    del params
    study.add(columns_of(study.space, columns), f(columns))
    return study


def columns_of(space, columns):
    return {name: columns[name] for name in space.names}


def shares_of(*numbers):
    return np.array(numbers) / sum(numbers)
