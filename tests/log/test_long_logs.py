"""A study of many trials opens in seconds, and a later look at it costs only what is new.

1,000,000 trials in `make soak`, fewer otherwise; the seconds are held to what they may be in `make soak`
only, where the machine has nothing else to do.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core import Categorical, Float, Int
from hpo_core.log.events import Asked, Told

SPACE = {
    **{f"f{i}": Float(-1, 1) for i in range(4)},
    **{f"l{i}": Float(1e-5, 1e-1, log=True) for i in range(2)},
    **{f"i{i}": Int(1, 64) for i in range(2)},
    **{f"c{i}": Categorical(["a", "b", "c", "d"]) for i in range(2)},
}
OPENED = 10.0  # seconds


def write(path, n, at_once):
    """A log of n trials as ``ask`` and ``tell`` write it, in few transactions."""
    drawn = hpo.Study(SPACE, sampler="random", seed=0)
    drawn.ask(n)
    x, rng = drawn.history.x, np.random.default_rng(0)
    y, cost = rng.random((1, n)), rng.random(n)
    journal = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path)._ledger.journal
    for start in range(0, n, 10_000):
        events = []
        for first in range(start, min(n, start + 10_000), at_once):
            rows = np.arange(first, first + at_once)
            position = 2 * first // at_once
            asked = Asked(first, x[:, rows], position, "random", time.time())
            events += [asked, Told(rows, y[:, rows], cost[rows])]
        with journal.storage.transaction():
            journal.storage.append(journal.key, [journal.codec.write(event)[0] for event in events])
    return y


@pytest.mark.parametrize("at_once", [1, 1000])
def test_a_long_log_opens_in_seconds(at_once, tmp_path, soak, capsys, monkeypatch):
    n = 1_000_000 if soak else 4000
    path = str(tmp_path / "s.db")
    y = write(path, n, at_once)
    start = time.perf_counter()
    study = hpo.Study.open(path, "s")
    opened = time.perf_counter() - start
    np.testing.assert_array_equal(study.history.y, y)
    assert study.best_value == y.min()
    other = hpo.Study.open(path, "s")
    other.tell(other.ask(10), [2.0] * 10)
    storage, seen = study._ledger.journal.storage, []
    read = storage.read
    monkeypatch.setattr(storage, "read", lambda *where: seen.append(read(*where)) or seen[-1])
    study.sync()
    assert len(study.trials) == n + 10
    assert [record[1] for records in seen for record in records] == ["asked", "told"]
    if soak:
        with capsys.disabled():
            print(f"\n{n:,} trials, {at_once:,} at once: opened in {opened:.2f} s")
        assert opened < OPENED
