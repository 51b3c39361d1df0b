"""The sampler's model of one metric: whether it grew with the trials or was made for all of them at once."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import SHAPES, layout, points, targets

from hpo_core.gp.fit import GPSettings
from hpo_core.gp.model import GPModel
from hpo_core.gp.objective import Warped
from hpo_core.gp.warps import half_rank
from hpo_core.native.covariance import Structure


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("sizes", "max_fit"), [(range(6, 34), 512), ((9, 10, 31, 32, 60), 512), ((50, 75), 40)]
)
def test_a_model_that_grew_equals_one_made_at_once_bit_for_bit(shape, sizes, max_fit):
    rng = np.random.default_rng(0)
    x = points(rng, shape, max(sizes))
    y, structure = targets(rng, x), Structure(layout(shape))

    def model():
        return GPModel(structure, GPSettings(), quiet=1e-3, max_fit=max_fit)

    grown = model()
    for n in sizes:
        trials = Warped(y[:n], half_rank)
        fresh = model()
        for each in (grown, fresh):
            each.fit(x[:, :n], trials)
            each.condition(x[:, :n], trials.values(n), None)
        assert grown.hyper.to_json() == fresh.hyper.to_json()
        assert np.array_equal(grown.level, fresh.level)
        assert np.array_equal(grown.posterior.alpha, fresh.posterior.alpha)
