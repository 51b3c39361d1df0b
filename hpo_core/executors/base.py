"""The protocol between the loop and an executor, and how one evaluation ends."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from hpo_core.errors import HpoError, TrialError, TrialFailed, TrialStopped
from hpo_core.executors.channel import Decision, Question, Report
from hpo_core.executors.failures import can_travel, describe, pack_error, reason_of, trace, unpack_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TIMEOUT = "timeout"  # reason of a trial that was killed because it took too long

# One death is a failed trial; this many, with no trial finished in between, mean a broken set-up.
MAX_DEATHS_IN_A_ROW = 5

T = TypeVar("T")  # the handle that is passed to an objective


@dataclass(frozen=True)
class Job(Generic[T]):
    """The work to do with every trial; each worker receives it once.

    Attributes
    ----------
    objective : callable
        The user's function of one handle.
    convert : callable of (result, handle)
        Reads the objective's result. It raises ``TrialError`` if the result is wrong, and ``TrialStopped`` if
        the trial has no result because it was told to stop.
    catch : tuple of exception types
        Exceptions after which the caller continues.
    """

    objective: Callable[[T], object]
    convert: Callable[[object, T], object]
    catch: tuple[type[Exception], ...] = ()

    def evaluate(self, trial: T) -> Outcome:
        """Call the objective. Any ``Exception`` that it or its result raises becomes an ``Outcome``."""
        try:
            result = self.objective(trial)
        except TrialStopped:
            return Outcome("stopped")
        except TrialFailed as failure:
            return Outcome("failed", reason=reason_of(failure))
        except Exception as error:
            # The outermost entry is this function, which is of no interest to the user.
            return self._failed(error, describe(error), trace(error, skip=1), error)
        try:
            return Outcome("complete", self.convert(result, trial))
        except TrialStopped:
            return Outcome("stopped")
        except TrialError as error:
            return self._failed(error, reason_of(error), None, error, error.__cause__)
        except Exception as cause:
            unread = TrialError(f"the result of the objective could not be read: {describe(cause)}")
            unread.__cause__ = cause
            return self._failed(unread, str(unread), trace(cause, skip=1), unread, cause)

    def _failed(
        self, error: Exception, reason: str, traceback: str | None, *caught: BaseException | None
    ) -> Outcome:
        raised = None if any(isinstance(each, self.catch) for each in caught) else error
        return Outcome("failed", reason=reason, traceback=traceback, error=raised)


@dataclass(slots=True)
class Outcome:
    """The end of one evaluation. It can always be pickled: workers send it to the loop.

    Attributes
    ----------
    state : {"complete", "stopped", "failed"}
    value
        The converted result, None unless complete.
    reason : str
        Why it failed, in a line.
    traceback : str or None
        Traceback of the exception that made it fail.
    error : BaseException or None
        Raised by ``optimize`` once the failure is recorded.
    reports : sequence of Report, notes : dict or None
        Reports and notes of the objective that the study does not have yet.
    unheard : bool
        Whether the objective reported, or asked whether to stop, without a connection to the study.
    """

    state: Literal["complete", "stopped", "failed"]
    value: Any = None
    reason: str = ""
    traceback: str | None = None
    error: BaseException | None = None
    reports: list[Report] | tuple[()] = ()
    notes: dict[str, Any] | None = None
    unheard: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        told = self.reports, self.notes, self.unheard
        parts = (self.state, self.value, self.reason, self.traceback, None, *told)
        try:
            packed = pickle.dumps(parts)
        except Exception as error:
            return self._unsendable(error).__reduce__()
        return _arrive, (packed, None if self.error is None else pack_error(self.error))

    def _unsendable(self, error: Exception) -> Outcome:
        """Return the failure that stands in for this outcome, which cannot be pickled."""
        parts = {f"note {name!r}": value for name, value in (self.notes or {}).items()}
        names = [name for name, value in parts.items() if not can_travel(value)]
        what = names[0] if names else "the result"
        return _failure(f"{what} cannot be sent from the worker: {describe(error)}")


def _arrive(packed: bytes, error: bytes | None) -> Outcome:
    try:
        outcome = Outcome(*pickle.loads(packed))
    except Exception as cause:
        return _failure(f"the result of the worker cannot be read: {describe(cause)}")
    outcome.error = None if error is None else unpack_error(error)
    return outcome


def _failure(reason: str) -> Outcome:
    return Outcome("failed", reason=reason, error=TrialError(reason))


class Deaths:
    """Counts the workers that have died since a trial last finished."""

    def __init__(self) -> None:
        self.in_a_row = 0

    def outcome(self, reason: str) -> Outcome:
        """Count one more, and return how its trial ended."""
        self.in_a_row += 1
        if self.in_a_row < MAX_DEATHS_IN_A_ROW:
            return Outcome("failed", reason=reason)
        message = f"{self.in_a_row} workers died in a row; the last trial failed with: {reason}"
        return Outcome("failed", reason=reason, error=HpoError(message))


Message: TypeAlias = Report | Question | Outcome


class Executor(ABC, Generic[T]):
    """Runs one job on the trials submitted to it.

    The loop calls ``submit`` while there is a free worker, then ``wait`` and ``collect``, and it gives an
    ``answer`` to each question that it collected. ``wait`` and ``collect`` are separate so that an
    interrupted wait loses nothing that has arrived.

    Attributes
    ----------
    capacity : int
        How many trials run at the same time.
    listens : bool
        Whether messages arrive while nobody waits for them, so that another thread may compute a suggestion
        while this one waits. ``wake`` then ends a wait.
    clock : callable or None
        Gives the time in seconds if it passes in a simulation; None otherwise.
    """

    capacity: int
    listens: ClassVar[bool] = False
    clock: Callable[[], float] | None = None

    @property
    @abstractmethod
    def running(self) -> Collection[T]:
        """Trials submitted whose outcome has not been collected."""

    @abstractmethod
    def submit(self, trial: T) -> None:
        """Start a trial; fewer than ``capacity`` are running."""

    @abstractmethod
    def wait(self) -> None:
        """Block until a running trial has sent a message or has ended. Signals interrupt this."""

    def wake(self) -> None:
        """Let ``wait`` return, from another thread."""

    @abstractmethod
    def collect(self) -> list[tuple[T, Message]]:
        """Return the messages that have arrived, each trial's in order; its outcome comes last."""

    @abstractmethod
    def answer(self, trial: T, decision: Decision) -> None:
        """Answer the question of a trial; do nothing if it has ended meanwhile."""

    @abstractmethod
    def close(self, *, cancel: bool = False) -> None:
        """Release the workers; with ``cancel``, end also the busy ones."""
