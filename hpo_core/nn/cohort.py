"""Cohorts: configurations of one architecture, trained together as one stack of weights."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from hpo_core.checks import check_int, shown
from hpo_core.errors import ArgumentError
from hpo_core.nn.stack import Stack, StackedOptimizer
from hpo_core.nn.task import (
    VALIDATION_BATCH,
    batches,
    is_out_of_memory,
    release_memory,
    seed_all,
    seeded,
)
from hpo_core.nn.trained import Trained, failed
from hpo_core.nn.trainer import train_single
from hpo_core.nn.training import PER_MEMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray
    from torch import Tensor

    from hpo_core.nn.task import Task

    # report(epoch, members, values) -> mask of the members that are told to stop, or None
    Report: TypeAlias = Callable[[int, NDArray[np.int64], NDArray[np.float64]], NDArray[np.bool_] | None]


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
            _train_alone(task, configurations[k], s, report, members[k : k + 1]) for k, s in enumerate(seeds)
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


def _train_alone(
    task: Task, params: Mapping[str, Any], seed: int, report: Report, member: NDArray[np.int64]
) -> Trained:
    def report_one(epoch: int, value: float) -> bool:
        stop = report(epoch, member, np.array([value]))
        return stop is not None and bool(stop[0])

    return train_single(task, params, seed, report_one)


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
            return _Run(task, configurations, seeds, report, members).train()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    if len(members) == 1:
        return [failed(configurations[members[0]], "oom")]
    halves = np.array_split(members, 2)
    return [each for half in halves for each in _train_together(task, configurations, seeds, report, half)]


class _Run:
    """A cohort under way. Row k of the stack is the member ``members[k]``."""

    def __init__(
        self,
        task: Task,
        configurations: Sequence[Mapping[str, Any]],
        seeds: Sequence[int],
        report: Report,
        members: NDArray[np.int64],
    ) -> None:
        self.task = task
        self.configurations = configurations
        self.report = report
        self.members = members
        self.settings = [task.settings(configurations[k]) for k in members.tolist()]
        self.deadline = time.monotonic() + task.timeout * len(members)
        networks = []
        for k in members.tolist():
            seed_all(seeds[k], task.device)
            networks.append(task.network(configurations[k]))
        self.stack = Stack(networks)
        self.loss = self.stack.map(task.training_loss)
        self.optimizer = StackedOptimizer(self.stack, self.settings)
        self.orders = [torch.Generator().manual_seed(seeds[k]) for k in members]
        self.results = {k: _Best() for k in members.tolist()}

    def train(self) -> list[Trained]:
        members, epoch = self.members, 0
        while len(self.members):
            if not self._epoch():
                self._leave(np.ones(len(self.members), np.bool_), "timeout")
                break
            values = self._validate()
            self._leave(~np.isfinite(values), "diverged")
            values = values[np.isfinite(values)]
            if len(values):
                self._keep_best(epoch, values)
                stop = self.report(epoch, self.members, values)
                epoch += 1
                ended = np.array([epoch >= each.epochs for each in self.settings])
                self._leave(ended if stop is None else ended | stop, None)
        return [self.results[k].trained(self.configurations[k]) for k in members.tolist()]

    def _epoch(self) -> bool:
        """Train every member for an epoch; False if time runs out."""
        task = self.task
        self.stack.train(True)
        finite = torch.ones(len(self.members), dtype=torch.bool, device=task.device)
        smoothing = self._smoothing()
        n = len(task.train)
        order = torch.stack([torch.randperm(n, generator=generator) for generator in self.orders])
        for rows in batches(order.to(task.device), self.settings[0].batch_size):
            if time.monotonic() > self.deadline:
                return False
            inputs, targets = task.train.take(rows, task.device)
            with task.autocast():
                losses = self.loss(inputs, targets, smoothing)
            # Each loss depends on its own member only, so the gradient of the sum is everyone's own.
            weights = list(self.stack.weights.values())
            self.optimizer.step(torch.autograd.grad(losses.sum(), weights, materialize_grads=True))
            finite &= losses.detach().isfinite()
        self.finite = finite.cpu().numpy()
        return True

    def _smoothing(self) -> Tensor | float:
        column = [each.label_smoothing for each in self.settings]
        return self.optimizer.column(column) if any(column) else 0.0

    @torch.no_grad()
    def _validate(self) -> NDArray[np.float64]:
        """Value of every member, NaN for those that have diverged."""
        task = self.task
        self.stack.train(False)
        parts = []
        for inputs, targets in task.validation.in_order(VALIDATION_BATCH, task.device):
            with task.autocast():
                parts.append((self.stack.outputs(inputs), targets))
        outputs = torch.cat([part for part, _ in parts], dim=1)
        return self._scores(outputs, torch.cat([part for _, part in parts]))

    def _scores(self, outputs: Tensor, targets: Tensor) -> NDArray[np.float64]:
        task = self.task
        if task.metric is None:
            losses = torch.vmap(lambda each: task.training_loss(each, targets, 0.0))(outputs)
            return np.where(self.finite, losses.cpu().double().numpy(), math.nan)
        pairs = zip(outputs, self.finite, strict=True)
        return np.array([task.score(each, targets) if ok else math.nan for each, ok in pairs])

    def _keep_best(self, epoch: int, values: NDArray[np.float64]) -> None:
        state = {name: tensor.detach().cpu() for name, tensor in self.stack.state().items()}
        for row, (member, value) in enumerate(zip(self.members.tolist(), values.tolist(), strict=True)):
            best = self.results[member]
            best.values.append(value)
            if self.task.better(value, best.value):
                best.value, best.epoch = value, epoch
                best.weights = {name: state[name][row].clone() for name in self.stack.saved}

    def _leave(self, mask: NDArray[np.bool_], reason: str | None) -> None:
        """Let members go; the stack holds only those that still train."""
        if not mask.any():
            return
        for member in self.members[mask].tolist():
            self.results[member].reason = reason
        kept = np.flatnonzero(~mask)
        self.members = self.members[kept]
        self.settings = [self.settings[row] for row in kept]
        self.orders = [self.orders[row] for row in kept]
        rows = torch.from_numpy(kept).to(self.task.device)
        self.stack.keep(rows)
        self.optimizer.keep(rows)


@dataclass
class _Best:
    """What a member has reached."""

    value: float = math.nan
    epoch: int = -1
    values: list[float] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    reason: str | None = None

    def trained(self, params: Mapping[str, Any]) -> Trained:
        if self.reason is not None:
            return failed(params, self.reason, self.values)
        return Trained(dict(params), self.value, self.epoch, tuple(self.values), self.weights)
