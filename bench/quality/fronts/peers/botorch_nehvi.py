"""BoTorch's qLogNEHVI as its tutorials of several objectives, with and without constraints, have it.

A ``SingleTaskGP`` for each outcome at its defaults in a ``ModelListGP``; 2 (d + 1) scrambled Sobol trials
first; 128 Sobol samples of the posterior, 10 restarts from 512 raw samples, batches of 5, 200 iterations;
dominated trials pruned from the baseline; constraints as callables, negative where they hold. The reference
is what ``infer_reference_point`` gives for the front of the feasible trials (of all, while none is), since no
optimiser is told the bench's. Levels and categories as in the one-objective bench: one-hot columns in the
model and ``optimize_acqf_mixed_alternating``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.optim import optimize_acqf
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import SumMarginalLogLikelihood

from bench.quality.coordinates import decode, encode
from bench.quality.peers.botorch_ei import N_RAW, N_RESTARTS, Space, one_hot_encoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.quality.fronts.optimiser import Optimiser
    from bench.quality.fronts.spec import Problem
    from bench.quality.spec import Config

N_SAMPLES = 128
STEPS = {"batch_limit": 5, "maxiter": 200}

warnings.filterwarnings("ignore")  # of restarts that did not converge; BoTorch goes on with the best


def fit(space: Space, x: torch.Tensor, outcomes: torch.Tensor) -> ModelListGP:
    """A model of each column of ``outcomes`` (n, M) at x (n, d)."""
    transform = one_hot_encoding(space) if space.categories else None
    model = ModelListGP(*(SingleTaskGP(x, y[:, None], input_transform=transform) for y in outcomes.T))
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    return model


def reference(objectives: torch.Tensor, feasible: torch.Tensor) -> torch.Tensor:
    """Of the front of feasible rows, maximised."""
    rows = objectives[feasible] if feasible.any() else objectives
    return infer_reference_point(rows[is_non_dominated(rows)])


def _slack(column: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda samples: samples[..., column]


def suggest(space: Space, x: torch.Tensor, outcomes: torch.Tensor, m: int, seed: int) -> list[float]:
    """A point that promises hypervolume; outcomes are m objectives, maximised, then constraints."""
    slacks = [_slack(j) for j in range(m, outcomes.shape[1])]
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        fit(space, x, outcomes),
        ref_point=reference(outcomes[:, :m], (outcomes[:, m:] <= 0).all(dim=1)),
        X_baseline=x,
        sampler=SobolQMCNormalSampler(torch.Size([N_SAMPLES]), seed=seed),
        prune_baseline=True,
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(m))),
        constraints=slacks or None,
    )
    options: dict[str, Any] = {"q": 1, "num_restarts": N_RESTARTS, "raw_samples": N_RAW, "options": STEPS}
    if space.discrete or space.categories:
        options["options"] = {}
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
        self._seed, self._m = seed, len(problem.objectives)
        self._parameters = problem.parameters
        self._space = Space(problem.parameters)
        d = len(problem.parameters)
        sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed)
        self._startup: list[list[float]] = sobol.draw(2 * (d + 1)).tolist()
        self._x: list[list[float]] = []
        self._outcomes: list[list[float]] = []

    def ask(self) -> tuple[Config, Config]:
        n = len(self._x)
        if n < len(self._startup):
            config = {p.name: p.at(u) for p, u in zip(self._parameters, self._startup[n], strict=True)}
        else:
            x, outcomes = (torch.tensor(v, dtype=torch.double) for v in (self._x, self._outcomes))
            point = suggest(self._space, x, outcomes, self._m, self._seed + n)
            config = decode(self._parameters, point)
        return config, config

    def tell(self, handle: Config, outcome: list[float]) -> None:
        self._x.append(encode(self._parameters, handle))
        self._outcomes.append([-f for f in outcome[: self._m]] + outcome[self._m :])


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    if settings:
        msg = f"botorch has no settings, got {sorted(settings)}"
        raise ValueError(msg)
    return BoTorch(problem, seed)
