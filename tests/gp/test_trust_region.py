"""The side of the trust region is that of the rule applied value by value."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpo_core.gp import trust_region


def plain_length(y, start, d):
    side, successes, failures = trust_region.FIRST_LENGTH, 0, 0
    for gained in trust_region.gains(y)[start:]:
        successes, failures = (successes + 1, 0) if gained else (0, failures + 1)
        if successes == trust_region.SUCCESSES:
            side, successes = min(2.0 * side, trust_region.MOST_LENGTH), 0
        elif failures == max(trust_region.LEAST_FAILURES, d):
            side, failures = side / 2.0, 0
            if side < trust_region.LEAST_LENGTH:
                side = trust_region.FIRST_LENGTH
    return side


@given(
    gained=st.lists(st.sampled_from([True, False, False, False]), min_size=1, max_size=400),
    start=st.integers(0, 50),
    d=st.integers(1, 9),
)
def test_length(gained, start, d):
    y = -np.cumsum(gained, dtype=float) * 2.0
    assert trust_region.length(y, min(start, len(y)), d) == plain_length(y, min(start, len(y)), d)
