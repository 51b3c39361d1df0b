"""scikit-learn's ``GaussianProcessRegressor.fit``: a scaled Matern-5/2 and white noise.

It has no priors. Lengthscales are bounded as hpo_core's; targets are normalised; no restarts, the
default.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from bench import machine
from bench.surrogates import clock

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def _cold(x: Any, y: Any) -> GaussianProcessRegressor:
    matern = Matern(np.ones(x.shape[1]), length_scale_bounds=(1e-2, 1e3), nu=2.5)
    return GaussianProcessRegressor(ConstantKernel() * matern + WhiteKernel(), normalize_y=True).fit(x, y)


def _found(model: GaussianProcessRegressor) -> dict[str, Any]:
    scaled, white = model.kernel_.k1, model.kernel_.k2
    return {
        "lengthscale": scaled.k2.length_scale.tolist(),
        "noise": float(white.noise_level / scaled.k1.constant_value),
        "mean": float(model._y_train_mean),
    }


def fit(n: int, repeats: int) -> dict[str, Any]:
    stamp = {"library": "scikit-learn", "versions": machine.versions("scikit-learn", "scipy", "numpy")}
    return clock.measure(_cold, _found, n, repeats) | stamp
