"""Trials per second of ``study.optimize`` with a trivial objective."""

from __future__ import annotations

from typing import Any

import hpo_core as hpo
from bench import timing
from bench.quality.peers.hpo_core_study import declare
from bench.samplers import cases
from bench.samplers.hpo_core_side import stamp


def optimize(space: str, sampler: str, n: int) -> dict[str, Any]:
    study = hpo.Study(hpo.Space({p.name: declare(p) for p in cases.SPACES[space]}), sampler=sampler, seed=0)
    seconds = timing.clock(lambda: study.optimize(lambda trial: cases.value(trial.params), n_trials=n))
    return {"per_second": n / seconds, **stamp()}
