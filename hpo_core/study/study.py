"""Study: ask, tell, optimize. Every change of a study is an event, and goes through its ledger."""

from __future__ import annotations

import copy
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

import numpy as np

from hpo_core.analysis import importance
from hpo_core.analysis.front import check_weights, front, hypervolume, preferred
from hpo_core.checks import (
    DIRECTIONS,
    SEED_LIMIT,
    as_int,
    as_json,
    check_flag,
    check_int,
    check_one_of,
    check_step,
    plain_text,
    shown,
    some,
)
from hpo_core.errors import SpaceError, StorageError, StudyError, TrialError
from hpo_core.hints import STUDY, hinting, refusing
from hpo_core.log import History, State
from hpo_core.log.events import Annotated, Enqueued
from hpo_core.log.journal import Journal
from hpo_core.log.ledger import Ledger
from hpo_core.machine import fits_memory
from hpo_core.metrics import Metrics
from hpo_core.native.domain import Domain, random_draws
from hpo_core.printable import displayed, printable
from hpo_core.samplers import resolve
from hpo_core.samplers.base import Sampler
from hpo_core.samplers.ranking import Ranking, completed
from hpo_core.samplers.registry import SAMPLERS
from hpo_core.schedulers.registry import SCHEDULERS
from hpo_core.schedulers.registry import resolve as resolve_scheduler
from hpo_core.space import Space
from hpo_core.space.codec import as_columns
from hpo_core.storage import Storage, open_storage
from hpo_core.storage.base import DURABILITY
from hpo_core.study.adding import add
from hpo_core.study.asking import Asking, Request, fresh_copies
from hpo_core.study.claims import Claims, checked_lease
from hpo_core.study.description import Description, attach, find
from hpo_core.study.enqueue import fill_with_defaults, is_complete
from hpo_core.study.notebook import page
from hpo_core.study.recorder import Recorder
from hpo_core.study.replay import Replay, replay
from hpo_core.trial import Trial, TrialBatch
from hpo_core.trial.checkpoints import folder_of, read_folder, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from hpo_core.metrics import Metric
    from hpo_core.run.callbacks import AnyCallback
    from hpo_core.run.protocol import StudyLike
    from hpo_core.schedulers import Scheduler
    from hpo_core.study.asking import Numbers

    Trials = Trial | TrialBatch | int | Sequence[Trial | int] | NDArray[np.int64]
    Reported = float | Mapping[str, float] | Sequence[float]
    Curve = Mapping[int, Reported] | Sequence[tuple[int, Reported]]
    Rows = NDArray[np.int64]

logger = logging.getLogger("hpo_core")

_NOT_PICKLED = ("_asking", "_hearers", "_ledger", "_ranking", "_recorder")
_COLUMNS = 10  # numbers that a history keeps of a trial, beside its coordinates
_LONGEST_REASON = 200  # characters of a reason in a message
_PROBED = 64  # draws of which two that are permitted are enough to check a function


