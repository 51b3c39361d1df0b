"""The seeds that trials hand out, and the constant that the native side has copies of."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hpo_core.native import _backend
from hpo_core.native.domain import Domain, keys
from hpo_core.seeds import GOLDEN, trial_seed
from hpo_core.space import Categorical, Space


def mix64(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def splitmix64(z: int) -> int:
    """Steele, Lea and Flood's generator, its next output from state z."""
    return mix64((z + 0x9E3779B97F4A7C15) % 2**64)


def test_the_oracle_knows_the_published_vector():
    assert splitmix64(0) == 0xE220A8397B1DCDAF


def test_seeds_are_32_bit_hashes_one_by_one_and_in_columns():
    for seed in (0, 1, 2**63 - 1):
        numbers = np.array([0, 1, 10**9])
        expected = [splitmix64(splitmix64(seed) ^ number) >> 32 for number in numbers.tolist()]
        assert [trial_seed(seed, number) for number in numbers.tolist()] == expected
        assert trial_seed(seed, numbers).tolist() == expected


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_the_native_side_mixes_with_the_same_constant(backend):
    with _backend.use(backend):
        domain = Domain(Space({"c": Categorical(["a", "b", "c"])}).layout)
        found = keys(domain, np.array([[0.0, 1.0, 2.0]])).tolist()
    bits = [struct.unpack("<Q", struct.pack("<d", level))[0] for level in (0.0, 1.0, 2.0)]
    assert found == [mix64((each + GOLDEN) % 2**64) for each in bits]
