"""scikit-learn's GaussianProcessRegressor and the argmax of expected improvement over random points.

Nothing in scikit-learn optimises an acquisition: it is the best of 2,560 candidates.
The kernel is the usual one (scaled Matern-5/2 with a lengthscale a column, and white noise), the
target normalised, no restarts (the default). Categories are one-hot columns; ``coordinates`` says where
an inactive parameter stands.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from bench.quality.coordinates import encode
from bench.quality.spec import draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Problem

CANDIDATES = 2560

warnings.filterwarnings("ignore", category=ConvergenceWarning)


class SklearnGP:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = problem.parameters
        self._rng = np.random.default_rng(seed)
        self._configs: list[Config] = []
        self._y: list[float] = []

    def load(self, configs: list[Config], values: list[float]) -> None:
        self._configs += configs
        self._y += values

    def ask(self) -> tuple[Config, Config]:
        x, y = self._columns(self._configs), np.array(self._y)
        kernel = ConstantKernel() * Matern(np.ones(x.shape[1]), nu=2.5) + WhiteKernel()
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(x, y)
        candidates = [draw(self._parameters, self._rng) for _ in range(CANDIDATES)]
        mean, deviation = model.predict(self._columns(candidates), return_std=True)
        config = candidates[int(np.argmax(expected_improvement(y.min() - mean, deviation)))]
        return config, config

    def _columns(self, configs: list[Config]) -> NDArray[np.float64]:
        """(n, columns): a number's place in its range, a category's indicators."""
        columns = []
        coordinates = np.array([encode(self._parameters, config) for config in configs]).T
        for p, u in zip(self._parameters, coordinates, strict=True):
            levels = range(len(p.choices)) if p.kind == "categorical" else ()
            columns += [(u == level).astype(float) for level in levels] or [u]
        return np.column_stack(columns)

    def tell(self, handle: Config, value: float) -> None:
        self.load([handle], [value])


def expected_improvement(gain: Any, deviation: Any) -> Any:
    z = gain / np.maximum(deviation, 1e-12)
    return gain * ndtr(z) + deviation * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    assert not settings
    return SklearnGP(problem, seed)
