"""Reports and ended trials on their way into the study.

A storage may refuse them for now: it is locked, its disk is full, its server is away. A result is then kept,
and written once the storage takes it. The user is told about results that could not be written. If a trial
was ended from outside while it ran, that end stays, and later results are set aside.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.errors import HpoError, StorageRefusedError, TrialError
from hpo_core.executors import Outcome
from hpo_core.executors.failures import describe, reason_of
from hpo_core.log import State
from hpo_core.printable import printable
from hpo_core.run.batches import Results, ends_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hpo_core.executors import Report
    from hpo_core.run.interrupts import Interrupts
    from hpo_core.run.protocol import ClaimsLike, StudyLike
    from hpo_core.trial import Trial

logger = logging.getLogger("hpo_core")

# Seconds to wait for a storage before the user is told, and between two attempts after that.
ATTEMPT_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 1.0
# Seconds to wait for a storage after the timeout, and after Ctrl-C: others may be busy, but not for long.
LATE_SECONDS: Final = 5.0
LEAVING_SECONDS: Final = 1.0

SHOWN: Final = 500  # characters of a reason


class _Ended:
    """A trial or batch, how it ended, and the changes of the study that are still to be made."""

    __slots__ = ("changes", "outcome", "trial", "unended")

    def __init__(self, study: StudyLike, trial: Any, outcome: Outcome) -> None:
        self.trial = self.unended = trial  # the second without trials that were ended from outside
        self.outcome = outcome
        self.changes = deque(_changes(study, trial, outcome))

    @property
    def runs(self) -> bool:
        """Whether it, or a trial of the batch, has not ended in the study."""
        return bool(_running(self.trial).any())

    def set_aside(self, study: StudyLike) -> bool:
        """Leave out the trials that have ended in the study meanwhile; return whether there were any."""
        running = _running(self.unended)
        if running.all():
            return False
        outcome = self.outcome
        logger.warning("%s, but the study had ended it before, so the result is set aside", self)
        if isinstance(outcome.error, TrialError):  # for example, the study has refused a report
            outcome.error = None
        self.changes.clear()
        if running.any():
            rows = np.flatnonzero(running)
            value = outcome.value.of(rows) if isinstance(outcome.value, Results) else outcome.value
            self.unended = self.unended[rows]
            self.changes.extend(_changes(study, self.unended, replace(outcome, value=value)))
        return True

    def fail(self, study: StudyLike, error: TrialError) -> None:
        """Replace the outcome by a failure with an error that the study has raised."""
        self.outcome = Outcome("failed", reason=describe(error), error=error)
        self.changes = deque(_changes(study, self.unended, self.outcome))

    def prepend(self, reports: list[Report]) -> None:
        """Put reports that could not be written before in front of the other changes."""
        self.outcome.reports = [*reports, *self.outcome.reports]
        self.changes.extendleft(partial(_report, self.trial, report) for report in reversed(reports))

    def __str__(self) -> str:
        return _shown(self.trial, self.outcome)


def _running(trial: Any) -> NDArray[np.bool_]:
    return np.atleast_1d(np.asarray(trial.state) == State.RUNNING)


class Outbox:
    """Writes the ends of trials, in the order in which they ended.

    Attributes
    ----------
    unwritten : list of str
        A line for each trial or batch whose end could not be written.
    numbers : set of int
        Numbers of these trials, and of trials whose end was written in a new space of the study.
    """

    def __init__(self, study: StudyLike, claims: ClaimsLike, interrupts: Interrupts, deadline: float) -> None:
        self._study = study
        self._claims = claims
        self._interrupts = interrupts
        self._deadline = deadline
        self._limit = math.inf
        self._reports: list[tuple[Trial, Report]] = []
        self._kept: dict[int, list[Report]] = {}  # could not be written; they go with the results
        self._waiting: deque[_Ended] = deque()
        self.unwritten: list[str] = []
        self.numbers: set[int] = set()

    def __bool__(self) -> bool:
        """Whether ends of trials wait to be written."""
        return bool(self._waiting)

    def put(self, trial: Any, outcome: Outcome) -> None:
        """Add the end of a trial or a batch."""
        self._waiting.append(_Ended(self._study, trial, outcome))

    def put_report(self, trial: Trial, report: Report) -> None:
        """Add a report of a running trial."""
        if trial.number in self._kept:
            self._kept[trial.number].append(report)
        else:
            self._reports.append((trial, report))

    def write_reports(self) -> None:
        """Write the reports in one change. If the study cannot take them now, they go with the results."""
        if not self._reports:
            return
        numbers = sorted({trial.number for trial, _ in self._reports})
        try:
            change = partial(self._study._transact, self._report_all)
            self._until_taken(change, f"a batch of reports has arrived from trials {numbers}")
        except Exception as error:
            logger.info("reports of trials %s are kept: %s", numbers, printable(describe(error)))
            for trial, report in self._reports:
                self._kept.setdefault(trial.number, []).append(report)
        self._reports.clear()

    def _report_all(self) -> None:
        for trial, report in self._reports:
            try:
                _report(trial, report)
            except TrialError as error:  # the trial was ended from outside
                logger.info("a report is set aside: %s", error)

    def write(self) -> Iterator[tuple[Any, Outcome, Exception | None]]:
        """Write the ends of trials; yield each trial, how it ended, and the error if that was not written."""
        while self._waiting:
            ended = self._waiting[0]
            wrong: Exception | None = None
            try:
                self._write(ended)
            except Exception as error:
                wrong = error
                if not isinstance(error, TrialError) and not self._written_in_new_space(ended):
                    self._give_up(ended)
            self._waiting.popleft()
            yield ended.trial, ended.outcome, wrong
            wrong = None  # its traceback leads here: a circle would keep the study

    def leave(self) -> None:
        """Write everything that can be written in a moment."""
        self._limit = time.monotonic() + LEAVING_SECONDS
        self._claims.wait_until(self._limit)
        try:
            self.write_reports()
            for _ in self.write():
                pass
        finally:
            for ended in self._waiting:
                self._give_up(ended)

    def _write(self, ended: _Ended) -> None:
        if self._kept:
            ended.prepend(self._kept.pop(ended.trial.number, []))
        while ended.changes:
            try:
                self._until_taken(ended.changes[0], ended)
            except TrialError as error:
                if ended.set_aside(self._study):
                    continue
                if ended.outcome.state == "failed":
                    raise
                # The study refuses a report or a note.
                ended.fail(self._study, error)
            else:
                ended.changes.popleft()

    def _written_in_new_space(self, ended: _Ended) -> bool:
        """Write the end of a trial in the new space, if another process has changed the space."""
        try:
            study = self._study.in_new_space()
            if study is None:
                return False
            trial = study.trials[ended.trial.number]
            for change in _changes(study, trial, ended.outcome):
                change()
        except HpoError as error:  # the first error is the one to raise
            logger.warning("%s: %s", ended, printable(str(error)))
            return False
        self.numbers.update(np.atleast_1d(trial.number).tolist())
        return True

    def _until_taken(self, change: Callable[[], None], what: object) -> None:
        limit = min(self._limit, max(self._deadline, time.monotonic()) + LATE_SECONDS)
        said = False
        while True:
            self._claims.wait_until(min(limit, time.monotonic() + ATTEMPT_SECONDS))
            try:
                change()
            except StorageRefusedError as error:
                if time.monotonic() + PAUSE_SECONDS > limit:
                    raise
                if not said:
                    text = "%s; it is kept, and written as soon as the storage accepts it: %s"
                    logger.warning(text, what, printable(str(error)))
                    said = True
            else:
                if said:
                    logger.warning("%s: it has now been written", what)
                return
            self._interrupts.let_through()
            try:
                time.sleep(PAUSE_SECONDS)
            finally:
                self._interrupts.hold_back()

    def _give_up(self, ended: _Ended) -> None:
        if ended.runs:
            self.unwritten.append(f"{ended}, and that could not be written")
            self.numbers.update(np.atleast_1d(ended.trial.number).tolist())


def _changes(study: StudyLike, trial: Any, outcome: Outcome) -> Iterator[Callable[[], None]]:
    for report in outcome.reports:
        yield partial(_report, trial, report)
    if outcome.notes:
        yield partial(trial.note, **outcome.notes)
    if outcome.state == "failed":
        yield partial(study.fail, trial, reason=outcome.reason, traceback=outcome.traceback)
    elif outcome.state == "stopped":
        yield partial(study._end_early, trial)
    elif isinstance(outcome.value, Results):
        yield from ends_of(study, trial, outcome.value)
    elif outcome.unheard:  # it could not be told to stop
        yield partial(study._complete, trial, outcome.value)
    else:
        yield partial(study.tell, trial, outcome.value)


def _report(trial: Trial, report: Report) -> None:
    if report.steps:
        trial._study._plan(np.array([trial.number]), report.steps)
    trial.report(report.step, report.value)


def _shown(trial: Any, outcome: Outcome) -> str:
    number, value = trial.number, outcome.value
    if isinstance(value, Results):
        ends = {trial[row].number: reason_of(end) for row, end in value.ends.items()}
        listed = [each[0] if len(each) == 1 else tuple(each) for each in value.values.T.tolist()]
        told = dict(zip(number.tolist(), listed, strict=True)) | ends
        return printable(f"trials have ended with {told}")
    which = f"trial {number}" if np.ndim(number) == 0 else f"trials {number.tolist()}"
    if outcome.state == "complete":
        return f"{which} has ended with the value {value!r}: study.tell({number}, {value!r})"
    return printable(f"{which} has ended as {outcome.state} {outcome.reason[:SHOWN]}".rstrip())
