"""The training of one network, with an optimizer of torch."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from hpo_core.nn.checkpoint import load_weights
from hpo_core.nn.epochs import Progress, train_epochs
from hpo_core.nn.task import (
    VALIDATION_BATCH,
    batches,
    generator_states,
    is_out_of_memory,
    release_memory,
    restore_generators,
    seeded,
    tensor_from,
)
from hpo_core.nn.trained import failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from hpo_core.nn.checkpoint import Checkpoint
    from hpo_core.nn.epochs import Member, Report
    from hpo_core.nn.task import Task
    from hpo_core.nn.trained import Trained
    from hpo_core.nn.training import Training

# To read a loss is to wait until the device has caught up; this seldom, that costs next to nothing.
STEPS_BETWEEN_LOOKS = 32


def train_single(task: Task, member: Member, report: Report, position: int = 0) -> Trained:
    """Train one configuration, which is at ``position`` to ``report``."""
    progress = Progress(member, task.settings(member.params).epochs)
    try:
        with seeded(member.seed, task.device):
            train_epochs(_Single(task, member), [progress], task, report, np.array([position]))
            return progress.trained()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Here the exception is gone, and with it the frames that held on to tensors.
    release_memory()
    return failed(member.params, "oom", progress.values)


class _Single:
    """One network under training."""

    def __init__(self, task: Task, member: Member) -> None:
        self.task = task
        self.settings = task.settings(member.params)
        self.deadline = time.monotonic() + task.timeout
        self.network = task.network(member.params)
        self.forward: Callable[[Tensor], Tensor] = self.network
        if self.settings.compile:
            torch.compiler.reset()  # after eight networks it would compile no other
            self.forward = torch.compile(self.network)
        self.optimizer = make_optimizer(self.network, self.settings)
        self.order = torch.Generator().manual_seed(member.seed)
        if member.start is not None:
            self._go_on(member.start)

    def _go_on(self, start: Checkpoint) -> None:
        load_weights(self.network, start)
        names = [name for name, _ in self.network.named_parameters()]
        moments = {k: start["moments"][name] for k, name in enumerate(names) if name in start["moments"]}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.order.set_state(start["order"])
        restore_generators(start["generators"], self.task.device)

    def train(self) -> NDArray[np.bool_] | None:
        task = self.task
        self.network.train()
        total: Tensor | float = 0.0
        every = 1 if task.device.type == "cpu" else STEPS_BETWEEN_LOOKS
        order = task.train.shuffled(self.order, task.device)
        for step, rows in enumerate(batches(order, self.settings.batch_size), 1):
            if time.monotonic() > self.deadline:
                return None
            inputs, targets = task.train.take(rows, task.device)
            self.optimizer.zero_grad()
            with task.autocast():
                loss = task.training_loss(
                    tensor_from(self.forward(inputs)), targets, self.settings.label_smoothing
                )
            total = total + loss.detach()
            if step % every == 0 and not math.isfinite(total):
                break
            torch.autograd.backward(loss)
            self.optimizer.step()
        return np.array([math.isfinite(total)])

    @torch.no_grad()
    def validate(self, finite: NDArray[np.bool_]) -> NDArray[np.float64]:
        if not finite.all():
            return np.array([math.nan])
        task = self.task
        self.network.eval()
        parts = []
        for inputs, targets in task.validation.in_order(VALIDATION_BATCH, task.device):
            with task.autocast():
                parts.append((tensor_from(self.forward(inputs)), targets))
        outputs, targets = (torch.cat(column) for column in zip(*parts, strict=True))
        return np.array([task.score(outputs, targets)])

    def weights(self, rows: Sequence[int]) -> list[dict[str, Tensor]]:
        state = self.network.state_dict().items() if rows else ()
        return [{name: tensor.detach().to("cpu", copy=True) for name, tensor in state} for _ in rows]

    def states(self, rows: Sequence[int]) -> list[Checkpoint]:
        names = [name for name, _ in self.network.named_parameters()] if rows else []
        moments = self.optimizer.state_dict()["state"] if rows else {}
        return [
            {
                "weights": weights,
                "moments": {names[k]: dict(of_one) for k, of_one in moments.items()},
                "order": self.order.get_state(),
                "generators": generator_states(self.task.device),
            }
            for weights in self.weights(rows)
        ]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Do nothing: once the only network leaves, none is left."""


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
