"""Reports and questions of hpo_core's trials."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import hpo_core as hpo
from bench import timing
from bench.samplers.hpo_core_side import stamp
from bench.study.hpo_core_stored import STORAGES


def study(storage: str, scheduler: str, folder: str) -> hpo.Study:
    options = STORAGES[storage](Path(folder))
    return hpo.Study(
        {"x": hpo.Float(0, 1)}, sampler="random", scheduler=scheduler, seed=0, name="reports", **options
    )


def pairs(storage: str, scheduler: str, n: int, steps: int) -> dict[str, Any]:
    """Seconds of a report and a question, for each trial of a study in which every trial is the best yet."""
    found, told = [], 0
    with tempfile.TemporaryDirectory() as folder:
        held = study(storage, scheduler, folder)
        for number in range(n):
            trial = held.ask()
            trial.steps(steps)
            began = time.perf_counter()
            for step in range(steps):
                trial.report(step, float(n - number) / (step + 1))
                told += trial.should_stop()
            found.append((time.perf_counter() - began) / steps)
            held.tell(trial, float(n - number) / steps)
        del held, trial
    return {"seconds": timing.spread(found), "told": told} | stamp()


def batches(storage: str, scheduler: str, n: int, steps: int) -> dict[str, Any]:
    """Seconds of a report of ``n`` trials at once, by step."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        held = study(storage, scheduler, folder)
        batch = held.ask(n)
        batch.steps(steps)
        losses = np.random.default_rng(0).random(n)
        for step in range(steps):
            began = time.perf_counter()
            batch.report(step, losses / (step + 1))
            batch.should_stop()
            found.append(time.perf_counter() - began)
        del held, batch
    return {"seconds": timing.spread(found)} | stamp()
