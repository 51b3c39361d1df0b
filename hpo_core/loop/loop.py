"""The loop: ask, evaluate, tell. Asynchronous: a free worker gets a new suggestion at once.

Ctrl-C reaches the objective, a callback or the wait for a worker, never the inside of ask and tell:
what has finished is kept, what was running becomes a failed trial with the reason "interrupted".
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from hpo_core.errors import SpaceExhausted
from hpo_core.executors import Executor, Job, Outcome, Payload, SerialExecutor
from hpo_core.loop.batches import read_results, tell_results
from hpo_core.loop.interrupts import Interrupts
from hpo_core.loop.options import Options, read_callbacks, read_catch, read_executor
from hpo_core.loop.progress import Progress
from hpo_core.loop.remote import RemoteTrial
from hpo_core.printable import printable
from hpo_core.trial.values import as_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpo_core.loop.protocol import StudyLike
    from hpo_core.trial import Trial, TrialBatch

logger = logging.getLogger("hpo_core")

INTERRUPTED = "interrupted"

# Seconds between looks at what others run: doubled from the first to the last while nothing comes.
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
    callbacks: Iterable[Callable[[Any, Trial], object]] = (),
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
    workers = _executor(options)
    study._stop_requested = False
    bar = Progress(study, options.expected(study.n_finished)) if progress else None
    with Interrupts() as interrupts:
        _Loop(study, options, workers, interrupts, bar).run()


class _Loop:
    """One call of ``optimize``."""

    def __init__(
        self,
        study: StudyLike,
        options: Options,
        executor: Executor[Any],
        interrupts: Interrupts,
        bar: Progress | None,
    ) -> None:
        self.study = study
        self.options = options
        self.executor = executor
        self.interrupts = interrupts
        self.bar = bar
        self.deadline = None if options.timeout is None else time.monotonic() + options.timeout
        self.worker = study._worker()
        self.n_started = 0  # by this call
        self.pause = FIRST_PAUSE
        self.exhausted = False
        self.asked: list[Trial | TrialBatch] = []  # and not started yet
        self.error: BaseException | None = None  # the first one; raised when nothing runs any more

    def run(self) -> None:
        """Run to a limit. After an error nothing starts, and what is running is awaited."""
        try:
            while self._start_trials() or self._await_others():
                if self.executor.running:
                    self._finish_trials()
        except BaseException:
            self._abandon_trials()
            raise
        finally:
            self.executor.close(cancel=bool(self.executor.running))
            self.worker.close()
            if self.bar is not None:
                self.bar.close()
        if self.error is not None:
            raise self.error

    def _start_trials(self) -> bool:
        """Start what limits and free workers allow; whether anything is running."""
        while (free := self.executor.capacity - len(self.executor.running)) > 0:
            n = 0 if self.exhausted else self._allowance(free)
            if n <= 0 or not self._ask(n):
                break
            self.pause = FIRST_PAUSE
            while self.asked:
                self.executor.submit(self.asked.pop())
        return bool(self.executor.running)

    def _await_others(self) -> bool:
        """Pause if the study lacks only trials that others run: a worker that dies gives them back."""
        if self.options.until is None or self._allowance(1) <= 0 or not self.worker.waits(self.options.until):
            return False
        left = math.inf if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        self.interrupts.let_through()
        try:
            time.sleep(min(self.pause, left))
        finally:
            self.interrupts.hold_back()
        self.pause = min(2 * self.pause, LAST_PAUSE)
        self.exhausted = False
        return True

    def _allowance(self, free: int) -> int:
        """How many trials to ask for at once when so many workers are free."""
        if self.error is not None or self.study._stop_requested or self.interrupts.pending:
            return 0
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return 0
        n = self.options.batch_size or free
        if self.options.n_trials is not None:
            n = min(n, self.options.n_trials - self.n_started)
        return n

    def _ask(self, n: int) -> bool:
        """Get suggestions, or note why there are none."""
        try:
            one = self.options.batch_size is None and n == 1
            asked: Any = self.worker.claim(None if one else n, self.options.until)
            if asked is not None:
                split = self.options.batch_size is None and not one
                self.asked = [*asked][::-1] if split else [asked]
                self.n_started += sum(map(self._size, self.asked))
        except SpaceExhausted:
            self.exhausted = True
        except Exception as error:
            self._keep(error)
        return bool(self.asked)

    def _finish_trials(self) -> None:
        self.interrupts.let_through()
        try:
            self.executor.wait()
        finally:
            self.interrupts.hold_back()
        for trial, outcome in self.executor.collect():
            self._finish(trial, outcome)

    def _finish(self, trial: Any, outcome: Outcome) -> None:
        try:
            self._tell(trial, outcome)
            if self.options.callbacks:
                self._call_back([trial] if self.options.batch_size is None else trial)
        except Exception as error:
            self._keep(error)
        if self.bar is not None:
            self.bar.update(self._size(trial))

    def _size(self, trial: Any) -> int:
        return 1 if self.options.batch_size is None else len(trial)

    def _tell(self, trial: Any, outcome: Outcome) -> None:
        for step, value in outcome.reports:
            trial.report(step, value)
        if outcome.notes:
            trial.note(**outcome.notes)
        if outcome.state == "complete" and self.options.vectorized:
            tell_results(self.study, trial, outcome.value)
        elif outcome.state == "complete":
            self.study.tell(trial, outcome.value)
        elif outcome.state == "stopped":
            self.study._finish_stopped(trial)
        else:
            self.study.fail(trial, reason=outcome.reason, traceback=outcome.traceback)
            if outcome.error is None:
                logger.warning("%r: %s", trial, printable(outcome.reason))
            else:
                self._keep(outcome.error, outcome.traceback)

    def _call_back(self, trials: Iterable[Trial]) -> None:
        self.interrupts.let_through()
        try:
            for trial in trials:
                for callback in self.options.callbacks:
                    callback(self.study, trial)
        finally:
            self.interrupts.hold_back()

    def _keep(self, error: BaseException, traceback: str | None = None) -> None:
        if error.__traceback__ is None and traceback is not None:  # it came from another process
            error.add_note(f"In the worker process:\n{traceback}")
        if self.error is None:
            self.error = error
        else:
            logger.error("after the first error, another one: %r", error)

    def _abandon_trials(self) -> None:
        """Keep what has ended, fail what has not."""
        for trial, outcome in self.executor.collect():
            self._finish(trial, outcome)
        for trial in [*self.executor.running, *self.asked]:
            self.study.fail(trial, reason=INTERRUPTED)


def _executor(options: Options) -> Executor[Any]:
    convert = read_results if options.vectorized else _read_number
    job = Job(options.objective, convert, options.catch)
    if options.executor is None:
        return SerialExecutor(job)
    return options.executor.start(Payload(job, RemoteTrial), _arguments)


def _arguments(trial: Trial) -> tuple[int, dict[str, Any], int]:
    return trial.number, trial.params, trial.seed


def _read_number(result: object, _: object) -> float:
    return as_number(result, rule="the objective must return a number")
