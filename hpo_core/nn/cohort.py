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
from hpo_core.nn.epochs import Progress, train_epochs
from hpo_core.nn.stack import Stack, StackedOptimizer
from hpo_core.nn.task import (
    VALIDATION_BATCH,
    batches,
    is_out_of_memory,
    release_memory,
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

    from hpo_core.nn.epochs import Report
    from hpo_core.nn.task import Task
    from hpo_core.nn.trained import Trained
    from hpo_core.nn.training import Training


def cohorts(configurations: Sequence[Mapping[str, Any]], vary: Collection[str]) -> list[NDArray[np.int64]]:
    """Return the positions of configurations that agree in everything that shapes a training.

    May differ within a cohort: learning rate, momentum, betas, weight decay, label smoothing, epochs,
    and the parameters in ``vary``.
    """
    free = PER_MEMBER | set(vary)
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for k, params in enumerate(configurations):
        # repr tells 1 from True and from 1.0, and hashes whatever a choice may be.
        groups[
            tuple(sorted((name, repr(value)) for name, value in params.items() if name not in free))
        ].append(k)
    return [np.array(rows) for rows in groups.values()]


def train_members(
    task: Task,
    configurations: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    report: Report,
    *,
    vary: Collection[str],
) -> list[Trained]:
    """Train configurations of one architecture together, or one after another where the task cannot."""
    _require_one_cohort(configurations, vary)
    members = np.arange(len(seeds))
    if len(seeds) == 1 or task.train.tensors is None or task.validation.tensors is None:
        return [
            train_single(task, configurations[k], s, report, members[k : k + 1]) for k, s in enumerate(seeds)
        ]
    return _train_together(task, configurations, seeds, report, members)


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


def _require_one_cohort(configurations: Sequence[Mapping[str, Any]], vary: Collection[str]) -> None:
    groups = cohorts(configurations, vary)
    if len(groups) > 1:
        one, other = configurations[groups[0][0]], configurations[groups[1][0]]
        names = [name for name in one.keys() | other.keys() if repr(one.get(name)) != repr(other.get(name))]
        names = sorted(set(names) - PER_MEMBER - set(vary))
        raise ArgumentError(
            f"configurations differ in {', '.join(map(repr, names))}; in a cohort only "
            f"{', '.join(sorted(PER_MEMBER | set(vary)))} may differ"
        )


def _train_together(
    task: Task,
    configurations: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    report: Report,
    members: NDArray[np.int64],
) -> list[Trained]:
    """Train the configurations at the positions ``members``; in halves where memory runs out."""
    try:
        with seeded(seeds[members[0]], task.device):
            return _train_stack(task, configurations, seeds, report, members)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    if len(members) == 1:
        return [failed(configurations[members[0]], "oom")]
    halves = np.array_split(members, 2)
    return [each for half in halves for each in _train_together(task, configurations, seeds, report, half)]


def _train_stack(
    task: Task,
    configurations: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    report: Report,
    members: NDArray[np.int64],
) -> list[Trained]:
    chosen = [configurations[k] for k in members.tolist()]
    settings = [task.settings(params) for params in chosen]
    progress = [Progress(params, each.epochs) for params, each in zip(chosen, settings, strict=True)]
    cohort = _Cohort(task, chosen, settings, [seeds[k] for k in members.tolist()])
    train_epochs(cohort, progress, task.better, report, members)
    return [each.trained() for each in progress]


class _Cohort:
    """Networks under training as one stack, a row for each."""

    def __init__(
        self,
        task: Task,
        configurations: Sequence[Mapping[str, Any]],
        settings: Sequence[Training],
        seeds: Sequence[int],
    ) -> None:
        self.task = task
        self.settings = settings
        self.deadline = time.monotonic() + task.timeout * len(seeds)
        networks = []
        for params, seed in zip(configurations, seeds, strict=True):
            seed_all(seed, task.device)
            networks.append(task.network(params))
        self.stack = Stack(networks)
        self.loss = self.stack.map(task.training_loss)
        self.optimizer = StackedOptimizer(self.stack, settings)
        self.orders = [torch.Generator().manual_seed(seed) for seed in seeds]

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
        return [{name: state[name][row].clone() for name in self.stack.saved} for row in rows]

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.settings = [self.settings[row] for row in rows]
        self.orders = [self.orders[row] for row in rows]
        kept = torch.from_numpy(rows).to(self.task.device)
        self.stack.keep(kept)
        self.optimizer.keep(kept)
