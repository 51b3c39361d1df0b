"""Training as PyTorch's tutorials write it: one model, one optimizer of torch.optim, one loop."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F  # noqa: N812


def optimizer(weights, settings):
    lr, decay = settings["lr"], settings.get("weight_decay", 0.0)
    if settings["optimizer"] == "sgd":
        momentum = settings.get("momentum", 0.0)
        nesterov = settings.get("nesterov", False)
        return torch.optim.SGD(weights, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["optimizer"]]
    betas = (settings.get("beta1", 0.9), settings.get("beta2", 0.999))
    return kind(weights, lr=lr, betas=betas, weight_decay=decay)


def train(build, settings, train_set, validation_set, *, seed):
    """Validation loss after each epoch, and the weights in the end."""
    torch.manual_seed(seed)
    network = build(settings)
    step = optimizer(network.parameters(), settings)
    inputs, targets = train_set
    shuffle = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(settings["epochs"]):
        network.train()
        order = torch.randperm(len(inputs), generator=shuffle)
        for rows in torch.tensor_split(order, math.ceil(len(order) / settings["batch_size"])):
            step.zero_grad()
            smoothing = settings.get("label_smoothing", 0.0)
            F.cross_entropy(network(inputs[rows]), targets[rows], label_smoothing=smoothing).backward()
            step.step()
        network.eval()
        with torch.no_grad():
            losses.append(F.cross_entropy(network(validation_set[0]), validation_set[1]).item())
    return losses, network.state_dict()
