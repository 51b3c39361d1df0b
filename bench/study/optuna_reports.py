"""Reports and questions of Optuna's trials: ``report`` and ``should_prune``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from bench import machine, timing
from bench.study.optuna_stored import STORAGES

optuna.logging.set_verbosity(optuna.logging.ERROR)

PRUNERS = {"asha": optuna.pruners.SuccessiveHalvingPruner, "median": optuna.pruners.MedianPruner}


def pairs(storage: str, scheduler: str, n: int, steps: int) -> dict[str, Any]:
    """Seconds of a report and a question, for each trial of a study in which every trial is the best yet."""
    found, told = [], 0
    with tempfile.TemporaryDirectory() as folder:
        held = optuna.create_study(
            storage=STORAGES[storage](Path(folder)),
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=PRUNERS[scheduler](),
        )
        for number in range(n):
            trial = held.ask()
            trial.suggest_float("x", 0, 1)
            began = time.perf_counter()
            for step in range(steps):
                trial.report(float(n - number) / (step + 1), step)
                told += bool(trial.should_prune())
            found.append((time.perf_counter() - began) / steps)
            held.tell(trial, float(n - number) / steps)
    versions = machine.versions("optuna", "sqlalchemy", "numpy")
    return {
        "seconds": timing.spread(found),
        "told": told,
        "library": "optuna",
        "versions": versions,
        "threads": 1,
    }
