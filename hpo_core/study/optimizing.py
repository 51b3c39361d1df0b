"""Study: the half that runs objectives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hpo_core.hints import hinting
from hpo_core.log import State
from hpo_core.study.results import Results, all_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from hpo_core.run.protocol import StudyLike
    from hpo_core.study.study import Study
    from hpo_core.study.worker import Worker
    from hpo_core.trial import Trial


logger = logging.getLogger("hpo_core")


class Optimizing(Results):
    """A study that runs objectives; ``Study`` adds ask and tell."""

    lease_seconds: float = 60.0
    max_retries: int = 2
    _stops: int = 0  # calls of ``stop``: each ends the calls of ``optimize`` that are under way

    def stop(self) -> None:
        """Let ``optimize`` end once its running trials have finished; for callbacks."""
        self._stops += 1

    def _worker(self) -> Worker:
        from hpo_core.study.worker import Worker

        return Worker(cast("Study", self))

    def _should_stop(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        from hpo_core.executors import Decision
        from hpo_core.run.decisions import decide

        return np.array([each is Decision.STOP for each in decide(cast("StudyLike", self), rows)], np.bool_)

    def _transact(self, change: Callable[[], object]) -> None:
        self._ledger.transact(change)

    def _is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where a trial no longer runs here: it has ended, or another process has taken it over, (k,)."""

        def look() -> NDArray[np.bool_]:
            ended: NDArray[np.bool_] = self.history.state[rows] != State.RUNNING
            if journal is None or not journal.taken_elsewhere:
                return ended
            return ended | np.isin(rows, list(journal.taken_elsewhere))

        journal = self._ledger.journal
        return self._ledger.look(look)

    @hinting
    def optimize(  # noqa: PLR0913 - n_jobs is another name for executor
        self,
        objective: Callable[[Any], Any],
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
        """Ask, evaluate and tell until a limit is reached, or until a finite space is used up.

        Ctrl-C raises ``KeyboardInterrupt``: finished trials are kept, running ones fail with the reason
        "interrupted", and the study can go on. A second one does not wait for that.

        While the storage refuses, because it is locked or its disk is full, finished trials are kept and
        written later, with a warning. ``timeout`` and Ctrl-C end the wait; the notes of the exception then
        name the values that could not be written.

        Parameters
        ----------
        objective : callable
            ``objective(trial)`` returns the value. It may raise ``TrialFailed`` or ``TrialStopped``.
        n_trials, until : int, optional
            How many trials this call finishes; how many the study holds finished in the end, so that a
            script started again stops at the same place, and several that share a storage together.
        timeout : float, optional
            Seconds after which no trial starts, and after which no lock of a storage is waited for.
        executor : optional
            Where trials run. None is this thread; a number that of processes (-1: one per CPU; 1 is this
            thread too). Or a ``concurrent.futures.Executor``, a Dask ``Client``, "ray", or one of
            ``hpo_core.executors``: ``Processes``, ``Pool``, ``Dask``, ``Ray``, which take a
            ``trial_timeout`` and what a trial needs. A free worker gets a suggestion at once. Reports are
            recorded as they come, notes with the result. With processes a script must call ``optimize`` under
            ``if __name__ == "__main__":``.
        n_jobs : int
            The same for a number of processes, under the name that other libraries use.
        callbacks : iterable of callables
            Each is called with ``(study, trial)`` after a trial has finished; it may call ``stop``.
        catch : exception type or tuple of them
            Exceptions of the objective, or of reading what it returned, after which the study goes on. Any
            other is raised once its trial has been recorded as failed; ``SystemExit`` ends the call as
            everywhere. A trial keeps the first and last characters of a reason, 10,000 in all, and of a
            traceback, 100,000.
        progress : bool
            Show a progress bar (needs tqdm).
        batch_size : int, optional
            At least 1; goes with ``vectorized``, and with ``executor=None``.
        vectorized : bool
            ``objective(batch)`` gets a ``TrialBatch`` of up to ``batch_size`` trials and returns a value
            for each, (k,). In the place of one may stand ``TrialFailed("why")`` or ``TrialStopped()``.

        Raises
        ------
        ArgumentError
            An argument is outside what is allowed, or nothing would end the call.
        HpoError
            Worker processes cannot start, or die one after another.
        StorageError
            The storage cannot be used, or refused until the timeout.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=30)
        >>> study.best_value < 0.1
        True
        """
        from hpo_core.run import run

        run(
            cast("StudyLike", self),
            objective,
            n_trials=n_trials,
            until=until,
            timeout=timeout,
            executor=executor,
            n_jobs=n_jobs,
            callbacks=callbacks,
            catch=catch,
            progress=progress,
            batch_size=batch_size,
            vectorized=vectorized,
        )
        if failed := all_failed(self.history):
            logger.warning("%s", failed)
