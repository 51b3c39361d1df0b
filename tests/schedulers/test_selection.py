"""The best of keys and quantiles that come one by one, against sorting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_core.schedulers.selection import Quantile, Selection

keys = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 3)), max_size=40)


@given(keys, st.integers(2, 4), st.integers(0, 1), st.integers(0, 40))
def test_the_best_are_selected(pairs, factor, least, start):
    pairs = [(*pair, entry) for entry, pair in enumerate(pairs)]
    selection = Selection(lambda n: min(n, max(least, n // factor)), pairs[:start])
    for key in pairs[start:]:
        selection.add(key)
        selected = {each for each in pairs[: len(selection)] if selection.includes(each)}
        assert selected == set(sorted(pairs[: len(selection)])[: selection.size])
    k = min(len(pairs), max(least, len(pairs) // factor))
    assert (len(selection), selection.size) == (len(pairs), k)
    assert selection.last == (sorted(pairs)[k - 1] if k else None)
    assert selection.next == (sorted(pairs)[k] if k < len(pairs) else None)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1]))
def test_a_quantile_is_numpys(numbers, q):
    quantile = Quantile(q)
    for n, number in enumerate(numbers, 1):
        quantile.add(number)
        assert quantile.value() == pytest.approx(np.quantile(numbers[:n], q), rel=1e-12, abs=1e-9)
    assert len(quantile) == len(numbers)


def test_no_numbers_have_no_quantile():
    assert math.isnan(Quantile(0.5).value())
