"""Cohorts: configurations of one architecture, trained together as one stack of weights."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hpo_core.checks import check_int, shown
from hpo_core.errors import ArgumentError
from hpo_core.nn.checkpoint import load_weights
from hpo_core.nn.epochs import Progress, train_epochs
from hpo_core.nn.stack import Stack, StackedOptimizer
from hpo_core.nn.task import (
    VALIDATION_BATCH,
    batches,
    generator_states,
    is_out_of_memory,
    release_memory,
    restore_generators,
    seed_all,
    seeded,
)
from hpo_core.nn.trained import failed
from hpo_core.nn.trainer import train_single
from hpo_core.nn.training import PER_MEMBER

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from torch import Tensor

    from hpo_core.nn.checkpoint import Checkpoint
    from hpo_core.nn.epochs import Member, Report
    from hpo_core.nn.task import Task
    from hpo_core.nn.trained import Trained
    from hpo_core.nn.training import Training


def cohorts(members: Sequence[Member], vary: Collection[str]) -> list[NDArray[np.int64]]:
    """Return the positions of members that agree in everything that shapes a training and in its first epoch.

    May differ within a cohort: learning rate, momentum, betas, weight decay, label smoothing, epochs,
    and the parameters in ``vary``.
    """
    free = PER_MEMBER | set(vary)
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for k, member in enumerate(members):
        # repr tells 1 from True and from 1.0, and hashes whatever a choice may be.
        shape = sorted((name, repr(value)) for name, value in member.params.items() if name not in free)
        groups[(member.done, *shape)].append(k)
    return [np.array(rows) for rows in groups.values()]


def train_members(
    task: Task,
    members: Sequence[Member],
    report: Report,
    *,
    vary: Collection[str],
) -> list[Trained]:
    """Train configurations of one architecture together, or one after another where the task cannot.

    All begin at the same epoch.
    """
    if not members:
        return []
    _require_one_cohort(members, vary)
    if len(members) == 1 or task.train.tensors is None or task.validation.tensors is None:
        return [train_single(task, member, report, k) for k, member in enumerate(members)]
    return _train_together(task, members, report, np.arange(len(members)))


def check_configurations(configurations: Any, seeds: Any) -> list[int]:
    """Return the seeds as ints, one per configuration."""
    if not isinstance(configurations, Sequence) or not all(isinstance(c, Mapping) for c in configurations):
        raise ArgumentError(f"configurations must be a sequence of mappings, got {shown(configurations)}")
    numbers = list(seeds) if hasattr(seeds, "__iter__") else []
    if len(numbers) != len(configurations):
        raise ArgumentError(
            f"seeds must be ints, one for each of {len(configurations)} configurations, got {shown(seeds)}"
        )
    return [check_int(f"seeds[{k}]", seed, 0, 2**63 - 1) for k, seed in enumerate(numbers)]


def _require_one_cohort(members: Sequence[Member], vary: Collection[str]) -> None:
    groups = cohorts(members, vary)
    if len(groups) > 1:
        one, other = (members[group[0]].params for group in groups[:2])
        names = [name for name in one.keys() | other.keys() if repr(one.get(name)) != repr(other.get(name))]
        names = sorted(set(names) - PER_MEMBER - set(vary))
        raise ArgumentError(
            f"configurations differ in {', '.join(map(repr, names))}; in a cohort only "
            f"{', '.join(sorted(PER_MEMBER | set(vary)))} may differ"
        )


def _train_together(
    task: Task, members: Sequence[Member], report: Report, positions: NDArray[np.int64]
) -> list[Trained]:
    """Train members, which are at some positions to ``report``; in halves where memory runs out."""
    try:
        with seeded(members[0].seed, task.device):
            return _train_stack(task, members, report, positions)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    if len(members) == 1:
        return [failed(members[0].params, "oom")]
    half = (len(members) + 1) // 2
    parts = ((members[:half], positions[:half]), (members[half:], positions[half:]))
    return [each for part, at in parts for each in _train_together(task, part, report, at)]


def _train_stack(
    task: Task, members: Sequence[Member], report: Report, positions: NDArray[np.int64]
) -> list[Trained]:
    settings = [task.settings(member.params) for member in members]
    progress = [Progress(member, each.epochs) for member, each in zip(members, settings, strict=True)]
    train_epochs(_Cohort(task, members, settings), progress, task, report, positions)
    return [each.trained() for each in progress]


class _Cohort:
    """Networks under training as one stack, a row for each."""

    def __init__(self, task: Task, members: Sequence[Member], settings: Sequence[Training]) -> None:
        self.task = task
        self.settings = settings
        self.deadline = time.monotonic() + task.timeout * len(members)
        networks = []
        for member in members:
            seed_all(member.seed, task.device)
            networks.append(task.network(member.params))
            if member.start is not None:
                load_weights(networks[-1], member.start)
        self.stack = Stack(networks)
        self.loss = self.stack.map(task.training_loss)
        self.optimizer = StackedOptimizer(self.stack, settings)
        self.orders = [torch.Generator().manual_seed(member.seed) for member in members]
        starts = [member.start for member in members if member.start is not None]
        if starts:
            self._go_on(starts)

    def _go_on(self, starts: Sequence[Checkpoint]) -> None:
        self.optimizer.load([start["moments"] for start in starts])
        for order, start in zip(self.orders, starts, strict=True):
            order.set_state(start["order"])
        restore_generators(starts[0]["generators"], self.task.device)

    def train(self) -> NDArray[np.bool_] | None:
        task = self.task
        self.stack.train(True)
        finite = torch.ones(len(self.settings), dtype=torch.bool, device=task.device)
        smoothing = self._smoothing()
        n = len(task.train)
        order = torch.stack([torch.randperm(n, generator=generator) for generator in self.orders])
        for rows in batches(order.to(task.device), self.settings[0].batch_size):
            if time.monotonic() > self.deadline:
                return None
            inputs, targets = task.train.take(rows, task.device)
            with task.autocast():
                losses = self.loss(inputs, targets, smoothing)
            # Each loss depends on its own member only, so the gradient of the sum is everyone's own.
            weights = list(self.stack.weights.values())
            self.optimizer.step(torch.autograd.grad(losses.sum(), weights, materialize_grads=True))
            finite &= losses.detach().isfinite()
        return np.asarray(finite.cpu().numpy())

    def _smoothing(self) -> Tensor | float:
        column = [each.label_smoothing for each in self.settings]
        return self.optimizer.column(column) if any(column) else 0.0

    @torch.no_grad()
    def validate(self, finite: NDArray[np.bool_]) -> NDArray[np.float64]:
        task = self.task
        self.stack.train(False)
        parts = []
        for inputs, targets in task.validation.in_order(VALIDATION_BATCH, task.device):
            with task.autocast():
                parts.append((self.stack.outputs(inputs), targets))
        outputs, targets = (
            torch.cat([part for part, _ in parts], dim=1),
            torch.cat([part for _, part in parts]),
        )
        if task.metric is None:
            losses = torch.vmap(lambda each: task.training_loss(each, targets, 0.0))(outputs)
            return np.where(finite, losses.cpu().double().numpy(), math.nan)
        pairs = zip(outputs, finite, strict=True)
        return np.array([task.score(each, targets) if ok else math.nan for each, ok in pairs])

    def weights(self, rows: Sequence[int]) -> list[dict[str, Tensor]]:
        state = {name: tensor.detach().cpu() for name, tensor in self.stack.state().items()} if rows else {}
        return [{name: state[own][row].clone() for name, own in self.stack.saved.items()} for row in rows]

    def states(self, rows: Sequence[int]) -> list[Checkpoint]:
        generators = generator_states(self.task.device) if rows else {}
        parts = zip(rows, self.weights(rows), self.optimizer.states(rows), strict=True)
        return [
            {
                "weights": weights,
                "moments": moments,
                "order": self.orders[row].get_state(),
                "generators": generators,
            }
            for row, weights, moments in parts
        ]

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.settings = [self.settings[row] for row in rows]
        self.orders = [self.orders[row] for row in rows]
        kept = torch.from_numpy(rows).to(self.task.device)
        self.stack.keep(kept)
        self.optimizer.keep(kept)
