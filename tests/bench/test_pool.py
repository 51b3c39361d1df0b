"""The bench of many studies: both sides do what they time."""

from __future__ import annotations

import numpy as np

from bench import pool


def test_rounds_are_timed_and_shown():
    found = [pool.pool(4, 1), pool.pool(4, 1), pool.loop(2)]
    for record in found:
        assert {key: len(times) for key, times in record["seconds"].items()} == dict.fromkeys(
            ("ask", "tell", "cpu"), pool.ROUNDS
        )
        assert min(record["seconds"]["ask"]) > 0
    both = pool.least(found[:2])
    assert all(np.array(both["seconds"]["ask"]) <= found[0]["seconds"]["ask"])
    assert len(pool.row(both | {"case": "StudyPool"})) == len(pool.HEADER)
