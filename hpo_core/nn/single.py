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
        reason = str(broken)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = "oom"
    # Here the exception is gone, and with it the frames that held on to tensors.
    release_memory()
    return failed(params, reason, values)


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
                weights = {name: t.detach().cpu().clone() for name, t in self.network.state_dict().items()}
            if report is not None and report(epoch, value):
                break
        return Trained(dict(self.params), best, best_epoch, tuple(values), weights)

    def _epoch(self) -> None:
        task = self.task
        self.network.train()
        previous = None
        order = task.train.shuffled(self.order, task.device)
        for rows in batches(order, self.settings.batch_size):
            if time.monotonic() > self.deadline:
                raise _Broken("timeout")
            inputs, targets = task.train.take(rows, task.device)
            self.optimizer.zero_grad()
            with task.autocast():
                loss = task.training_loss(
                    tensor_from(self.forward(inputs)), targets, self.settings.label_smoothing
                )
            # The loss before this one is known by now: looking at it does not make the device wait.
            _require_finite(previous)
            torch.autograd.backward(loss)
            self.optimizer.step()
            previous = loss.detach()
        _require_finite(previous)

    @torch.no_grad()
    def _validate(self) -> float:
        task = self.task
        self.network.eval()
        parts = []
        for rows in torch.split(torch.arange(len(task.validation)), VALIDATION_BATCH):
            inputs, targets = task.validation.take(rows, task.device)
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


def _require_finite(loss: Tensor | None) -> None:
    if loss is not None and not math.isfinite(loss.item()):
        raise _Broken("diverged")
