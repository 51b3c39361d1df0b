"""``HpoSampler`` passes the suites that Optuna ships for its own samplers, whole."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna")

from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

import hpo_core as hpo
from hpo_core.integrations.optuna import HpoSampler

EVERY = ["auto", "tpe", "gp", "random", "sobol"]


@pytest.fixture(params=EVERY)
def sampler(request):
    return lambda: HpoSampler(request.param, seed=0)


class TestBasic(BasicSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestRelative(RelativeSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestMultiObjective(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestSingleOnly(SingleOnlySamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, metrics={"loss": hpo.Maximize()}, seed=0)
