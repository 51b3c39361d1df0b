"""The common part of the trackers: one run for each trial, several of which may be open at once."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hpo_core.callbacks import Callback
from hpo_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hpo_core.study import Study
    from hpo_core.trial import Trial

R = TypeVar("R")  # what a tracker calls a run

UNNAMED = "hpo_core"  # what a study without a name is called


class Tracker(Callback, Generic[R]):
    """Opens a run when a trial starts, logs its reports, and closes the run when the trial pauses or ends.

    It may be passed to several calls of ``optimize``, of one study or of several.
    """

    def __init__(self) -> None:
        self._runs: dict[Trial, R] = {}  # open ones

    @abstractmethod
    def _start(self, study: Study, trial: Trial) -> R:
        """Open the run of a trial; one that goes on after a pause may have had a run before."""

    @abstractmethod
    def _log(self, run: R, values: Mapping[str, float], step: int) -> None:
        """Log values of a step, which may be NaN or infinite."""

    @abstractmethod
    def _close(self, run: R, study: Study, trial: Trial) -> None:
        """Close the run of a trial that has paused or finished."""

    def on_asked(self, study: Study, trial: Trial) -> None:
        """Open a run."""
        self._runs[trial] = self._start(study, trial)

    def on_reported(self, study: Study, trial: Trial, step: int, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """Log an intermediate value."""
        self._log(self._runs[trial], values, step)

    def on_paused(self, study: Study, trial: Trial) -> None:
        """Close the run for now."""
        self._end(study, trial)

    def on_finished(self, study: Study, trial: Trial) -> None:
        """Log the result and close the run."""
        self._end(study, trial)

    def _end(self, study: Study, trial: Trial) -> None:
        if trial not in self._runs:  # Ctrl-C broke off its start
            return
        if trial.state.name != "PAUSED" and trial.values is not None:
            self._log(self._runs[trial], trial.values, last_step(trial))
        self._close(self._runs[trial], study, trial)
        self._runs.pop(trial)


def last_step(trial: Trial) -> int:
    """Return the step at which a result is logged: that of the last report, 0 if there is none."""
    return max((step for step, _ in trial.reports), default=0)


def title(study: Study) -> str:
    """Return the name of a study as it may be shown."""
    return printable(study.name) or UNNAMED


def about(trial: Trial) -> dict[str, str]:
    """Return the state, origin, reason and notes of a trial as text."""
    # An empty reason is written too, or the reason of an earlier pause would stay.
    told = {"state": trial.state.name.lower(), "origin": trial.origin, "reason": trial.reason or ""}
    return told | {f"notes.{name}": str(value) for name, value in trial.notes.items()}


def plain(value: Any) -> str | float | bool | None:
    """Return a parameter as any tracker takes it: text, a finite number, a bool or None."""
    if isinstance(value, bool | None) or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    return printable(str(value))


def unique(names: Iterable[str], clean: Callable[[str], str]) -> dict[str, str]:
    """Return an allowed name for each name: itself, or what ``clean`` makes of it with a hash at the end."""
    found = {}
    for name in names:
        cleaned = clean(name)
        if cleaned != name:
            cleaned += f"-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:6]}"
        found[name] = cleaned
    return found
