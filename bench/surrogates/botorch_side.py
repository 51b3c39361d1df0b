"""BoTorch's ``fit_gpytorch_mll`` of a ``SingleTaskGP``.

Not at its default: the kernel is Matern-5/2, as on the other sides, by BoTorch's own constructor with
BoTorch's own priors. The model has no output scale; its targets are standardised.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.mlls import ExactMarginalLogLikelihood

from bench import machine
from bench.surrogates import clock

warnings.filterwarnings("ignore")


def _cold(x: torch.Tensor, y: torch.Tensor) -> SingleTaskGP:
    kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=x.shape[1], use_rbf_kernel=False)
    model = SingleTaskGP(x, y, covar_module=kernel)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _found(model: SingleTaskGP) -> dict[str, Any]:
    standard = model.outcome_transform
    mean = model.mean_module.constant * standard.stdvs + standard.means
    return {
        "lengthscale": model.covar_module.lengthscale.detach().flatten().tolist(),
        "noise": model.likelihood.noise.item(),
        "mean": mean.item(),
    }


def fit(n: int, repeats: int) -> dict[str, Any]:
    versions = machine.versions("botorch", "gpytorch", "torch", "numpy")
    found = clock.measure(
        _cold, _found, n, repeats, inputs=torch.from_numpy, targets=lambda y: torch.from_numpy(y)[:, None]
    )
    return found | {"library": "botorch", "versions": versions}
