"""One training: epochs of steps, each epoch validated, the best weights kept."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch

from hpo_core.nn.task import (
    VALIDATION_BATCH,
    batches,
    is_out_of_memory,
    release_memory,
    seeded,
    tensor_from,
)
from hpo_core.nn.trained import Trained, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from hpo_core.nn.task import Task
    from hpo_core.nn.training import Training

# To read a loss is to wait until the device has caught up; this seldom, that costs next to nothing.
STEPS_BETWEEN_LOOKS = 32


class _Broken(Exception):  # noqa: N818 - never leaves this file
    """Ends a training; its argument is the reason."""


def train_single(
    task: Task, params: Mapping[str, Any], seed: int, report: Callable[[int, float], object] | None = None
) -> Trained:
    """Train one configuration.

    ``report`` is called with each epoch and its value; it ends the training by returning True.
    """
    values: list[float] = []
    try:
        with seeded(seed, task.device):
            return _Run(task, params, seed).train(values, report)
    except _Broken as broken:
        return failed(params, str(broken), values)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Here the exception is gone, and with it the frames that held on to tensors.
    release_memory()
    return failed(params, "oom", values)


class _Run:
    """One training under way."""

    def __init__(self, task: Task, params: Mapping[str, Any], seed: int) -> None:
        self.task = task
        self.params = params
        self.settings = task.settings(params)
        self.deadline = time.monotonic() + task.timeout
        self.network = task.network(params)
        self.forward: Callable[[Tensor], Tensor] = self.network
        if self.settings.compile:
            torch.compiler.reset()  # after eight networks it would compile no other
            self.forward = torch.compile(self.network)
        self.optimizer = make_optimizer(self.network, self.settings)
        self.order = torch.Generator().manual_seed(seed)

    def train(self, values: list[float], report: Callable[[int, float], object] | None) -> Trained:
        best, best_epoch, weights = math.nan, -1, dict[str, Any]()
        for epoch in range(self.settings.epochs):
            self._epoch()
            value = self._validate()
            if not math.isfinite(value):
                raise _Broken("diverged")
            values.append(value)
            if self.task.better(value, best):
                best, best_epoch = value, epoch
                state = self.network.state_dict().items()
                weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state}
            if report is not None and report(epoch, value):
                break
        return Trained(dict(self.params), best, best_epoch, tuple(values), weights)

    def _epoch(self) -> None:
        task = self.task
        self.network.train()
        total: Tensor | float = 0.0
        every = 1 if task.device.type == "cpu" else STEPS_BETWEEN_LOOKS
        order = task.train.shuffled(self.order, task.device)
        for step, rows in enumerate(batches(order, self.settings.batch_size), 1):
            if time.monotonic() > self.deadline:
                raise _Broken("timeout")
            inputs, targets = task.train.take(rows, task.device)
            self.optimizer.zero_grad()
            with task.autocast():
                loss = task.training_loss(
                    tensor_from(self.forward(inputs)), targets, self.settings.label_smoothing
                )
            total = total + loss.detach()
            if step % every == 0:
                _require_finite(total)
            torch.autograd.backward(loss)
            self.optimizer.step()
        _require_finite(total)

    @torch.no_grad()
    def _validate(self) -> float:
        task = self.task
        self.network.eval()
        parts = []
        for inputs, targets in task.validation.in_order(VALIDATION_BATCH, task.device):
            with task.autocast():
                parts.append((tensor_from(self.forward(inputs)), targets))
        outputs, targets = (torch.cat(column) for column in zip(*parts, strict=True))
        return task.score(outputs, targets)


def make_optimizer(network: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Return the optimizer of ``torch.optim`` that the settings describe."""
    weights = list(network.parameters())
    lr, decay = settings.lr, settings.weight_decay
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return torch.optim.SGD(
            weights, lr=lr, momentum=settings.momentum, nesterov=nesterov, weight_decay=decay
        )
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, lr=lr, betas=(settings.beta1, settings.beta2), weight_decay=decay)


def _require_finite(total: Tensor | float) -> None:
    if not math.isfinite(total):
        raise _Broken("diverged")
