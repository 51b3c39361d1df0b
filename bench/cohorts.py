"""Trainings per second in a cohort of 256, beside one model after another with torch.optim.

    python -m bench.cohorts

Digits, one hidden layer, batches of 32, one thread, float32. Each round times the plain loop, the cohort, and
the plain loop again, on the same configurations; what is printed is the median of the rounds, with the
least and the greatest ratio. First the losses of both are compared: seeds and order of examples are the same.
"""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hpo_core.nn import Training, TrainingObjective, train_cohort

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMBERS = 256
EPOCHS = 3
PLAIN = 8  # trainings of the plain loop, before and after each cohort
ROUNDS = 5
TRAINED_ON, VALIDATED_ON = slice(0, 1088), slice(1088, 1448)  # 34 batches of 32


def data() -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    pixels, digits = load_digits(return_X_y=True)
    images, labels = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits)
    return tuple((images[part], labels[part]) for part in (TRAINED_ON, VALIDATED_ON))


def build(params: Mapping[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Linear(64, params["width"]), nn.ReLU(), nn.Linear(params["width"], 10))


def configurations(optimizer: str, width: int) -> list[dict[str, Any]]:
    extra = {"momentum": 0.9} if optimizer == "sgd" else {}
    rates = np.geomspace(1e-3, 1e-1, MEMBERS).tolist()
    return [{"width": width, "optimizer": optimizer, "lr": lr, **extra} for lr in rates]


def train_plainly(params: Mapping[str, Any], seed: int) -> list[float]:
    """Validation loss of each epoch."""
    (images, digits), validation = data_sets
    torch.manual_seed(seed)
    network = build(params)
    if params["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(network.parameters(), lr=params["lr"], momentum=params["momentum"])
    else:
        optimizer = torch.optim.Adam(network.parameters(), lr=params["lr"])
    shuffle, losses = torch.Generator().manual_seed(seed), []
    for _ in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(images), generator=shuffle).split(32):
            optimizer.zero_grad()
            F.cross_entropy(network(images[rows]), digits[rows]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            losses.append(F.cross_entropy(network(validation[0]), validation[1]).item())
    return losses


def time_plain(settings: list[dict[str, Any]]) -> float:
    """Seconds per training."""
    chosen = range(0, MEMBERS, MEMBERS // PLAIN)
    started = time.perf_counter()
    for k in chosen:
        train_plainly(settings[k], k)
    return (time.perf_counter() - started) / len(chosen)


def compare(objective: TrainingObjective, optimizer: str, width: int) -> str:
    """A row of the table."""
    settings = configurations(optimizer, width)
    check_losses(objective, settings)
    plain, together = [], []
    for _ in range(ROUNDS):
        before = time_plain(settings)
        started = time.perf_counter()
        train_cohort(objective, settings, seeds=range(MEMBERS))
        together.append((time.perf_counter() - started) / MEMBERS)
        plain.append((before + time_plain(settings)) / 2)
    ratios = sorted(p / t for p, t in zip(plain, together, strict=True))
    rates = f"{1 / statistics.median(plain):>12.1f}{1 / statistics.median(together):>12.1f}"
    spread = f"{statistics.median(ratios):>8.1f}   {ratios[0]:.1f} to {ratios[-1]:.1f}"
    return f"64-{width}-10".ljust(12) + f"{optimizer:<6}{rates}{spread}"


def check_losses(objective: TrainingObjective, settings: list[dict[str, Any]]) -> None:
    """Both sides do the same work, up to what float32 makes of it over a few steps."""
    together = train_cohort(objective, settings, seeds=range(MEMBERS))
    for k in range(0, MEMBERS // 2, MEMBERS // PLAIN):  # large rates amplify rounding
        np.testing.assert_allclose(together[k].values, train_plainly(settings[k], k), rtol=5e-2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    data_sets = data()
    objective = TrainingObjective(
        build, *data_sets, training=Training(batch_size=32, epochs=EPOCHS), device="cpu"
    )
    versions = f"{platform.machine()}, PyTorch {torch.__version__}"
    print(f"{MEMBERS} trainings of {EPOCHS} epochs; {versions}, one thread")
    print(f"{'network':<12}{'':<6}{'plain /s':>12}{'cohort /s':>12}{'ratio':>8}   of {ROUNDS} rounds")
    for width in (32, 128):
        for optimizer in ("sgd", "adam"):
            print(compare(objective, optimizer, width), flush=True)
