"""The epochs of a training, of one network or of several: validated, reported, the best weights kept."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from hpo_core.nn.trained import Trained, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from hpo_core.nn.checkpoint import Checkpoint
    from hpo_core.nn.task import Task

    # report(epoch, members, values) -> mask of the members that are told to stop, or None
    Report: TypeAlias = Callable[[int, NDArray[np.int64], NDArray[np.float64]], NDArray[np.bool_] | None]


# A worker that is killed loses no more of a trial whose study has a folder for checkpoints; one that takes
# a second to write costs 2 %.
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True)
class Member:
    """A training to be done.

    Attributes
    ----------
    params : mapping
        The configuration.
    seed : int
        Of weights, order of examples and dropout.
    start : Checkpoint or None
        Where it goes on, if not at the beginning.
    save : callable or None
        ``save(epoch, checkpoint)`` keeps a checkpoint, which lacks "about".
    """

    params: Mapping[str, Any]
    seed: int
    start: Checkpoint | None = None
    save: Callable[[int, Checkpoint], None] | None = None

    @property
    def done(self) -> int:
        """Epochs that need not be trained again."""
        return 0 if self.start is None else len(self.start["values"])


class Trainee(Protocol):
    """Networks under training, a row for each."""

    def train(self) -> NDArray[np.bool_] | None:
        """Train for an epoch: mask of the rows whose losses were finite, or None if time ran out."""

    def validate(self, finite: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Value of each row, NaN for those that were not finite."""

    def weights(self, rows: Sequence[int]) -> list[dict[str, Tensor]]:
        """Copies of the weights of some rows, on the CPU."""

    def states(self, rows: Sequence[int]) -> list[Checkpoint]:
        """The state of some rows on which their next epoch depends, as in a checkpoint."""

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows only."""


@dataclass
class Progress:
    """The progress of one configuration."""

    member: Member
    epochs: int  # wanted
    value: float = math.nan
    epoch: int = -1
    values: list[float] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    reason: str | None = None

    def __post_init__(self) -> None:
        start = self.member.start
        if start is not None:
            self.value, self.epoch = start["value"], start["epoch"]
            self.values, self.weights = list(start["values"]), start["best"]

    def save(self, epoch: int, state: Checkpoint) -> None:
        """Save a checkpoint after an epoch, of which the trainee has this state."""
        reached = {"value": self.value, "epoch": self.epoch, "values": self.values, "best": self.weights}
        if self.member.save is not None:
            self.member.save(epoch, reached | state)

    def trained(self) -> Trained:
        """Return it as users see it."""
        params = self.member.params
        if self.reason is not None:
            return failed(params, self.reason, self.values)
        return Trained(dict(params), self.value, self.epoch, tuple(self.values), self.weights)


def train_epochs(
    trainee: Trainee,
    progress: Sequence[Progress],
    task: Task,
    report: Report,
    members: NDArray[np.int64],
) -> None:
    """Train until every row has had its epochs, has diverged, is told to stop, or time runs out.

    Row k of the trainee is at first ``progress[k]``, and ``members[k]`` to ``report``. All begin at the
    same epoch. One that is told to stop saves a checkpoint, and so do all from time to time.
    """
    rows = np.arange(len(members))  # those that still train

    def leave(mask: NDArray[np.bool_], reason: str | None) -> None:
        nonlocal rows
        if mask.any():
            for row in rows[mask].tolist():
                progress[row].reason = reason
            rows = rows[~mask]
            trainee.keep(np.flatnonzero(~mask))

    def save(chosen: NDArray[np.bool_]) -> None:
        wanted = [k for k in np.flatnonzero(chosen).tolist() if progress[rows[k]].member.save]
        for row, state in zip(rows[wanted].tolist(), trainee.states(wanted), strict=True):
            progress[row].save(epoch, state)

    epoch = progress[0].member.done
    saved = time.monotonic()
    leave(np.array([epoch >= each.epochs for each in progress]), None)
    while len(rows):
        finite = trainee.train()
        if finite is None:
            leave(np.ones(len(rows), np.bool_), "timeout")
            return
        values = trainee.validate(finite)
        leave(~np.isfinite(values), "diverged")
        values = values[np.isfinite(values)]
        if not len(rows):
            return
        here = [progress[row] for row in rows.tolist()]
        improved = [k for k, value in enumerate(values.tolist()) if task.better(value, here[k].value)]
        for each, value in zip(here, values.tolist(), strict=True):
            each.values.append(value)
        for k, weights in zip(improved, trainee.weights(improved), strict=True):
            here[k].value, here[k].epoch, here[k].weights = values.item(k), epoch, weights
        told = report(epoch, members[rows], values)
        stop = np.zeros(len(rows), np.bool_) if told is None else told
        ended = np.array([epoch + 1 >= each.epochs for each in here])
        due = time.monotonic() - saved >= SECONDS_BETWEEN_CHECKPOINTS
        save(~ended & (stop | due))
        saved = time.monotonic() if due else saved
        epoch += 1
        leave(ended | stop, None)
