"""Seconds of ask and tell with 10,000 trials on file over those with 1,000, through the public study."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.gate import ratios

SIZES = (10_000, 1000)
# Measured 1.0: a suggestion costs the same at any n. Work that followed n would make it 10.
AT_MOST = 2.0


def measure(sampler: str = "tpe") -> float:
    big, small = (_cycle(sampler, n) for n in SIZES)
    return ratios.measure(big, small)


def _cycle(sampler: str, n: int) -> Any:
    """ask and tell, on a study of n trials; the few dozen timed ones do not change n."""
    import hpo_core as hpo

    space = {f"x{i}": hpo.Float(0.0, 1.0) for i in range(6)} | {"c": hpo.Categorical(["a", "b", "c"])}
    study = hpo.Study(space, sampler=sampler, seed=0)
    rng = np.random.default_rng(0)
    startup = hpo.Study(space, sampler="random", seed=1)
    batch = startup.ask(n)
    for trial, value in zip(batch, rng.random(n).tolist(), strict=True):
        study.add(trial.params, value)
    values = iter(rng.random(100_000).tolist())

    def cycle() -> None:
        study.tell(study.ask(), next(values))

    cycle()
    return cycle
