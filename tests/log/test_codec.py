"""Coordinates through values and back: one configuration as in a batch, the writer as every reader."""

from __future__ import annotations

import json

import numpy as np
import pytest
from contracts.cases import CASES

import hpo_core as hpo
from hpo_core import Float, Int, param
from hpo_core.log.codec import Codec
from hpo_core.log.decode import read
from hpo_core.log.events import Asked
from hpo_core.metrics import PLAIN


def written(codec, x):
    """Text and coordinates of a suggestion, and its coordinates as read from the text."""
    (kind, text), event = codec.write(Asked(0, x, 0, "random", 1.5))
    (again, _) = read(codec, [(0, kind, text, 0)]).asked
    return json.loads(text)["params"], event.x, again.x


@pytest.mark.parametrize("name", CASES)
def test_one_configuration_is_written_as_in_a_batch(name):
    study = CASES[name].study("random", seed=3, allow_duplicates=True)
    study.ask(200)
    codec, x = Codec(study.space, PLAIN), study.history.x
    whole, settled, read = written(codec, x)
    np.testing.assert_array_equal(settled, read)
    for k in range(x.shape[1]):
        params, own, again = written(codec, x[:, [k]])
        np.testing.assert_array_equal(own, again)
        np.testing.assert_array_equal(own[:, 0], settled[:, k])
        assert params == {parameter: column[k : k + 1] for parameter, column in whole.items()}


def test_conditions_read_the_written_number():
    low, high = 1e-5, 0.1
    rng = np.random.default_rng(0)
    for x in rng.random(400):
        value = hpo.Space({"w": Float(low, high, log=True)}).codec.value(x, 0)
        space = hpo.Space({"w": Float(low, high, log=True), "k": Int(1, 3, when=param("w") >= value)})
        assert space.codec.reads_reals
        _, own, again = written(Codec(space, PLAIN), np.array([[x], [0.5]]))
        np.testing.assert_array_equal(own, again)
        assert not np.isnan(own[1, 0])  # also where the coordinate has lost a last bit


def test_a_condition_on_levels_reads_no_real_number():
    space = hpo.Space({"w": Float(0, 1), "d": Int(1, 3), "k": Int(1, 3, when=param("d") > 1)})
    assert not space.codec.reads_reals
