"""A small classification problem and networks for it."""

from __future__ import annotations

import torch
from torch import nn

from hpo_core.nn import Training, TrainingObjective


def points(n, *, seed, dtype=torch.float32):
    """Points in the plane, labelled by quadrant."""
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()


def mlp(params):
    width = params.get("width", 8)
    layers = [nn.Linear(2, width), nn.Tanh(), nn.Dropout(params.get("dropout", 0.0)), nn.Linear(width, 4)]
    return nn.Sequential(*layers)


def double_mlp(params):
    return mlp(params).double()


def objective(build=mlp, *, train=None, validation=None, training=None, **options):
    return TrainingObjective(
        build,
        points(96, seed=0) if train is None else train,
        points(64, seed=1) if validation is None else validation,
        training=Training(epochs=3, lr=0.05) if training is None else training,
        device="cpu",
        **options,
    )
