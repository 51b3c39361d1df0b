"""The loop: ask, evaluate, tell. It is asynchronous: a free worker gets a new suggestion at once.

Ctrl-C reaches the objective, a callback or the wait for a worker, never the inside of ask and tell. Finished
trials are kept; running ones fail with the reason "interrupted".
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.checks import shown
from hpo_core.errors import SpaceExhausted, StorageRefusedError, TrialError, TrialStopped
from hpo_core.executors import Executor, Job, Outcome, Payload, Report, SerialExecutor
from hpo_core.executors.channel import ANSWER_SECONDS
from hpo_core.executors.failures import describe
from hpo_core.log import State
from hpo_core.metrics import VALUE
from hpo_core.printable import printable
from hpo_core.run.batches import read_results
from hpo_core.run.callbacks import Callbacks
from hpo_core.run.decisions import decide
from hpo_core.run.interrupts import Interrupts
from hpo_core.run.options import Options, read_callbacks, read_catch, read_executor
from hpo_core.run.outbox import Outbox
from hpo_core.run.progress import ProgressBar
from hpo_core.trial.remote import RemoteTrials, arguments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpo_core.log import History
    from hpo_core.metrics import ResultReader
    from hpo_core.run.callbacks import AnyCallback
    from hpo_core.run.protocol import ClaimsLike, StudyLike
    from hpo_core.trial import Trial, TrialBatch

logger = logging.getLogger("hpo_core")

INTERRUPTED = "interrupted"
NO_REPORTS = (
    "the scheduler could stop nothing, because no trial has reported: call trial.report(step, value) after "
    "each step of the objective, and leave if trial.should_stop()"
)

# Seconds that a storage may refuse before the timeout without a warning: writers wait for one another.
LONG_WAIT = 1.0
# Seconds between looks at the trials of others: doubled from the first to the last while nothing changes.
FIRST_PAUSE, LAST_PAUSE = 0.01, 1.0


def run(  # noqa: PLR0913 - the signature of Study.optimize
    study: StudyLike,
    objective: Callable[[Any], object],
    *,
    n_trials: int | None = None,
    until: int | None = None,
    timeout: float | None = None,
    executor: Any = None,
    n_jobs: int = 1,
    callbacks: Iterable[AnyCallback] = (),
    catch: type[Exception] | tuple[type[Exception], ...] = (),
    progress: bool = False,
    batch_size: int | None = None,
    vectorized: bool = False,
) -> None:
    """Do what ``Study.optimize`` promises; see there."""
    options = Options(
        objective=objective,
        n_trials=n_trials,
        until=until,
        timeout=timeout,
        executor=read_executor(executor, n_jobs),
        callbacks=read_callbacks(callbacks),
        catch=read_catch(catch),
        progress=progress,
        batch_size=batch_size,
        vectorized=vectorized,
    )
    options.check_that_it_ends(study)
    claims, places = study._claims(), _executor(study, options)
    bar = ProgressBar(study, options.expected(study.n_finished)) if progress else None
    with study._on_clock(places.clock), Interrupts(lambda: claims.is_waiting) as interrupts:
        loop = _Loop(study, options, claims, places, interrupts, bar)
        with loop.callbacks.listening() if options.executor is None else contextlib.nullcontext():
            loop.run()


class _Loop:
    """One call of ``optimize``."""

    def __init__(
        self,
        study: StudyLike,
        options: Options,
        claims: ClaimsLike,
        executor: Executor[Any],
        interrupts: Interrupts,
        bar: ProgressBar | None,
    ) -> None:
        self.study = study
        self.options = options
        self.executor = executor
        self.interrupts = interrupts
        self.bar = bar
        self.clock = executor.clock or time.monotonic
        self.ends_at = math.inf if options.timeout is None else self.clock() + options.timeout
        self.deadline = self.ends_at if executor.clock is None else math.inf  # of waits for others
        self.claims = claims
        self.outbox = Outbox(study, claims, interrupts, self.deadline)
        self.callbacks = Callbacks(study, options.callbacks, interrupts)
        self.stops = study._stops  # calls of ``stop`` before this call
        self.n_started = 0  # trials, by this call, apart from those that went on after a pause
        self.may_resume = True  # False: when last tried, no paused trial could, and no trial has ended since
        self.pause = FIRST_PAUSE
        self.exhausted = False
        self.asked: list[Trial | TrialBatch] = []  # but not started yet
        self.asking: list[Trial] = []  # trials that ask whether to go on
        self.error: BaseException | None = None  # the first one; raised when nothing runs any more

    def run(self) -> None:
        """Run to a limit. After an error nothing starts, and running trials are awaited."""
        try:
            while self._start_trials() or self._await_others():
                if self.executor.running or self.outbox:
                    self._finish_trials()
            if self.error is not None:
                self._fail_running(describe(self.error))
                self.callbacks.leave()
                self._keep_errors()
        except BaseException as error:
            self._leave(error)
            raise
        self._close()
        if self.error is not None:
            self._name_unwritten(self.error)
            try:
                raise self.error
            finally:  # its traceback leads here: a circle would keep the study, and its files open
                self.error = None
        if self.n_started and _is_silent(self.study.history):
            logger.warning(NO_REPORTS)

    def _start_trials(self) -> bool:
        """Start as many trials as limits and free workers allow; return whether any is running."""
        while not self.outbox and (free := self.executor.capacity - len(self.executor.running)) > 0:
            n = 0 if self.exhausted and not self._looks_for_paused else self._allowance(free)
            if n <= 0 or not self._ask(n):
                break
            self.pause = FIRST_PAUSE
            if not self._tell_asked():
                break
            while self.asked:
                self.executor.submit(self.asked.pop())
        return bool(self.executor.running or self.outbox)

    def _tell_asked(self) -> bool:
        """Call back about the trials that were asked for; False if that has raised."""
        if self.options.callbacks:
            for each in reversed(self.asked):
                self.callbacks.asked(self._trials_of(each))
            self._keep_errors()
        return self.error is None

    def _trials_of(self, asked: Any) -> list[Trial]:
        """Return the trials of what an executor is given: a trial, or a batch."""
        return [asked] if self.options.batch_size is None else [*asked]

    def _await_others(self) -> bool:
        """Pause if the study lacks only trials that others run: if a worker dies, its trials come back."""
        if self.options.until is None or self._allowance(1) <= 0 or not self.claims.waits(self.options.until):
            return False
        left = max(0.0, self.deadline - time.monotonic())
        self.interrupts.let_through()
        try:
            time.sleep(min(self.pause, left))
        finally:
            self.interrupts.hold_back()
        self.pause = min(2 * self.pause, LAST_PAUSE)
        self.exhausted = False
        return True

    def _allowance(self, free: int) -> int:
        """Return how many trials to ask for at once if ``free`` workers are free."""
        if self.error is not None or self.study._stops > self.stops or self.interrupts.pending:
            return 0
        if self.clock() >= self.ends_at:
            return 0
        n = self.options.batch_size or free
        n_trials = self.options.n_trials
        return n if n_trials is None or self._looks_for_paused else min(n, n_trials - self.n_started)

    @property
    def _looks_for_paused(self) -> bool:
        """Whether a paused trial may go on though no new one may start."""
        return self.study.pauses and self.may_resume

    def _new_allowed(self) -> int | None:
        """Return how many new trials this call may still start; None if any number."""
        n_trials = self.options.n_trials
        if self.exhausted:
            return 0
        return None if n_trials is None else n_trials - self.n_started

    def _ask(self, n: int) -> bool:
        """Get suggestions, or note why there are none."""
        self.claims.wait_until(self.deadline)
        began = time.monotonic()
        try:
            one = self.options.batch_size is None and n == 1
            asked = self._claim(None if one else n)
            self.may_resume = asked is not None
            if asked is not None:
                split = self.options.batch_size is None and not one
                self.asked = [*asked][::-1] if split else [asked]
                continued = self.study.history.continued[np.atleast_1d(asked.number)]
                self.n_started += int(np.count_nonzero(~continued))
        except SpaceExhausted:
            self.exhausted, self.may_resume = True, False
        except StorageRefusedError as error:
            if time.monotonic() < self.deadline:
                self._keep(error)
            else:
                self._say_that_time_was_up(time.monotonic() - began, error)
        except Exception as error:
            self._keep(error)
        return bool(self.asked)

    def _claim(self, n: int | None) -> Any:
        """Claim trials. Running ones are heard and answered meanwhile if a suggestion may take long."""
        if not (self.executor.listens and self.executor.running and self.study._suggests_slowly):
            return self.claims.claim(n, self.options.until, self._new_allowed())
        claimed: Future[Any] = Future()
        new = self._new_allowed()

        def claim() -> None:
            try:
                claimed.set_result(self.claims.claim(n, self.options.until, new, aside=True))
            except BaseException as error:
                claimed.set_exception(error)
            self.executor.wake()

        thread = threading.Thread(target=claim, daemon=True)
        thread.start()
        try:
            while not claimed.done():
                self.executor.wait()
                self._hear()
                self.claims.wait_until(self.deadline)
        finally:
            if not claimed.done():  # Ctrl-C
                self.claims.wait_until(time.monotonic())
            thread.join()
        return claimed.result()

    def _say_that_time_was_up(self, waited: float, error: StorageRefusedError) -> None:
        """Warn that the storage refused until the timeout, unless it was a usual wait for other writers."""
        if self.n_started and waited < LONG_WAIT:
            return
        logger.warning(
            "no %strial was started in the last %.3g seconds before the timeout: %s",
            "further " if self.n_started else "",
            waited,
            printable(str(error)),
        )

    def _finish_trials(self) -> None:
        if not self.outbox:
            self.interrupts.let_through()
            try:
                self.executor.wait()
            finally:
                self.interrupts.hold_back()
        self._hear()
        for _ in starmap(self._finish, self.outbox.write()):  # no variable here may hold an error, see run
            pass

    def _hear(self) -> None:
        """Take what has arrived, write the reports and answer the questions; ends wait in the outbox."""
        self._collect()
        self.outbox.write_reports()
        self.callbacks.reported()
        self._keep_errors()
        if self.asking:
            self._answer()

    def _collect(self) -> None:
        for trial, message in self.executor.collect():
            if isinstance(message, Outcome):
                self.outbox.put(trial, message)
            elif isinstance(message, Report):
                self.outbox.put_report(trial, message)
            else:
                self.asking.append(trial)

    def _answer(self) -> None:
        """Answer the trials that ask whether to go on; their reports have been written by now."""
        self.claims.wait_until(time.monotonic() + ANSWER_SECONDS)
        decisions = decide(self.study, np.array([trial.number for trial in self.asking]))
        for trial, decision in zip(self.asking, decisions, strict=True):
            self.executor.answer(trial, decision)
        self.asking.clear()

    def _finish(self, trial: Any, outcome: Outcome, wrong: Exception | None) -> None:
        """Go on after the end of a trial was written, or could not be because of the error ``wrong``."""
        self.may_resume = True
        if self.study.pauses:  # a paused trial may go on now, even if there is nothing new to propose
            self.exhausted = False
        ended, paused = self._trials_of(trial), []
        if self.study.pauses:
            # A paused trial may be running again, elsewhere.
            paused = [each for each in ended if each.state in (State.PAUSED, State.RUNNING)]
            ended = [each for each in ended if each not in paused]
        if wrong is not None:
            self._keep(wrong)
        else:
            self._look_at(trial, outcome)
            if self.options.callbacks:
                self.callbacks.ended(ended, paused)
                self._keep_errors()
        if self.bar is not None:
            self.bar.update(len(ended))

    def _look_at(self, trial: Any, outcome: Outcome) -> None:
        if outcome.error is not None:
            error, outcome.error = outcome.error, None
            self._keep(error, outcome.traceback)
        elif outcome.state == "failed":
            logger.warning("%r: %s", trial, printable(outcome.reason))

    def _keep_errors(self) -> None:
        """Take what callbacks have raised."""
        while self.callbacks.errors:
            self._keep(self.callbacks.errors.pop(0))

    def _keep(self, error: BaseException, traceback: str | None = None) -> None:
        if error.__traceback__ is None and traceback is not None:  # it came from another process
            _add_note(error, f"In the worker process:\n{traceback}")
        if self.error is None:
            self.error = error
        else:
            logger.error("after the first error, another one: %s", printable(describe(error)))

    def _leave(self, error: BaseException) -> None:
        """Keep ended trials, fail running ones, and close. Whatever goes wrong here is added to the error."""
        fail, close = partial(self._fail_running, INTERRUPTED), partial(self._close, cancel=True)
        for step in (self._collect, self.outbox.leave, fail, self.callbacks.leave, close):
            try:
                step()
            except BaseException as second:  # a second Ctrl-C above all
                _add_note(error, f"Then {describe(second)}")
        while self.callbacks.errors:
            _add_note(error, f"Then {describe(self.callbacks.errors.pop(0))}")
        self._name_unwritten(error)

    def _fail_running(self, reason: str) -> None:
        """Fail the trials that nobody runs any more, except trials whose result could not be written.

        Trials that had been told to stop or pause do so, and trials that went on after a pause pause again.
        """
        running = self.claims.running()
        left = running[~np.isin(running.number, list(self.outbox.numbers))]
        try:
            decided = self.study.history.decision[left.number] > 0
            if decided.any():
                self.study._end_early(left[decided])
            left = left[~decided]
            continued = self.study.history.continued[left.number]
            if continued.any():
                self.study._pause_running(left[continued])
            left = left[~continued]
            if len(left):
                self.study.fail(left, reason=reason)
        except BaseException:
            self.outbox.unwritten.append(
                f"trials {left.number.tolist()} are {reason}, and that could not be written"
            )
            raise

    def _name_unwritten(self, error: BaseException) -> None:
        for line in self.outbox.unwritten:
            _add_note(error, line)

    def _close(self, *, cancel: bool = False) -> None:
        self.claims.wait_until(math.inf)
        try:
            self.executor.close(cancel=cancel and bool(self.executor.running))
        finally:
            self.claims.close()
            if self.bar is not None:
                self.bar.close()


def _is_silent(history: History) -> bool:
    """Whether a scheduler has heard nothing. Trials that failed may have done so before they could report."""
    if history.scheduler is None:
        return False
    return State.COMPLETE in history.state and history.last_report.max() < 0


def _add_note(error: BaseException, note: str) -> None:
    with contextlib.suppress(Exception):  # an exception of the user's may refuse it
        error.add_note(note)


def _executor(study: StudyLike, options: Options) -> Executor[Any]:
    read = read_results if options.vectorized else _read_result
    convert = partial(read, study.metrics.reader)
    job = Job(options.objective, convert, options.catch)
    if options.executor is None:
        return SerialExecutor(job)
    return options.executor.start(Payload(job, RemoteTrials.of(study)), arguments_of)


def _read_result(reader: ResultReader, result: object, trial: Trial) -> float | tuple[float, ...]:
    """Return the result of the objective in the form that ``tell`` takes."""
    rule = "the objective must return"
    if result is None:
        if trial.should_stop():  # a plain return is a way out, too
            raise TrialStopped
        raise TrialError(f"{rule} {reader.what}, got None; is there a return?")
    if isinstance(result, Mapping) and reader.measured == (VALUE,):
        raise TrialError(
            f"{rule} a number, got {shown(result)}; return one number and keep the others with trial.note, "
            "or declare several metrics: Study(metrics=...)"
        )
    told = reader.one(result, rule)
    return told[0] if len(told) == 1 else told
