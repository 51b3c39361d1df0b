"""Callbacks of ``optimize``, which are called when a trial starts, reports, pauses or ends.

Everything is called by the process that runs ``optimize``, once the study holds what happened. An exception
of a callback is kept, and the loop ends the search with it; the other callbacks are still called.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from hpo_core.log import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hpo_core.run.interrupts import Interrupts
    from hpo_core.run.protocol import StudyLike
    from hpo_core.trial import Trial

    AnyCallback: TypeAlias = "Callable[[Any, Trial], object] | Callback"


class Callback:
    """Base class of callbacks that follow trials while they run.

    A callback of ``optimize(callbacks=[...])`` is a function of ``(study, trial)``, which is called after a
    trial has finished, or an object with at least one of the methods below. It need not derive from this
    class. Trackers of experiments are callbacks: see ``hpo_core.integrations``.

    ``on_asked(study, trial)``
        A trial is about to start here: a new one, one that continues after a pause, or one whose worker died
        elsewhere.
    ``on_reported(study, trial, step, values)``
        The study holds an intermediate value of the trial. ``values`` maps each metric to a float, in the
        study's direction.
    ``on_paused(study, trial)``
        The trial has paused; if it continues, ``on_asked`` comes again.
    ``on_finished(study, trial)``
        The trial is complete, stopped or failed.

    For each trial the calls come in this order. Trials that run at the same time take turns. In a vectorized
    search every trial of the batch has its own calls.

    All are called in the process of ``optimize``, whatever the executor; one at a time, in the order of
    ``callbacks``. With ``executor=None``, ``on_reported`` is called before ``trial.report`` returns, in the
    thread that reports. It is not called for reports that the study drops, such as a repeated step. If
    reports arrive with the result, as in a ``ProcessPoolExecutor``, it is called when the trial ends.

    An exception ends the search: no further trial starts, running ones are awaited, and ``optimize`` raises
    it. A callback that raised in ``on_reported`` gets no more reports. After Ctrl-C, or if another error
    ended the search, ``on_paused`` and ``on_finished`` are still called for trials that ended because of it,
    so that nothing is left open; functions are not. If Ctrl-C interrupts such a call, it is repeated.

    There are no calls for trials that other processes run.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> class Curves(hpo.callbacks.Callback):
    ...     def __init__(self):
    ...         self.curves = {}
    ...     def on_reported(self, study, trial, step, values):
    ...         self.curves.setdefault(trial.number, []).append(values["value"])
    >>> def train(trial):
    ...     for epoch in trial.steps(3):
    ...         trial.report(epoch, trial["x"] / (1 + epoch))
    ...     return trial["x"] / 3
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    >>> callback = Curves()
    >>> study.optimize(train, n_trials=2, callbacks=[callback])
    >>> [len(curve) for curve in callback.curves.values()]
    [3, 3]
    """

    def on_asked(self, study: Any, trial: Trial) -> object:
        """Act on a trial that is about to start.

        Parameters
        ----------
        study : Study
        trial : Trial
        """

    def on_reported(self, study: Any, trial: Trial, step: int, values: Mapping[str, float]) -> object:
        """Act on an intermediate value.

        Parameters
        ----------
        study : Study
        trial : Trial
        step : int
        values : mapping of str to float
            The value of each metric, as reported.
        """

    def on_paused(self, study: Any, trial: Trial) -> object:
        """Act on a trial that has paused.

        Parameters
        ----------
        study : Study
        trial : Trial
        """

    def on_finished(self, study: Any, trial: Trial) -> object:
        """Act on a trial that is complete, stopped or failed.

        Parameters
        ----------
        study : Study
        trial : Trial
        """


# The methods of a callback and their arguments.
METHODS: Final[Mapping[str, str]] = {
    "on_asked": "(study, trial)",
    "on_reported": "(study, trial, step, values)",
    "on_paused": "(study, trial)",
    "on_finished": "(study, trial)",
}


def method_of(callback: Any, name: str) -> Callable[..., object] | None:
    """Return a method of a callback, None if it does nothing."""
    method = None if isinstance(callback, type) else getattr(callback, name, None)
    inherited = getattr(method, "__func__", None) is getattr(Callback, name)
    return method if callable(method) and not inherited else None


class Callbacks:
    """The callbacks of one call of ``optimize``.

    Attributes
    ----------
    errors : list of Exception
        What callbacks have raised and the loop has not taken yet.
    """

    # The loop must not be referred to: the circle would keep the study, and its files open.

    def __init__(self, study: StudyLike, callbacks: Sequence[AnyCallback], interrupts: Interrupts) -> None:
        self.errors: list[Exception] = []
        self._study = study
        self._interrupts = interrupts
        asked, reported, paused, closing = (
            [method for each in callbacks if (method := method_of(each, name)) is not None]
            for name in METHODS
        )
        self._asked, self._reported, self._paused, self._closing = asked, reported, paused, closing
        self._finished = [call for each in callbacks for call in _finishing(each)]
        self._follows = bool(asked or reported or paused or closing)
        self._open: dict[int, Trial] = {}  # that run here, if any method follows them
        self._n_seen = len(study.history.reports.row) if reported else 0
        self._lock = threading.RLock()  # objectives may report from several threads

    def listening(self) -> AbstractContextManager[None]:
        """Return a context in which reports of this process are told as they are made."""
        return self._study._on_report(self._tell_reports) if self._reported else nullcontext()

    def asked(self, trials: Sequence[Trial]) -> None:
        """Tell that trials are about to start."""
        if not self._follows:
            return
        self._open.update((trial.number, trial) for trial in trials)
        with self._letting_through(self._asked):
            for trial in trials:
                self._call(self._asked, trial)

    def reported(self) -> None:
        """Tell of the reports that were written since the last call."""
        if self._reported and len(self._study.history.reports.row) != self._n_seen:
            with self._letting_through(self._reported):
                self._tell_reports()

    def ended(self, finished: Sequence[Trial], paused: Sequence[Trial]) -> None:
        """Tell that trials have finished or paused, and first of their last reports."""
        self.reported()
        for calls, trials in ((self._finished, finished), (self._paused, paused)):
            if not trials:
                continue
            with self._letting_through(calls):
                for trial in trials:
                    self._call(calls, trial)
                    self._open.pop(trial.number, None)

    def leave(self) -> None:
        """Tell of the end of each trial that ended with the search."""
        self._tell_reports()
        for number, trial in [*self._open.items()]:
            if trial.state != State.RUNNING:  # its end could be written
                self._call(self._paused if trial.state == State.PAUSED else self._closing, trial)
            self._open.pop(number, None)

    def _tell_reports(self) -> None:
        if not self._reported:
            return
        with self._lock:
            reports, metrics = self._study.history.reports, self._study.metrics
            self._n_seen = min(self._n_seen, len(reports.row))
            for row in reports.row[self._n_seen :].tolist():
                k, self._n_seen = self._n_seen, self._n_seen + 1
                if (trial := self._open.get(row)) is not None:
                    told = metrics.by_name(np.atleast_2d(reports.value)[:, k])
                    values = {name: float(value) for name, value in told.items()}
                    self._tell_report(trial, reports.step.item(k), values)

    def _tell_report(self, trial: Trial, step: int, values: Mapping[str, float]) -> None:
        self._reported = [
            each
            for each in self._reported
            if self._safely(partial(each, self._study, trial, step, dict(values)))
        ]

    def _call(self, calls: Iterable[Callable[..., object]], trial: Trial) -> None:
        for each in calls:
            self._safely(partial(each, self._study, trial))

    def _safely(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except Exception as error:
            self.errors.append(error)
            return False
        return True

    @contextmanager
    def _letting_through(self, calls: Sequence[object]) -> Iterator[None]:
        """Let Ctrl-C reach the callbacks."""
        if calls:
            self._interrupts.let_through()
        try:
            yield
        finally:
            if calls:
                self._interrupts.hold_back()


def _finishing(callback: Any) -> Iterator[Callable[..., object]]:
    """Yield the functions to call when a trial has finished."""
    method = method_of(callback, "on_finished")
    if method is not None:
        yield method
    if callable(callback):
        yield callback