@refusing(STUDY)
class Study:
    """A search for the parameters with the smallest, or the largest, value of an objective.

    ``ask`` proposes trials and ``tell`` records their results, in any order and any number at a time;
    ``optimize`` does both around an objective. All methods may be called from several threads. A study can
    be pickled: the copy continues with the same suggestions.

    Parameters
    ----------
    space : Space or mapping
        The search space; a mapping is passed to ``Space``.
    sampler : str or Sampler, default "auto"
        "auto", "gp", "tpe", "sobol", "random", or a ``Sampler`` with options, which is copied.
    direction : {"minimize", "maximize"}, default "minimize"
        Whether a smaller or a larger value is better, if the objective returns one value.
    metrics : mapping of str to Minimize, Maximize, AtMost or AtLeast, optional
        Replaces ``direction`` if there are several objectives, bounds on other results, or metrics that are
        computed from the parameters.
    seed : int, optional
        In [0, 2**63). The same seed gives the same suggestions. By default one is drawn and kept as
        ``study.seed``.
    allow_duplicates : bool, default False
        Whether a configuration of a finite space may be proposed twice.
    scheduler : str or Scheduler, optional
        Stops trials early, or pauses and continues them, by their reports: "asha", "freeze-thaw",
        "hyperband", "median", or a ``Scheduler`` with options, which is copied. See ``hpo_core.schedulers``.
    checkpoints : path, optional
        Folder in which each trial has its own folder, ``trial.folder``. A paused trial, or one whose worker
        died, continues from its newest checkpoint there. All workers must be able to reach it.
    keep_checkpoints : bool, default False
        Whether to keep the folders of trials that have ended.
    name : str, default ""
        Name of the study, shown by ``repr``; required with ``storage``.
    storage : path, URL or Storage, optional
        SQLite file or PostgreSQL database that keeps every event, and that several processes may share. If
        it already has a study of that name, the study is resumed, with the same suggestions as if it had
        never stopped. Its space may have wider ranges, more choices and more parameters; every other argument
        must be as before.
    if_exists : {"resume", "error"}, default "resume"
        Whether to resume a study of that name in the storage, or to raise ``StudyError``.
    durability : {"normal", "full"}, optional
        With "normal", recorded results survive the death of the process; with "full", they survive a power
        failure as well. By default a stored study keeps its setting, and a new one is "normal". PostgreSQL
        is always "full".

    Attributes
    ----------
    space, sampler, scheduler, seed, allow_duplicates, checkpoints, keep_checkpoints, name
        As given; the seed as drawn, or as stored.
    metrics : Metrics
        The metrics by name; ``{"value": Minimize()}`` or ``{"value": Maximize()}`` for a study with a
        direction.
    history : History
        All results so far as columns, minimised, in internal coordinates.
    suggest_seconds : float
        Seconds spent on computing suggestions.
    lease_seconds : float, default 60
        If the process of a running trial sends no sign of life for this long, and then for two thirds as long
        while another process watches, the trial is given to another worker. Applies to ``optimize`` in a
        stored study. May be set.
    max_retries : int, default 2
        A trial is given to another worker at most this often; then it fails. May be set.

    Raises
    ------
    StudyError
        An argument is not allowed.
    SpaceError
        The mapping does not describe a space.
    StorageError
        The storage cannot be used, or is damaged.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-10, 10)}, sampler="random", seed=1)
    >>> for _ in range(20):
    ...     trial = study.ask()
    ...     study.tell(trial, (trial["x"] - 2) ** 2)
    >>> len(study.trials), study.best_value < 25
    (20, True)
    """

    lease_seconds: float = 60.0
    max_retries: int = 2
    _stops: int = 0  # calls of ``stop``; each ends the running calls of ``optimize``
    _hearers: tuple[Callable[[], None], ...] = ()  # called after each report of this process

    @hinting
    def __init__(  # noqa: PLR0913 - everything that defines a study
        self,
        space: Space | Mapping[str, Any],
        *,
        sampler: str | Sampler = "auto",
        direction: Literal["minimize", "maximize"] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        seed: int | None = None,
        allow_duplicates: bool = False,
        scheduler: str | Scheduler | None = None,
        checkpoints: str | os.PathLike[str] | None = None,
        keep_checkpoints: bool = False,
        name: str = "",
        storage: str | Path | Storage | None = None,
        if_exists: Literal["resume", "error"] = "resume",
        durability: Literal["normal", "full"] | None = None,
    ) -> None:
        if not isinstance(space, Space | Mapping):
            raise StudyError(f"space must be a Space or a mapping of names to parameters, got {space!r}")
        self.metrics = _read_metrics(direction, metrics)
        if seed is not None:
            seed = check_int("seed", seed, 0, SEED_LIMIT - 1, also=" or None", error=StudyError)
        check_flag("allow_duplicates", allow_duplicates, error=StudyError)
        if not isinstance(name, str):
            raise StudyError(f"name must be a string, got {name!r}")
        check_one_of("if_exists", if_exists, ("resume", "error"), error=StudyError)
        if durability not in (*DURABILITY, None):
            raise StudyError(f"durability must be 'normal', 'full' or None, got {shown(durability)}")
        self.space = space if isinstance(space, Space) else Space(space)
        self.sampler = copy.deepcopy(resolve(sampler))
        self.seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self.allow_duplicates = allow_duplicates
        self.scheduler = copy.deepcopy(resolve_scheduler(scheduler))
        self.checkpoints = read_folder(checkpoints)
        self.keep_checkpoints = check_flag("keep_checkpoints", keep_checkpoints, error=StudyError)
        self.name = name
        self.history = History(self.space.layout, self.metrics)
        if self.metrics.reader.known:  # a function that does not fit is noticed here
            x = random_draws(Domain(self.space.layout), 0, 0, 0, _PROBED)
            permitted = x[:, self.space.permits(x)]
            self.metrics.known_values(self.space, np.ascontiguousarray(permitted[:, :2]))
        journal = None
        if storage is not None:
            place, self.seed = attach(
                storage,
                name,
                self._described(),
                seed_given=seed is not None,
                if_exists=if_exists,
                durability=durability,
            )
            journal = Journal(place, name, self.space, self.metrics)
        self._keep(journal)

    def _described(self) -> Description:
        return Description(
            space=self.space.with_feasible(None),
            feasible=self.space.feasible is not None,
            sampler=SAMPLERS.describe(self.sampler),
            seed=self.seed,
            metrics=self.metrics,
            allow_duplicates=self.allow_duplicates,
            scheduler=None if self.scheduler is None else SCHEDULERS.describe(self.scheduler),
        )

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Direction of the one objective; ``StudyError`` if there are several."""
        self._require_one_objective("direction")
        return "minimize" if self.metrics.sign[0] > 0 else "maximize"

    def _require_one_objective(self, what: str) -> None:
        names = self.metrics.objectives
        if len(names) > 1:
            raise StudyError(
                f"{what}: the study has {len(names)} objectives ({some(names)}); use front(), hypervolume(), "
                "recommend() or trial.values"
            )

    def _keep(self, journal: Journal | None, *, seconds: float = 0.0, read_only: bool = False) -> None:
        """Make the parts that are not pickled."""
        # The ledger must not refer to the study: the circle would keep files open until it is collected.
        self._ranking = Ranking()
        self._plans: dict[int, int] = {}
        self._n_cleared = 0
        self.history.scheduler = self.scheduler
        if read_only:
            restart: Callable[[], None] = self._ranking.restart
        else:
            starts = [
                partial(
                    self.sampler.start, self.space, seed=self.seed, allow_duplicates=self.allow_duplicates
                )
            ]
            if self.scheduler is not None:
                starts.append(partial(self.scheduler.start, seed=self.seed))
            for start in starts:
                start()
            restart = partial(_restart, (*starts, self._ranking.restart))
        self._ledger = Ledger(self.history, journal, restart, read_only=read_only)
        self._recorder = Recorder(self._ledger, self.space)
        others = partial(
            fresh_copies,
            self.sampler,
            self.scheduler,
            self.space,
            seed=self.seed,
            allow_duplicates=self.allow_duplicates,
        )
        self._asking = Asking(self._ledger, self._recorder, self.space, self.sampler, others, seconds=seconds)
        if journal is not None and journal.cursor == 0:
            journal.load(self.history)
            if not read_only:
                self._compare_known()
        self._n_cleared = self.history.count_finished()

    def _clear_folders(self) -> None:
        """Remove the folders of trials that have ended."""
        if self.checkpoints is None or self.keep_checkpoints:
            return
        first, ended = self._n_cleared, self.history.finish_order
        self._n_cleared = len(ended)  # before the work: another thread may end trials meanwhile
        for row in ended[first:].tolist():
            remove(folder_of(self.checkpoints, self.name, row))

    def _compare_known(self) -> None:
        """Warn if the functions of known metrics give other values than the log holds."""
        history, metrics = self.history, self.metrics
        rows = history.finish_order[history.state[history.finish_order] == State.COMPLETE][-1:]
        if not metrics.reader.known or not len(rows):
            return
        now = metrics.known_values(self.space, *history.configurations(rows))[:, 0]
        then = history.outcomes[:, rows[0]]
        for row in np.flatnonzero(~np.isnan(now) & ~np.isclose(now, then, rtol=1e-6, atol=0.0)).tolist():
            logger.warning(
                "metrics[%r]: known gives %g for trial %d, but the study holds %g: the formula has changed",
                metrics.rows[row],
                metrics.sign[row] * now[row],
                rows[0],
                metrics.sign[row] * then[row],
            )

    @classmethod
    def open(
        cls,
        storage: str | Path | Storage,
        name: str,
        *,
        sampler: str | Sampler | None = None,
        scheduler: str | Scheduler | None = None,
        checkpoints: str | os.PathLike[str] | None = None,
        keep_checkpoints: bool = False,
        durability: Literal["normal", "full"] | None = None,
    ) -> Study:
        """Open a stored study: its space, sampler and seed come from the storage.

        Parameters
        ----------
        storage : path, URL or Storage
            An SQLite file or a PostgreSQL database, as for ``Study``.
        name : str
            Name of the study.
        sampler : str or Sampler, optional
            Must equal the stored one. Required only if the stored one is not a sampler of hpo_core.
        scheduler : str or Scheduler, optional
            Must equal the stored one. Required only if the stored one is not a scheduler of hpo_core.
        checkpoints, keep_checkpoints
            As for ``Study``.
        durability : {"normal", "full"}, optional
            As for ``Study``.

        Returns
        -------
        Study
            It continues with the same suggestions as if it had never been closed.

        Raises
        ------
        StorageError
            The storage does not exist, or is damaged.
        StudyError
            The study does not exist, has another sampler, or has functions, which storages do not keep. Open
            a study with ``feasible=`` as ``Study(space, storage=storage, name=name)``, and one with
            ``known=`` as ``Study(space, metrics=metrics, storage=storage, name=name)``.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/sweep.db"
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, storage=path, name="first")
        >>> study.tell(study.ask(), 0.5)
        >>> hpo.Study.open(path, "first")
        Study('first', random, minimize, 1 trials, best 0.5)
        """
        place = open_storage(
            storage, durability="normal" if durability is None else durability, must_exist=True
        )
        _, stored = find(place, name)
        if durability is None and not isinstance(storage, Storage):
            place = open_storage(storage, durability=stored.durability)
        return cls(
            stored.space,
            sampler=SAMPLERS.make(stored.sampler) if sampler is None else sampler,
            metrics=stored.metrics,
            seed=stored.seed,
            allow_duplicates=stored.allow_duplicates,
            scheduler=(
                SCHEDULERS.make(stored.scheduler)
                if scheduler is None and stored.scheduler is not None
                else scheduler
            ),
            checkpoints=checkpoints,
            keep_checkpoints=keep_checkpoints,
            name=name,
            storage=place,
        )

    def in_new_space(self) -> Study | None:
        """Return the study in its new space, if another process has changed the space.

        This object is not changed.

        Returns
        -------
        Study or None
            None if the space is still the same, or if the study is in memory.

        Raises
        ------
        StudyError
            The study has been deleted.
        """
        place = self._ledger.place
        if place is None:
            return None
        now, stored = find(place.storage, self.name)
        if now.described == place.described:
            return None
        return Study(
            stored.space.with_feasible(self.space.feasible),
            sampler=self.sampler,
            metrics=self.metrics,
            seed=self.seed,
            allow_duplicates=self.allow_duplicates,
            scheduler=self.scheduler,
            checkpoints=self.checkpoints,
            keep_checkpoints=self.keep_checkpoints,
            name=self.name,
            storage=place.storage,
        )

    def sync(self) -> None:
        """Read the events that other processes have added to the storage.

        Every change of the study does this too, and so do ``trials``, ``best_value`` and similar properties.
        A ``Trial`` or ``TrialBatch`` that you hold, and ``history``, show only events that have been read.
        """
        self._ledger.look(bool)

    def close(self) -> None:
        """Close the files and connections of the storage; the next use opens them again.

        Other studies of this process in the same file, or with the same ``Storage``, share these files.
        For a study in memory this does nothing. ``with Study(..., storage=...) as study:`` closes the study
        at the end of the block.
        """
        with self._ledger.lock:
            if self._ledger.storage is not None:
                self._ledger.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def backup(self, path: str | Path) -> None:
        """Copy the study's SQLite file, with every study in it, to a new file.

        The file may be in use meanwhile. A plain copy of the file would lack the newest events, because
        SQLite keeps them in a second file.

        Parameters
        ----------
        path : path
            A file that does not exist yet.

        Raises
        ------
        StorageError
            The study is not in an SQLite file, ``path`` already exists, or it cannot be written.
        """
        if self._ledger.storage is None:
            raise StorageError("this study has no storage to copy: it is kept in memory")
        self._ledger.storage.backup(path)

    def __copy__(self) -> Self:
        # Two studies cannot share a journal: each must know where it is in the log.
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        # Pickling continues after this returns, while other threads may tell: it needs its own history.
        with self._ledger.lock:
            self._ledger.mend()
            kept = {key: value for key, value in vars(self).items() if key not in _NOT_PICKLED}
            made = {"history": copy.deepcopy(self.history), "_journal": self._ledger.journal}
            return kept | made | {"_seconds": self._asking.seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        journal, seconds = state.pop("_journal"), state.pop("_seconds")
        vars(self).update(state)
        self._keep(journal, seconds=seconds)

    @overload
    def ask(self, n: None = None, *, repeat: Trial | int | None = None) -> Trial: ...
    @overload
    def ask(self, n: int, *, repeat: Trial | int | None = None) -> TrialBatch: ...
    def ask(self, n: int | None = None, *, repeat: Trial | int | None = None) -> Trial | TrialBatch:
        """Start one trial, or ``n`` at once.

        Trials of dead workers come first, then paused trials that the scheduler continues, then enqueued
        configurations; the sampler proposes the rest.

        Parameters
        ----------
        n : int, optional
            Number of trials, in [1, 2**32). You get fewer if a finite space runs out.
        repeat : Trial or int, optional
            Run the configuration of this trial again under new numbers, to average over noise.

        Returns
        -------
        Trial or TrialBatch
            A ``TrialBatch`` if ``n`` is given, even if it is 1.

        Raises
        ------
        SpaceExhausted
            Every configuration of a finite space has been used.
        InfeasibleSpaceError
            The constraints rejected 65,536 draws in a row.
        StudyError
            ``n`` is not an int in its range, or is too large for the memory.
        TrialError
            ``repeat`` is not a trial of this study.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> study.ask().number, len(study.ask(4))
        (0, 4)
        """
        number = 1 if n is None else self._checked_n(n)
        try:
            if repeat is None:
                numbers: Any = self._asking.ask(Request(number, self.max_retries))
            else:
                first = self._asking.repeat(self._number(repeat), number)
                numbers = range(first, first + number)
        except MemoryError as error:
            raise StudyError(f"n must be a number of trials that fit in memory, got {n}") from error
        return Trial(self, int(numbers[0])) if n is None else self._batch(numbers)

    def _batch(self, numbers: Numbers) -> TrialBatch:
        if isinstance(numbers, range):  # a third of the time
            return TrialBatch(self, np.arange(numbers.start, numbers.stop))
        return TrialBatch(self, np.array(numbers, np.int64))

    def _checked_n(self, n: object) -> int:
        number = check_int("n", n, 1, 2**32 - 1, error=StudyError)
        if not fits_memory(number, self.space.layout.size + _COLUMNS):
            raise StudyError(f"n must be a number of trials that fit in memory, got {number}")
        return number

    def tell(self, trials: Trials, values: Any) -> None:
        """Complete running trials.

        If the scheduler has told a trial to stop or to pause before its last step, the trial ends as stopped
        with this value, or pauses.

        Parameters
        ----------
        trials : Trial, TrialBatch, trial number, or a sequence of trials or numbers
            Running trials, in any order.
        values : number or array-like of shape (k,)
            Results as the objective returns them, not negated for "maximize". A trial whose value is NaN or
            inf fails, with that reason. With several metrics: a mapping of names to numbers, or the numbers
            in the order of ``metrics``; for many trials columns by name, an array of shape (k, number of
            measured metrics), or one such result per trial. Leave out known metrics.

        Raises
        ------
        TrialError
            A trial is unknown, finished, repeated or of another study, the number of values is wrong,
            or one is not a number. The study is then unchanged.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> first, second = study.ask(), study.ask()
        >>> study.tell(second, 0.25)
        >>> study.tell([first], [0.5])
        >>> study.best_trial.number
        1
        """
        if self.metrics.n_objectives > 1 or not logger.isEnabledFor(logging.INFO):
            self._end(self._tell, trials, values)
            return
        before = self._best()
        self._end(self._tell, trials, values)
        if self._best() != before:
            logger.info("trial %d is the best so far: %.6g", self._best(), self.best_value)

    def _end(self, change: Callable[..., None], *arguments: Any) -> None:
        """Make a change that ends trials."""
        self._ledger.transact(change, *arguments)
        self._clear_folders()

    def _tell(self, trials: Trials, values: Any, *, complete: bool = False) -> None:
        reader = self.metrics.reader
        if isinstance(trials, Trial) or as_int(trials) is not None:
            row, told = self._number(trials), reader.one(values)
            if self.metrics.is_plain and self.scheduler is None:
                self._recorder.told_one(row, told[0])
                return
            rows, read = np.array([row]), np.array(told)[:, np.newaxis]
        else:
            rows = self._rows(trials)
            read = reader.many(values, len(rows))
        self._recorder.told(rows, read, complete=complete)

    def _number(self, trial: object) -> int:
        """Return the number of a trial of this study, running or not."""
        if isinstance(trial, Trial):
            if trial._study is not self:
                raise TrialError(f"trial {trial.number} belongs to another study")
            return trial.number
        number = as_int(trial)
        if number is None:
            raise TrialError(f"trials must be a Trial, a TrialBatch or trial numbers, got {shown(trial)}")
        if not 0 <= number < len(self.history):
            raise TrialError(f"trial {number} is unknown: the study has {len(self.history)} trials")
        return number

    def _rows(self, trials: object) -> Rows:
        """Return the numbers of trials of this study; an error if one is given twice."""
        if isinstance(trials, TrialBatch):
            if trials._study is not self:
                raise TrialError(f"{trials!r} belongs to another study")
            rows = trials.number
        elif isinstance(trials, list | tuple) or (isinstance(trials, np.ndarray) and trials.ndim == 1):
            rows = np.array([self._number(trial) for trial in trials], np.int64)
        else:
            rows = np.array([self._number(trials)])
        if len(rows) > 1 and not (np.diff(rows) > 0).all():
            unique, counts = np.unique(rows, return_counts=True)
            if len(unique) < len(rows):
                raise TrialError(f"trial {unique[counts > 1][0]} is given more than once")
        return rows

    def fail(self, trials: Trials, *, reason: str = "failed", traceback: str | None = None) -> None:
        """End running trials as failed. The sampler learns from them and never proposes them again.

        Parameters
        ----------
        trials : Trial, TrialBatch, trial number, or a sequence of trials or numbers
            Running trials, as for ``tell``.
        reason : str, default "failed"
            Why they failed; kept with each trial.
        traceback : str, optional
            Where they failed; kept with each trial.

        Raises
        ------
        TrialError
            A trial is unknown, finished, repeated or of another study, or ``reason`` or ``traceback`` is not
            a string. The study is then unchanged.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> trial = study.ask()
        >>> study.fail(trial, reason="out of memory")
        >>> trial.state.name, trial.reason
        ('FAILED', 'out of memory')
        """
        if not isinstance(reason, str):
            raise TrialError(f"reason must be a string, got {shown(reason)}")
        if not isinstance(traceback, str | None):
            raise TrialError(f"traceback must be a string or None, got {shown(traceback)}")
        reason, traceback = plain_text(reason), None if traceback is None else plain_text(traceback)
        self._end(lambda: self._recorder.failed(self._rows(trials), reason, traceback))

    def stop_trials(self, trials: Trials) -> None:
        """Stop running or paused trials; the value of each is its last report.

        Parameters
        ----------
        trials : Trial, TrialBatch, trial number, or a sequence of trials or numbers
            Running or paused trials. A trial without a finite report fails, and its reason says so.

        Raises
        ------
        TrialError
            A trial is unknown, finished, repeated or of another study. The study is then unchanged.

        See Also
        --------
        stop : Ends ``optimize``.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> trial = study.ask()
        >>> trial.report(0, 0.75)
        >>> study.stop_trials(trial)
        >>> trial.state.name, trial.value
        ('STOPPED', 0.75)
        """
        self._end(lambda: self._recorder.stopped(self._rows(trials)))

    def _has_run(self, row: int) -> bool:
        return bool(self.history.continued.item(row)) or row in self.history.retries

    def _plan(self, rows: Rows, steps: int) -> None:
        """Keep the number of steps that trials are to take in all; it is recorded with the next report."""
        self._plans.update(dict.fromkeys(rows.tolist(), steps))

    def _report(self, rows: Rows, step: int, values: NDArray[np.float64]) -> None:
        step = check_step(step)
        if self._plans and any(row in self._plans for row in rows.tolist()):
            self._report_planned(rows, step, values)
        else:
            self._ledger.transact(self._recorder.reported, rows, step, values)
        for hear in self._hearers:
            hear()

    def _report_planned(self, rows: Rows, step: int, values: NDArray[np.float64]) -> None:
        """Record a report of trials of which some have a number of steps that is not recorded yet."""
        steps = np.array([self._plans.get(row, 0) for row in rows.tolist()])

        def report() -> None:
            for each in np.unique(steps).tolist():
                at = steps == each
                self._recorder.reported(rows[at], step, values[:, at], each)

        self._ledger.transact(report)
        for row in rows.tolist():
            self._plans.pop(row, None)

    def _note(self, rows: Rows, notes: Sequence[Mapping[str, object]]) -> None:
        self._ledger.transact(self._recorder.noted, rows, notes)

    def _should_stop(self, rows: Rows) -> NDArray[np.bool_]:
        if self._ledger.is_fresh:
            return self._ledger.is_over(rows)
        from hpo_core.executors import Decision
        from hpo_core.run.decisions import decide

        return np.array([each is Decision.STOP for each in decide(cast("StudyLike", self), rows)], np.bool_)

    def _end_early(self, trials: Trials) -> None:
        """Stop or pause trials, as was decided, that left their objective before its end."""
        self._end(lambda: self._recorder.ended_early(self._rows(trials)))

    def _pause_running(self, trials: Trials) -> None:
        """Pause trials that count as running but have no worker any more."""
        self._ledger.transact(lambda: self._recorder.paused(self._rows(trials)))

    @property
    def pauses(self) -> bool:
        """Whether trials may pause, and go on later: the scheduler decides that."""
        return self.scheduler is not None and self.scheduler.pauses

    def _complete(self, trials: Trials, values: Any) -> None:
        """Complete trials that could not be told to stop."""
        self._end(partial(self._tell, complete=True), trials, values)

    def _transact(self, change: Callable[[], object]) -> None:
        self._ledger.transact(change)

    def _is_over(self, rows: Rows) -> NDArray[np.bool_]:
        """Return whether each trial is to stop or pause, has ended, or was taken over elsewhere, (k,)."""
        return self._ledger.is_over(rows)

    def note(self, /, **notes: object) -> None:
        """Attach JSON values to the study itself; ``notes`` returns them.

        Parameters
        ----------
        **notes
            Values by name, as for ``Trial.note``. A note replaces an earlier one of the same name.

        Raises
        ------
        TrialError
            A value cannot be written as JSON.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)})
        >>> study.note(dataset="digits", folds=5)
        >>> study.notes
        {'dataset': 'digits', 'folds': 5}
        """
        plain = {name: as_json(name, value) for name, value in notes.items()}
        self._ledger.transact(self._ledger.add, Annotated(plain))

    def enqueue(self, params: Mapping[str, Any], *, skip_if_exists: bool = False) -> None:
        """Queue a configuration to try before any that the sampler proposes.

        Parameters
        ----------
        params : mapping
            Values of some or all parameters by name. The sampler chooses the remaining ones when the trial is
            asked for; a value has no effect if its parameter is inactive then. The configuration may repeat
            an earlier one.
        skip_if_exists : bool, default False
            Do nothing if a trial or a queued configuration already has these values, whatever its other
            values are.

        Raises
        ------
        SpaceError
            A name or value is not in the space, or the constraints forbid the configuration.
        StudyError
            ``skip_if_exists`` is not a bool.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"lr": hpo.Float(1e-5, 1e-1, log=True), "depth": hpo.Int(1, 8)}, seed=0)
        >>> study.enqueue({"lr": 1e-3})
        >>> study.ask()["lr"]
        0.001
        """
        check_flag("skip_if_exists", skip_if_exists, error=StudyError)
        event = Enqueued(*self.space.codec.partial(params))
        x, given = fill_with_defaults(self.space, event)
        if is_complete(x, event.fixed) and not self.space.permits(x, given).all():
            raise SpaceError(f"params must satisfy the constraints of the space, got {dict(params)!r}")
        self._ledger.transact(self._enqueue_new if skip_if_exists else self._ledger.add, event)

    def _enqueue_new(self, event: Enqueued) -> None:
        """Queue a configuration unless a trial or the queue already has it."""
        waiting = ((each.fixed[:, np.newaxis], as_columns(each.given)) for each in self.history.queue)
        for x, given in [*waiting, (self.history.x, self.history.given)]:
            if self.space.codec.meets(x, given, event.fixed, event.given).any():
                return
        self._ledger.add(event)

    @overload
    def add(
        self,
        params: Mapping[str, Any],
        value: float | Mapping[str, float] | Sequence[float] | None = None,
        *,
        state: str | None = None,
        reason: str | None = None,
        reports: Curve | None = None,
        defaults: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        started: float | None = None,
        seconds: float | None = None,
    ) -> Trial: ...
    @overload
    def add(
        self,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pd.DataFrame,
        value: Sequence[Any] | NDArray[Any] | Mapping[str, Any],
        *,
        state: str | Sequence[str | None] | None = None,
        reason: str | Sequence[str | None] | None = None,
        reports: Sequence[Curve | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        notes: Sequence[Mapping[str, Any] | None] | None = None,
        started: Sequence[float | None] | None = None,
        seconds: Sequence[float | None] | None = None,
    ) -> TrialBatch: ...
    def add(
        self,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pd.DataFrame,
        value: Any = None,
        *,
        state: Any = None,
        reason: Any = None,
        reports: Any = None,
        defaults: Mapping[str, Any] | None = None,
        notes: Any = None,
        started: Any = None,
        seconds: Any = None,
    ) -> Trial | TrialBatch:
        """Record results from elsewhere as finished trials: one, or many at once.

        Numbers may lie outside their ranges, and configurations may break ``forbid`` and ``feasible``.
        Samplers learn from such a result as if it were at the nearest bound. They never propose its
        configuration, and ``recommend`` never returns it, but ``best_trial`` counts it.

        Parameters
        ----------
        params : mapping, a sequence of mappings, or a data frame
            A value for every active parameter. For many trials, columns by name or one mapping per trial;
            entries of a column are ignored where the parameter is inactive.
        value : float, or one for each trial
            Results, as for ``tell``; a trial whose value is NaN or inf fails. None for a failed trial, or for
            a stopped one, whose value is then its last report. Columns by name may hold None, too.
        state : {"complete", "stopped", "failed"}, or one for each trial, optional
            By default "complete", or "failed" if there is a reason.
        reason : str, or one for each trial, optional
            Why the trial failed.
        reports : mapping of step to value, or (step, value) pairs, or one of these for each trial, optional
            Intermediate values, in the order of their steps.
        defaults : mapping, optional
            Values of parameters that are missing in ``params``, for example because an older study did not
            have them.
        notes : mapping, or one for each trial, optional
            Notes by name, as for ``Trial.note``.
        started : float, or one for each trial, optional
            Start of the trial in seconds since 1970; by default now.
        seconds : float, or one for each trial, optional
            Duration of the trial in seconds; by default 0.

        Returns
        -------
        Trial or TrialBatch
            A ``TrialBatch`` if ``params`` or ``value`` is a sequence.

        Raises
        ------
        SpaceError
            ``params`` is not a configuration of the space.
        TrialError
            A value is not a number, or another argument is not allowed. The study is then unchanged.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"lr": hpo.Float(1e-5, 1e-1, log=True)}, seed=0)
        >>> study.add({"lr": 1e-3}, 0.25).params
        {'lr': 0.001}
        >>> batch = study.add({"lr": [1e-4, 1e-2, 1e-1]}, [0.5, 0.3, None], reason=[None, None, "diverged"])
        >>> study.best_params, batch[2].reason
        ({'lr': 0.001}, 'diverged')
        """
        rows, is_one = add(
            self._ledger,
            self._recorder,
            self.space,
            params,
            value,
            state=state,
            reason=reason,
            reports=reports,
            defaults=defaults,
            notes=notes,
            started=started,
            seconds=seconds,
        )
        return Trial(self, rows.item(0)) if is_one else TrialBatch(self, rows)

    def stop(self) -> None:
        """End ``optimize`` once its running trials have finished; to be called by callbacks.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> def stop_when_good(study, trial):
        ...     if study.best_value < 0.5:
        ...         study.stop()
        >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=1000, callbacks=[stop_when_good])
        >>> len(study.trials) < 1000
        True
        """
        self._stops += 1

    @contextmanager
    def _on_clock(self, clock: Callable[[], float] | None) -> Iterator[None]:
        before = self._recorder.clock
        self._recorder.clock = clock or before
        try:
            yield
        finally:
            self._recorder.clock = before

    @contextmanager
    def _on_report(self, hear: Callable[[], None]) -> Iterator[None]:
        self._hearers = (*self._hearers, hear)
        try:
            yield
        finally:
            self._hearers = tuple(each for each in self._hearers if each != hear)

    def _claims(self) -> Claims:
        self.lease_seconds, self.max_retries = checked_lease(self.lease_seconds, self.max_retries)
        return Claims(
            self._ledger,
            self._asking,
            partial(Trial, self),
            self._batch,
            self.lease_seconds,
            self.max_retries,
        )

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
        callbacks: Iterable[AnyCallback] = (),
        catch: type[Exception] | tuple[type[Exception], ...] = (),
        progress: bool = False,
        batch_size: int | None = None,
        vectorized: bool = False,
    ) -> None:
        """Ask, evaluate and tell until a limit is reached, or until a finite space is used up.

        Ctrl-C raises ``KeyboardInterrupt``: finished trials are kept, running ones fail with the reason
        "interrupted", and the study can continue later. A second Ctrl-C does not wait for the running trials.

        If the storage refuses a change, because it is locked or its disk is full, finished trials are kept in
        memory and written later, with a warning. ``timeout`` and Ctrl-C end the wait; the notes of the
        exception then name the values that could not be written.

        Parameters
        ----------
        objective : callable
            ``objective(trial)`` returns the value. It may raise ``TrialFailed`` or ``TrialStopped``.
        n_trials : int, optional
            Number of trials that this call finishes. If the scheduler pauses trials, it is the number of new
            trials that this call starts.
        until : int, optional
            Number of finished trials that the study has in the end. A script that is started again, and
            several scripts that share a storage, thus stop at the same number. If the scheduler pauses
            trials, paused ones count too. With either limit, the call then continues until the scheduler has
            no paused trial left to continue.
        timeout : float, optional
            Seconds after which no trial starts and no lock of a storage is waited for. With
            ``executors.Simulated`` these are virtual seconds.
        executor : optional
            Where trials run: by default in this thread. An int is a number of processes (-1: one per CPU; 1:
            this thread). Also allowed are a ``concurrent.futures.Executor``, a Dask ``Client``, "ray", and
            ``Processes``, ``Pool``, ``Dask``, ``Ray`` and ``Simulated`` of ``hpo_core.executors``, which have
            options such as ``trial_timeout`` and resources. A free worker gets a suggestion at once. Reports
            are recorded as they arrive, notes together with the result. With processes, a script must call
            ``optimize`` under ``if __name__ == "__main__":``.
        n_jobs : int, default 1
            Number of processes, by the name that other libraries use.
        callbacks : iterable of callables or objects
            A callable is called with ``(study, trial)`` after a trial has finished. An object has any of
            ``on_asked``, ``on_reported``, ``on_paused`` and ``on_finished``; see
            ``hpo_core.callbacks.Callback``. Both may call ``stop``.
        catch : exception type or tuple of exception types
            Exceptions of the objective, or of reading its result, after which the study continues. Any other
            exception is raised once its trial has been recorded as failed; ``SystemExit`` ends the call. A
            trial keeps up to 10,000 characters of a reason and 100,000 of a traceback.
        progress : bool
            Show a progress bar (needs tqdm).
        batch_size : int, optional
            At least 1. Required with ``vectorized=True``, which needs ``executor=None``.
        vectorized : bool
            Call ``objective(batch)`` with a ``TrialBatch`` of up to ``batch_size`` trials; it returns a value
            for each, (k,). ``TrialFailed("why")`` or ``TrialStopped()`` may take the place of a value.

        Raises
        ------
        ArgumentError
            An argument is not allowed, or nothing would end the call.
        HpoError
            Worker processes cannot start, or die one after another.
        StorageError
            The storage cannot be used, or refused changes until the timeout.

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
        if failed := _all_failed(self.history):
            logger.warning("%s", failed)

    @property
    def trials(self) -> TrialBatch:
        """Every trial, running ones included: ``study.trials[-1]``, ``study.trials.where("failed")``."""
        return TrialBatch(self, np.arange(len(self._ledger.latest())))

    @property
    def n_finished(self) -> int:
        """Number of trials that are complete, stopped or failed."""
        return self._ledger.latest().count_finished()

    @property
    def best_trial(self) -> Trial:
        """The complete trial with the best observed value; among equals, the one told first.

        If results are noisy, it is often the luckiest trial: ``recommend`` says which configuration to use.
        Feasible trials rank above infeasible ones. Until one is feasible, the smallest violation ranks first.

        Raises
        ------
        StudyError
            No trial has completed, or the study has several objectives.
        """
        self._require_one_objective("best_trial")
        return self._first_in_rank()

    def _first_in_rank(self) -> Trial:
        history = self._ledger.latest()
        best = self._best()
        if best < 0:
            failed = _all_failed(history)
            raise StudyError(f"no trial has completed yet: {history!r}{failed and f'; {failed}'}")
        return Trial(self, best)

    def _best(self) -> int:
        """Return the complete trial that comes first in the ranking, -1 if there is none."""
        with self._ledger.lock:
            return self._ranking.best(self.history)

    @property
    def best_params(self) -> dict[str, Any]:
        """Parameters of ``best_trial``."""
        self._require_one_objective("best_params")
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        """Value of ``best_trial``."""
        self._require_one_objective("best_value")
        number = self.best_trial.number
        return float(self.metrics.sign[0]) * self.history.y.item(0, number)

    @property
    def best_trials(self) -> TrialBatch:
        """``front()``, or the trial that violates the bounds least if none keeps them all."""
        front = self.front()
        return front if len(front) or self._best() < 0 else TrialBatch(self, np.array([self._best()]))

    def front(self) -> TrialBatch:
        """Return the complete trials that keep all bounds and that no other such trial dominates.

        A trial dominates another if it is at least as good in every objective and better in one.

        Returns
        -------
        TrialBatch
            Sorted by the first objective, best first. With one objective, the best trial and its equals.
            Empty if no complete trial keeps all bounds.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"f": hpo.Minimize(), "g": hpo.Maximize()})
        >>> study.tell(study.ask(3), {"f": [1, 2, 3], "g": [5, 9, 7]})
        >>> study.front().values["f"].tolist()
        [1.0, 2.0]
        """
        return TrialBatch(self, front(self._ledger.latest()))

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """Return the volume between the front and a reference point: the larger, the better.

        Parameters
        ----------
        reference : mapping of objectives to float, optional
            The worst values of interest, in the user's direction. By default the ``reference`` of each
            metric, or, if a metric has none, the worst value on the front plus a tenth of the front's range.
            The latter moves during the search: to compare studies, give the same reference to all.

        Returns
        -------
        float
            In the product of the objectives' units; 0 if the front is empty.

        Raises
        ------
        StudyError
            ``reference`` is not a mapping of objectives to finite numbers, or there is a front but every
            trial on it is worse than the reference in some objective.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"f": hpo.Minimize(), "g": hpo.Minimize()})
        >>> study.tell(study.ask(2), {"f": [1, 2], "g": [2, 1]})
        >>> study.hypervolume({"f": 3, "g": 3})
        3.0
        """
        return hypervolume(self._ledger.latest(), reference)

    @hinting
    def importance(
        self,
        metric: str | None = None,
        *,
        evaluator: Literal["ped-anova", "fanova"] = "ped-anova",
        target_quantile: float = 0.1,
        region_quantile: float = 1.0,
    ) -> dict[str, float]:
        """Return how much each parameter matters: shares that sum to 1, the most important one first.

        Parameters
        ----------
        metric : str, optional
            By default the objective. If there are several objectives or bounds, the default compares trials
            by their overall rank.
        evaluator : {"ped-anova", "fanova"}, default "ped-anova"
            "ped-anova" measures how the best trials differ from the others, in milliseconds. "fanova"
            measures the share of the metric's variance that each parameter explains by itself, in seconds.
        target_quantile, region_quantile : float, default 0.1 and 1
            For "ped-anova": the share of trials that count as the best, and the share of trials, best first,
            that they are compared with; 0 < ``target_quantile`` < ``region_quantile`` <= 1.

        Returns
        -------
        dict of str to float
            Shares of all parameters, descending.

        Raises
        ------
        StudyError
            An argument is not allowed, fewer than 10 trials can be compared, or all are equally good.

        See Also
        --------
        hpo_core.analysis.importance : The same function, with its method and its sources.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler="random", seed=0)
        >>> study.optimize(lambda trial: trial["x"] + 0.1 * trial["y"], n_trials=200)
        >>> list(study.importance())
        ['x', 'y']
        """
        return importance(
            self,
            metric,
            evaluator=evaluator,
            target_quantile=target_quantile,
            region_quantile=region_quantile,
        )

    @property
    def suggest_seconds(self) -> float:
        """Seconds spent on computing suggestions."""
        return self._asking.seconds

    @property
    def _suggests_slowly(self) -> bool:
        """Whether a decision of the scheduler may have to wait for a suggestion."""
        return self.scheduler is not None and not self.sampler.quick

    def recommend(self, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Return the configuration to use, among those that were tried and that the space permits.

        With ``auto`` and ``gp`` it is the configuration with the best expected true value, averaged over the
        possible noise levels. With other samplers, and without noise, it is the one with the best observed
        value. ``best_trial`` may differ, because it takes results as observed, and because it counts added
        results that are outside the ranges or break ``forbid`` and ``feasible``.

        With several objectives it is a configuration that keeps the bounds and that no other dominates, by
        the posterior means of ``gp``'s models if there are any. If none keeps the bounds, it is the one that
        violates them least.

        Parameters
        ----------
        weights : mapping of objectives to float, optional
            Weights >= 0: the configuration with the least weighted sum of objectives is returned, with
            maximised ones negated. Objectives without a weight do not count. By default the knee of the front
            is returned: each objective is scaled to its range on the front, and the least sum wins.

        Returns
        -------
        dict of str to value
            Active parameters and constants by name.

        Raises
        ------
        StudyError
            No trial has completed, the space permits none of the completed configurations, or ``weights`` is
            not a mapping of objectives to numbers >= 0.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, seed=0)
        >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
        >>> abs(study.recommend()["x"]) < 0.1
        True
        """
        checked = check_weights(self.metrics, weights)
        if not self.metrics.is_plain:
            return self._recommend_of_several(checked)
        self.best_trial  # noqa: B018 - an error if there is none
        history = self.history
        for order in (self.sampler.recommend(history), Sampler.recommend(self.sampler, history)):
            permitted = self.space.permits(*history.configurations(order))
            if permitted.any():
                return Trial(self, int(order[permitted.argmax()])).params
        raise StudyError(
            "the space permits none of the completed configurations; best_params still returns the best one"
        )

    def _recommend_of_several(self, weights: NDArray[np.float64] | None) -> dict[str, Any]:
        self._first_in_rank()
        history = self.history
        for rows, outcomes in (self.sampler.estimates(history), Sampler.estimates(self.sampler, history)):
            permitted = self.space.permits(*history.configurations(rows))
            found = preferred(self.metrics, outcomes[:, permitted], weights)
            if found is not None:
                return Trial(self, int(rows[permitted][found])).params
        order = completed(history)  # none is feasible: the least violation first
        permitted = self.space.permits(*history.configurations(order))
        if permitted.any():
            return Trial(self, int(order[permitted.argmax()])).params
        raise StudyError(
            "the space permits none of the completed configurations; front() still returns the best ones"
        )

    def replay(self) -> Replay:
        """Derive every suggestion again from the history, and compare it with the recorded one.

        Returns
        -------
        Replay
            True if all suggestions are the same, bit for bit, as they are on the same build. Otherwise it
            names the first trial that differs.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(100), [0.5] * 100)
        >>> print(study.replay())
        100 suggestions came out again
        """
        return self._ledger.look(self._replay)

    def _replay(self) -> Replay:
        found = Replay(0)
        for space, history, since, settle in self._ledger.eras(self.space):
            this = replay(
                space,
                history,
                self.sampler,
                seed=self.seed,
                allow_duplicates=self.allow_duplicates,
                scheduler=self.scheduler,
                since=since,
                settle=settle,
            )
            found = replace(this, checked=found.checked + this.checked)
            if not found:
                break
        return found

    def to_dict(self, *, reports: bool = False) -> dict[str, list[Any]]:
        """Return a list for each column of the trials, or of their reports.

        Parameters
        ----------
        reports : bool, default False
            Return one entry per report instead of one per trial.

        Returns
        -------
        dict of str to list
            See ``TrialBatch.to_dict``.
        """
        return self.trials.to_dict(reports=reports)

    def to_polars(self, *, reports: bool = False) -> pl.DataFrame:
        """Return one row per trial, or one per report (needs polars).

        Parameters
        ----------
        reports : bool, default False
            Return one row per report instead of one per trial.

        Returns
        -------
        polars.DataFrame
            See ``TrialBatch.to_polars``.
        """
        return self.trials.to_polars(reports=reports)

    def to_pandas(self, *, reports: bool = False) -> pd.DataFrame:
        """Return one row per trial, or one per report (needs pandas).

        Parameters
        ----------
        reports : bool, default False
            Return one row per report instead of one per trial.

        Returns
        -------
        pandas.DataFrame
            See ``TrialBatch.to_pandas``.
        """
        return self.trials.to_pandas(reports=reports)

    def report(self, path: str | Path) -> None:
        """Write the study as one HTML file that works offline, to show to others (needs plotly).

        The page has interactive pictures, the best configuration as code, the steps saved by stopping,
        failures and their reasons, instructions to reproduce the study, and its trials. If there are very
        many trials, it keeps the best ones and an even sample of the others.

        Parameters
        ----------
        path : path
            File to write; an existing file is replaced.

        Raises
        ------
        ArgumentError
            Plotly is not installed, or the file cannot be written or is a database.
        StorageError
            ``path`` is not a path.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=30)
        >>> study.report("report.html")  # doctest: +SKIP
        """
        from hpo_core.report import write_report

        self._ledger.latest()
        storage, described, space = self._ledger.storage, self._described(), None
        with suppress(SpaceError):  # choices such as functions, which JSON cannot hold
            space = json.loads(described.space.to_json())
        write_report(self, path, described.written(space), None if storage is None else str(storage))

    @property
    def notes(self) -> dict[str, Any]:
        """Notes of the study itself, as a new dictionary."""
        return copy.deepcopy(self._ledger.latest().study_notes)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        best = ""
        if self.metrics.n_objectives > 1:
            goal, best = ", ".join(self.metrics), f", {len(front(self.history))} on the front"
        else:
            goal = self.direction
            if self._best() >= 0:
                trial = self.best_trial
                best = f", best {trial.value:.6g}" if trial.feasible else ", none feasible"
        return displayed(f"Study({name}{self.sampler.name}, {goal}, {len(self.history)} trials{best})")

    def _repr_html_(self) -> str:
        return page(self)


def _read_metrics(direction: Any, metrics: Any) -> Metrics:
    if metrics is None:
        if direction is None:
            return Metrics.of("minimize")
        check_one_of("direction", direction, DIRECTIONS, error=StudyError)
        return Metrics.of(direction)
    if direction is not None:
        raise StudyError(f"direction must be left out if metrics are given, got {shown(direction)}")
    return metrics if isinstance(metrics, Metrics) else Metrics(metrics)


def _restart(starts: Sequence[Callable[[], None]]) -> None:
    """Discard everything that was derived from a history that has been rolled back."""
    for start in starts:
        start()


def _all_failed(history: History) -> str:
    """Return a message if every finished trial has failed, with the most common reason; otherwise ""."""
    n = history.count(State.FAILED)
    if not n or n < history.count_finished():
        return ""
    ((reason, k),) = Counter(history.reasons.values()).most_common(1)
    shown = printable(reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}...")
    if n == 1:
        return f"the one trial that has finished failed: {shown}"
    return f"all {n} trials that have finished failed, {k} of them: {shown}"
