"""Trials per second of ``study.optimize`` with a trivial objective, in-memory storage."""

from __future__ import annotations

from typing import Any

import optuna

from bench import machine, timing
from bench.quality.peers.optuna_study import SAMPLERS, suggest
from bench.samplers import cases


def optimize(space: str, sampler: str, n: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=SAMPLERS[sampler](seed=0))

    def objective(trial: optuna.Trial) -> float:
        return cases.value({p.name: suggest(trial, p) for p in cases.SPACES[space]})

    versions = machine.versions("optuna", "numpy")
    seconds = timing.clock(lambda: study.optimize(objective, n_trials=n))
    return {"per_second": n / seconds, "library": "optuna", "versions": versions, "threads": 1}
