"""GpFlash's ``GaussianProcess.fit``: a Matern-5/2, its defaults, the noise estimated. It has no priors."""

from __future__ import annotations

from typing import Any

import gpflash
import numpy as np

from bench import machine
from bench.surrogates import clock


def fit(n: int, repeats: int) -> dict[str, Any]:
    def cold(x: Any, y: Any) -> gpflash.GaussianProcess:
        return gpflash.GaussianProcess().fit(x, y, sig2_f_val=-1.0)

    def found(model: gpflash.GaussianProcess) -> dict[str, Any]:
        hyper = model.hp_val_struct()
        return {
            "lengthscale": (1.0 / np.asarray(hyper.hp_gamma_vec)).tolist(),
            "noise": hyper.hp_sig2_f_val / hyper.hp_sig2_k,
            "mean": float(np.asarray(model.hp_beta_vec())[0]),
        }

    stamp = {"library": "gpflash", "versions": machine.versions("gpflash", "numpy")}
    return clock.measure(cold, found, n, repeats) | stamp
