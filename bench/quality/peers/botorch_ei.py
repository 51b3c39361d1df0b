"""BoTorch: a Gaussian process at its defaults and the argmax of log expected improvement.

10 scrambled Sobol trials, then 10 restarts from 512 raw samples: the numbers of BoTorch's own
closed-loop tutorial. The rest of the choice is what its documentation advises:

floats alone    ``SingleTaskGP`` on the unit cube (log-scaled where the range is), ``optimize_acqf``
ordinals, ints  levels in [0, 1] for the same model, ``optimize_acqf_mixed_alternating``; of more than
                20 levels BoTorch makes a continuous relaxation by itself
categories      ``NumericToCategoricalEncoding`` (one-hot) before the same model, the same optimiser

``MixedSingleTaskGP``, BoTorch's other answer to categories, is not used: one fit of 20 trials takes
5 to 8 seconds on one thread, five times the one-hot model's.

BoTorch knows no conditions: ``coordinates`` says where an inactive parameter stands in the model. The
optimiser may move it, without effect on what is tried.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import NumericToCategoricalEncoding
from botorch.optim import optimize_acqf
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch.nn.functional import one_hot

from bench.quality.coordinates import coordinate, decode, encode, levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem

N_STARTUP, N_RESTARTS, N_RAW = 10, 10, 512

warnings.filterwarnings("ignore")  # of restarts that did not converge; BoTorch goes on with the best


class Space:
    """Bounds, levels and kinds of the coordinates, as BoTorch's optimisers take them."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        kinds = dict(enumerate(parameters))
        tops = [len(p.choices) - 1.0 if p.kind == "categorical" else 1.0 for p in parameters]
        self.bounds = torch.tensor([[0.0] * len(tops), tops], dtype=torch.double)
        grid = {i: [coordinate(p, v) for v in levels(p)] for i, p in kinds.items() if p.kind != "float"}
        self.categories = {i: grid[i] for i, p in kinds.items() if p.kind == "categorical"}
        self.discrete = {i: grid[i] for i in grid if i not in self.categories}


def fit(space: Space, x: torch.Tensor, y: torch.Tensor) -> SingleTaskGP:
    """A model of y (n, 1), maximised, at x (n, d)."""
    model = SingleTaskGP(x, y, input_transform=one_hot_encoding(space) if space.categories else None)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def one_hot_encoding(space: Space) -> NumericToCategoricalEncoding:
    sizes = {i: len(values) for i, values in space.categories.items()}
    encoders = {i: partial(one_hot, num_classes=size) for i, size in sizes.items()}
    return NumericToCategoricalEncoding(space.bounds.shape[1], sizes, encoders)


def suggest(space: Space, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    acquisition = LogExpectedImprovement(fit(space, x, y), best_f=y.max())
    options: dict[str, Any] = {"q": 1, "num_restarts": N_RESTARTS, "raw_samples": N_RAW}
    if space.discrete or space.categories:
        best, _ = optimize_acqf_mixed_alternating(
            acquisition, space.bounds, space.discrete, space.categories, **options
        )
    else:
        best, _ = optimize_acqf(acquisition, space.bounds, **options)
    point: list[float] = best[0].tolist()
    return point


class BoTorch:
    def __init__(self, problem: Problem, seed: int) -> None:
        torch.manual_seed(seed)
        self._parameters = problem.parameters
        self._space = Space(problem.parameters)
        sobol = torch.quasirandom.SobolEngine(len(problem.parameters), scramble=True, seed=seed)
        self._startup: list[list[float]] = sobol.draw(N_STARTUP).tolist()
        self._x: list[list[float]] = []
        self._y: list[float] = []

    def load(self, configs: list[Config], values: list[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            self.tell(config, value)

    def ask(self) -> tuple[Config, Config]:
        if len(self._y) < N_STARTUP:
            config = self._first(self._startup[len(self._y)])
        else:
            x, y = (torch.tensor(v, dtype=torch.double) for v in (self._x, self._y))
            config = decode(self._parameters, suggest(self._space, x, -y.unsqueeze(-1)))
        return config, config

    def _first(self, point: Sequence[float]) -> Config:
        config: Config = {}
        for p, u in zip(self._parameters, point, strict=True):
            if p.when is None or p.when.holds(config):
                config[p.name] = p.at(u)
        return config

    def tell(self, handle: Config, value: float) -> None:
        self._x.append(encode(self._parameters, handle))
        self._y.append(value)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    if settings:
        msg = f"botorch has no settings, got {sorted(settings)}"
        raise ValueError(msg)
    return BoTorch(problem, seed)
