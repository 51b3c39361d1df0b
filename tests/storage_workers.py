"""What runs in worker processes of the tests of storage."""

from __future__ import annotations

import hpo_core as hpo
from hpo_core import Float, Int

SPACE = {"x": Float(-1, 1), "k": Int(1, 9)}


def work(path, start, n, acknowledged=None):
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=path)
    start.wait(60)
    for _ in range(n):
        trial = study.ask()
        value = trial["x"] ** 2 + trial["k"]
        study.tell(trial, value)
        if acknowledged is not None:
            acknowledged.send((trial.number, value))
