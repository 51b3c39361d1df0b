"""Trials in workers: ``Trial``, over a study that holds this trial alone and a channel to the rest."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hpo_core.checks import as_json, check_step
from hpo_core.errors import TrialError
from hpo_core.log import History
from hpo_core.log.events import Asked, Noted, Reported, Retried
from hpo_core.space import Space
from hpo_core.trial.handles import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.log.events import Event
    from hpo_core.trial.handles import Owner

_ROW = np.zeros(1, np.int64)  # where the history of a worker keeps its trial


class ChannelLike(Protocol):
    """What a trial needs of its channel."""

    @property
    def ended(self) -> str:
        """State in which the trial has ended, empty while it runs."""

    def report(self, step: int, value: float) -> bool:
        """Tell an intermediate value; False if the trial has ended."""

    def note(self, notes: dict[str, Any]) -> bool:
        """Keep notes for the result; False if the trial has ended."""

    def should_stop(self) -> bool:
        """Ask whether to end early."""


@dataclass(frozen=True)
class RemoteTrials:
    """Makes the trials of a worker. What they have in common is sent once, a trial as ``arguments_of`` says.

    Parameters
    ----------
    names : tuple of str
        Parameters of the space.
    seed : int
        Of the study.
    sign : float
        1 when minimising, -1 when maximising.
    """

    names: tuple[str, ...]
    seed: int
    sign: float = 1.0

    @classmethod
    def of(cls, study: Owner) -> RemoteTrials:
        """Make those of a study."""
        return cls(tuple(study.space.parameters), study.seed, study._sign)

    def __call__(
        self,
        channel: ChannelLike,
        number: int,
        params: dict[str, Any],
        origin: str = "",
        retries: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
        reports: Sequence[tuple[int, float]] = (),
    ) -> Trial:
        """Make a trial that runs here."""
        events: list[Event] = [Asked(0, np.empty((0, 1)), 0, origin)]
        events += [Retried(_ROW, "", reason) for reason in retries]
        if notes:
            events.append(Noted(_ROW, (notes,)))
        events += [Reported(_ROW, step, np.array([self.sign * value])) for step, value in reports]
        return Trial(_RemoteStudy(self, channel, number, events), number, row=0, params=params)


def arguments_of(trial: Trial) -> tuple[Any, ...]:
    """Return what a worker is sent of a trial."""
    has_reports = trial._study.history.last_report.item(trial.number) >= 0
    reports = trial.reports if has_reports else []
    return trial.number, trial.params, trial.origin, trial.retries, trial.notes, reports


class _RemoteStudy:
    """A study as a worker knows it: one trial, and the channel to the rest."""

    def __init__(self, about: RemoteTrials, channel: ChannelLike, number: int, events: list[Event]) -> None:
        self.space = _constants(about.names)
        self.seed = about.seed
        self._sign = about.sign
        self._channel = channel
        self._number = number
        self._events = events  # that are not in the history yet
        self._history: History | None = None

    @property
    def history(self) -> History:
        """What is known of the trial; most objectives never look, and it takes as long as a brief trial."""
        if self._history is None:
            self._history = History(self.space.layout)
        while self._events:
            self._history.apply(self._events.pop(0))
        return self._history

    def _report(self, rows: NDArray[np.int64], step: int, values: NDArray[np.float64]) -> None:
        step = check_step(step)
        if not self._channel.report(step, values.item(0)):
            raise self._finished()
        self._events.append(Reported(rows, step, self._sign * values))

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
    """Return a space that knows the names of the study's, and no more: values come with each trial."""
    return Space(dict.fromkeys(names, 0))
