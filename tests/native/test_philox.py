"""Philox-4x32-10 against the vectors published with Random123, and against itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpo_core.errors import ArgumentError
from hpo_core.native import normal

ONES = 0xFFFFFFFF
# (key words, counter words, random words): kat_vectors of Random123, philox4x32 with 10 rounds.
KNOWN = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES), (ONES,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
pytestmark = pytest.mark.usefixtures("variant")
words = st.integers(0, 2**64 - 1)


def u01(seed, trial, index):
    """Uniform number ``index`` by the words of its block."""
    block = index // 2
    counter = [trial % 2**32, trial >> 32, block % 2**32, block >> 32]
    low, high = normal.philox(seed, counter)[2 * (index % 2) :][:2].tolist()
    return ((high << 32 | low) // 2**12 + 0.5) / 2**52


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN)
def test_known_answers(key, counter, expected):
    assert normal.philox(key[0] | key[1] << 32, counter).tolist() == list(expected)


@given(words, words, words, st.integers(0, 40))
def test_uniforms_of_a_trial_are_those_of_its_blocks(seed, trial, start, n):
    start = min(start, 2**64 - 1 - n)
    want = [u01(seed, trial, start + i) for i in range(n)]
    assert normal.uniforms_of_trial(seed, trial, start, n).tolist() == want


@given(words, words, words, st.integers(0, 20))
def test_one_uniform_of_many_trials(seed, trial, index, n):
    trial = min(trial, 2**64 - 1 - n)
    want = [u01(seed, trial + i, index) for i in range(n)]
    assert normal.uniforms_of_index(seed, trial, index, n).tolist() == want


def test_uniforms_are_uniform_and_inside_the_unit_interval():
    u = normal.uniforms_of_trial(1, 2, 0, 200_000)
    assert 0 < u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01


def test_seed_trial_and_index_all_matter():
    rows = [
        normal.uniforms_of_trial(seed, trial, start, 8).tobytes()
        for seed, trial, start in itertools.product((0, 1, 2**32), (0, 1, 2**32), (0, 8, 2**40))
    ]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("argument", ["seed", "trial", "start"])
@pytest.mark.parametrize("value", [-1, 2**64])
def test_words_are_checked(argument, value):
    with pytest.raises(ArgumentError, match=argument):
        normal.uniforms_of_trial(**{"seed": 0, "trial": 0, "start": 0, "n": 1, argument: value})
    name = "index" if argument == "start" else argument
    with pytest.raises(ArgumentError, match=name):
        normal.uniforms_of_index(**{"seed": 0, "trial": 0, "index": 0, "n": 1, name: value})


def test_the_counter_has_four_words():
    with pytest.raises(ArgumentError, match="counter"):
        normal.philox(0, [1, 2, 3])
    with pytest.raises(ArgumentError, match="seed"):
        normal.philox(-1, [0, 0, 0, 0])
