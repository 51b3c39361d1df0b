"""The native Domain and the numpy evaluation of a space agree on random spaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space.strategies import spaces

from hpo_core.native import _backend
from hpo_core.native.domain import Domain, permitted, random_draws, settle
from hpo_core.space import Float, Int, Space

BACKENDS = st.sampled_from(["native", "numba"])
STEPPED = Space({"i": Int(-5, 5000), "log": Int(3, 10**6, log=True), "f": Float(-1.0, 1.0, step=2**-12)})


@given(spaces(), BACKENDS, st.integers(0, 2**32))
def test_draws_are_in_the_space(space: Space, backend: str, seed: int) -> None:
    with _backend.use(backend):
        domain = Domain(space.layout)
        x = random_draws(domain, seed, 0, 0, 64)
        allowed = permitted(domain, x)
    assert np.array_equal(allowed, ~space.forbidden_mask(x))
    assert np.array_equal(space.impose(x, np.full(len(x), np.nan)), x, equal_nan=True)
    for k in range(0, 64, 8):
        again, _ = space.codec.encode_params(space.codec.decode_params(np.ascontiguousarray(x[:, k])))
        assert np.allclose(again, x[:, k], rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_settling_a_coordinate_gives_that_of_its_value(backend: str) -> None:
    x = np.random.default_rng(0).random((3, 1000))
    values = STEPPED.decode(x)
    with _backend.use(backend):
        settled = settle(Domain(STEPPED.layout), x.copy())
    for name, column in STEPPED.decode(settled).items():
        assert np.array_equal(column, values[name])
    assert np.allclose(settled, STEPPED.encode(values), rtol=0, atol=1e-15)
