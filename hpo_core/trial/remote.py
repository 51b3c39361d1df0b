"""Trials in workers: a ``Trial`` of a study that holds nothing else, and a channel to the real study."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hpo_core.checks import as_json, check_step
from hpo_core.errors import TrialError
from hpo_core.log import History
from hpo_core.log.events import Asked, Noted, Reported, Resumed, Retried
from hpo_core.space import Space
from hpo_core.trial.handles import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hpo_core.log.events import Event
    from hpo_core.metrics import Metrics
    from hpo_core.trial.handles import OwningStudy

_ROW = np.zeros(1, np.int64)  # row of the trial in the history of a worker


class ChannelLike(Protocol):
    """The part of a channel that a trial needs."""

    @property
    def ended(self) -> str:
        """State in which the trial has ended, empty while it runs."""

    def report(self, step: int, value: Any, steps: int = 0) -> bool:
        """Send an intermediate value; False if the trial has ended."""

    def note(self, notes: dict[str, Any]) -> bool:
        """Keep notes for the result; False if the trial has ended."""

    def should_stop(self) -> bool:
        """Ask whether to end early."""


@dataclass(frozen=True)
class RemoteTrials:
    """Makes the trials of a worker. This is sent once; ``arguments_of`` gives the arguments for each trial.

    Parameters
    ----------
    names : tuple of str
        Parameters of the space.
    seed : int
        Seed of the study.
    metrics : Metrics
        Without functions, which a worker does not need and might not be able to have.
    study : str
        Name of the study.
    checkpoints : Path or None
        Folder of its checkpoints.
    """

    names: tuple[str, ...]
    seed: int
    metrics: Metrics
    study: str = ""
    checkpoints: Path | None = None

    @classmethod
    def of(cls, study: OwningStudy) -> RemoteTrials:
        """Return the maker for the trials of a study."""
        names, metrics = tuple(study.space.parameters), study.metrics.without_functions()
        return cls(names, study.seed, metrics, study.name, study.checkpoints)

    def __call__(
        self,
        channel: ChannelLike,
        number: int,
        params: dict[str, Any],
        origin: str = "",
        retries: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
        reports: Sequence[tuple[int, Any]] = (),
        continued: bool = False,  # noqa: FBT001, FBT002 - sent with the others
    ) -> Trial:
        """Make a trial of this worker."""
        events: list[Event] = [Asked(0, np.empty((0, 1)), 0, origin)]
        events += [Retried(_ROW, "", reason) for reason in retries]
        if continued:
            events.append(Resumed(_ROW, 0, math.nan))
        if notes:
            events.append(Noted(_ROW, (notes,)))
        reader = self.metrics.reader
        events += [self.reported(step, np.array(reader.one(value))[:, np.newaxis]) for step, value in reports]
        return Trial(_RemoteStudy(self, channel, number, events), number, row=0, params=params)

    def reported(self, step: int, told: NDArray[np.float64]) -> Reported:
        """Return the event of a report, (measured, 1) as read; the worker does not compute known metrics."""
        y = self.metrics.signed(told)
        return Reported(_ROW, step, y[0] if len(y) == 1 else y)


def arguments_of(trial: Trial) -> tuple[Any, ...]:
    """Return the arguments of ``RemoteTrials`` for a trial, which a worker is sent."""
    has_reports = trial._study.history.last_report.item(trial.number) >= 0
    reports = trial.reports if has_reports else []
    continued = trial._study.history.continued.item(trial.number)
    return trial.number, trial.params, trial.origin, trial.retries, trial.notes, reports, continued


class _RemoteStudy:
    """A study as a worker knows it: one trial, and the channel to the real study."""

    def __init__(self, about: RemoteTrials, channel: ChannelLike, number: int, events: list[Event]) -> None:
        self.space = _constants(about.names)
        self.seed = about.seed
        self.metrics = about.metrics
        self.name = about.study
        self.checkpoints = about.checkpoints
        self._about = about
        self._steps = 0  # that the trial takes in all, until that is sent
        self._channel = channel
        self._number = number
        self._events = events  # not applied to the history yet
        self._runs_again = any(isinstance(event, Resumed | Retried) for event in events)
        self._history: History | None = None

    @property
    def history(self) -> History:
        """History of the one trial, made when first needed: that takes as long as a brief trial."""
        if self._history is None:
            self._history = History(self.space.layout, self.metrics)
        while self._events:
            self._history.apply(self._events.pop(0))
        return self._history

    def _has_run(self, _: int) -> bool:
        return self._runs_again  # without the history, which takes longer than all the rest to make

    def _plan(self, _: NDArray[np.int64], steps: int) -> None:
        self._steps = steps

    def _report(self, _: NDArray[np.int64], step: int, values: NDArray[np.float64]) -> None:
        step = check_step(step)
        told = values[:, 0].tolist()
        if not self._channel.report(step, told[0] if len(told) == 1 else tuple(told), self._steps):
            raise self._finished()
        self._steps = 0
        self._events.append(self._about.reported(step, values))

    def _note(self, rows: NDArray[np.int64], notes: Sequence[Mapping[str, object]]) -> None:
        plain = {name: as_json(name, value) for name, value in notes[0].items()}
        if not self._channel.note(plain):
            raise self._finished()
        self._events.append(Noted(rows, (plain,)))

    def _should_stop(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.full(len(rows), self._channel.should_stop())

    def _finished(self) -> TrialError:
        return TrialError(f"trial {self._number} has already finished ({self._channel.ended})")


@functools.cache
def _constants(names: tuple[str, ...]) -> Space:
    """Return a space with the names of the study's parameters alone: values come with each trial."""
    return Space(dict.fromkeys(names, 0))
