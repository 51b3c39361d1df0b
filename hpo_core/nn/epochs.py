"""The epochs of a training, of one network or of several: validated, reported, the best weights kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from hpo_core.nn.trained import Trained, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    # report(epoch, members, values) -> mask of the members that are told to stop, or None
    Report: TypeAlias = Callable[[int, NDArray[np.int64], NDArray[np.float64]], NDArray[np.bool_] | None]


class Trainee(Protocol):
    """Networks under training, a row for each."""

    def train(self) -> NDArray[np.bool_] | None:
        """Train for an epoch: mask of the rows whose losses were finite, or None if time ran out."""

    def validate(self, finite: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Value of each row, NaN for those that were not finite."""

    def weights(self, rows: Sequence[int]) -> list[dict[str, Tensor]]:
        """Copies of the weights of some rows, on the CPU."""

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows only."""


@dataclass
class Progress:
    """What one configuration has reached."""

    params: Mapping[str, Any]
    epochs: int  # wanted
    value: float = math.nan
    epoch: int = -1
    values: list[float] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    reason: str | None = None

    def trained(self) -> Trained:
        """Return it as users see it."""
        if self.reason is not None:
            return failed(self.params, self.reason, self.values)
        return Trained(dict(self.params), self.value, self.epoch, tuple(self.values), self.weights)


def train_epochs(
    trainee: Trainee,
    progress: Sequence[Progress],
    better: Callable[[float, float], bool],
    report: Report,
    members: NDArray[np.int64],
) -> None:
    """Train until every row has had its epochs, has diverged, is told to stop, or time runs out.

    Row k of the trainee is at first ``progress[k]``, and ``members[k]`` to ``report``.
    """
    rows = np.arange(len(members))  # those that still train

    def leave(mask: NDArray[np.bool_], reason: str | None) -> None:
        nonlocal rows
        if mask.any():
            for row in rows[mask].tolist():
                progress[row].reason = reason
            rows = rows[~mask]
            trainee.keep(np.flatnonzero(~mask))

    epoch = 0
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
        improved = [k for k, value in enumerate(values.tolist()) if better(value, here[k].value)]
        for each, value in zip(here, values.tolist(), strict=True):
            each.values.append(value)
        for k, weights in zip(improved, trainee.weights(improved), strict=True):
            here[k].value, here[k].epoch, here[k].weights = values.item(k), epoch, weights
        stop = report(epoch, members[rows], values)
        epoch += 1
        ended = np.array([epoch >= each.epochs for each in here])
        leave(ended if stop is None else ended | stop, None)
