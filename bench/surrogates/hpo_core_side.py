"""hpo_core's ``GaussianProcess().fit``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bench import machine
from bench.surrogates import clock
from hpo_core.gp.regression import GaussianProcess
from hpo_core.native import set_num_threads

# As many threads as the peers have.
set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def fit(n: int, repeats: int) -> dict[str, Any]:
    def cold(x: Any, y: Any) -> GaussianProcess:
        return GaussianProcess().fit(x, y)

    def found(model: GaussianProcess) -> dict[str, Any]:
        return {"lengthscale": model.lengthscale.tolist(), "noise": model.noise, "mean": model.mean}

    def columns(x: Any) -> Any:
        return np.ascontiguousarray(x.T)

    stamp = {"library": "hpo_core", "versions": machine.versions("hpo_core", "numpy")}
    return clock.measure(cold, found, n, repeats, inputs=columns) | stamp
