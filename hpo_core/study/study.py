"""Study: ask, tell, optimize. Every change of a study is an event applied to its history."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np

from hpo_core.checks import (
    as_int,
    as_json,
    as_number,
    as_numbers,
    check_flag,
    check_int,
    check_step,
    plain_text,
    shown,
)
from hpo_core.errors import SpaceError, StudyError, TrialError
from hpo_core.hints import STUDY, did_you_mean, hinting, refusing
from hpo_core.log import History
from hpo_core.log.events import Annotated, Enqueued
from hpo_core.log.ledger import Ledger
from hpo_core.machine import fits_memory
from hpo_core.replay import fill_with_defaults, is_complete
from hpo_core.samplers import resolve
from hpo_core.space import Space
from hpo_core.space.codec import as_columns
from hpo_core.storage import Storage, open_storage
from hpo_core.study.adding import add
from hpo_core.study.asking import ask
from hpo_core.study.asking import repeat as ask_again
from hpo_core.study.attaching import attach, drop_late, set_late_aside
from hpo_core.study.description import find, make_sampler
from hpo_core.study.optimizing import Optimizing
from hpo_core.study.recorder import Recorder, running_rows, trial_number
from hpo_core.trial import Trial, TrialBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from hpo_core.log.journal import Journal
    from hpo_core.samplers.base import Sampler

    Trials = Trial | TrialBatch | int | Sequence[Trial | int] | NDArray[np.int64]
    Curve = Mapping[int, float] | Sequence[tuple[int, float]]

logger = logging.getLogger("hpo_core")

_NOT_PICKLED = ("_ledger", "_recorder")
_COLUMNS = 10  # numbers that a history keeps of a trial, beside its coordinates
SEED_LIMIT = 2**63  # seeds fit a signed 64-bit integer, so that any storage can hold them


@refusing(STUDY)
class Study(Optimizing):
    """A search for the parameters that give the least, or the greatest, value.

    ``ask`` proposes trials and ``tell`` takes their results, in any order and any number at a time;
    ``optimize`` does both around an objective. ``ask``, ``tell`` and everything else may be called
    from several threads. A study can be pickled: the copy continues with the same suggestions.

    Parameters
    ----------
    space : Space or mapping
        The search space; a mapping is passed to ``Space``.
    sampler : str or Sampler, default "auto"
        "auto", "gp", "tpe", "sobol", "random", or a ``Sampler`` with options, which is copied.
    direction : {"minimize", "maximize"}, default "minimize"
    seed : int, optional
        In [0, 2**63). The same seed gives the same suggestions. None draws one, kept as ``study.seed``.
    allow_duplicates : bool, default False
        Whether a configuration of a finite space may be proposed twice.
    name : str, default ""
        Name of the study, shown by ``repr``; needed with a storage.
    storage : path, URL or Storage, optional
        Keep every event in this SQLite file or PostgreSQL database, which several processes may share.
        A study of that name is resumed, with the same suggestions as if it had never stopped. Its space may
        have wider ranges, more choices and more parameters; every other argument must be as before.
    if_exists : {"resume", "error"}, default "resume"
        Whether to resume a study of that name in the storage, or to raise ``StudyError``.
    durability : {"normal", "full"}, optional
        With "normal", acknowledged results survive the death of the process; with "full", also a power
        failure. None keeps the setting of a stored study and is "normal" for a new one. PostgreSQL is
        always "full".

    Attributes
    ----------
    space, sampler, direction, seed, allow_duplicates, name
        As given; the seed as drawn, or as stored.
    history : History
        All results so far as columns, minimised, in internal coordinates.
    suggest_seconds : float
        Time spent computing suggestions.
    lease_seconds : float, default 60
        A trial of ``optimize`` in a stored study is given out again if its process has been silent for this
        long, and then for two thirds as long while another process watches. May be set.
    max_retries : int, default 2
        A trial is given out again at most this often; then it fails. May be set.

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

    @hinting
    def __init__(
        self,
        space: Space | Mapping[str, Any],
        *,
        sampler: str | Sampler = "auto",
        direction: Literal["minimize", "maximize"] = "minimize",
        seed: int | None = None,
        allow_duplicates: bool = False,
        name: str = "",
        storage: str | Path | Storage | None = None,
        if_exists: Literal["resume", "error"] = "resume",
        durability: Literal["normal", "full"] | None = None,
    ) -> None:
        if not isinstance(space, Space | Mapping):
            raise StudyError(f"space must be a Space or a mapping of names to parameters, got {space!r}")
        if direction not in ("minimize", "maximize"):
            hint = did_you_mean(direction, ("minimize", "maximize"))
            raise StudyError(f"direction must be 'minimize' or 'maximize', got {shown(direction)}{hint}")
        if seed is not None:
            seed = check_int("seed", seed, 0, SEED_LIMIT - 1, also=" or None", error=StudyError)
        check_flag("allow_duplicates", allow_duplicates, error=StudyError)
        if not isinstance(name, str):
            raise StudyError(f"name must be a string, got {name!r}")
        self.space = space if isinstance(space, Space) else Space(space)
        self.sampler = copy.deepcopy(resolve(sampler))
        self.direction = direction
        self.seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self.allow_duplicates = allow_duplicates
        self.name = name
        self.history = History(self.space.layout)
        self.suggest_seconds = 0.0
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._ready(attach(self, storage, seed, if_exists, durability))

    @classmethod
    def open(
        cls,
        storage: str | Path | Storage,
        name: str,
        *,
        sampler: str | Sampler | None = None,
        durability: Literal["normal", "full"] | None = None,
    ) -> Study:
        """Open a stored study as it is: its space, sampler and seed come from the storage.

        Parameters
        ----------
        storage : path, URL or Storage
        name : str
        sampler : str or Sampler, optional
            Must equal the stored one; needed only if that is not one of hpo_core's.
        durability : {"normal", "full"}, optional
            As for ``Study``.

        Raises
        ------
        StorageError
            There is no such storage, or it is damaged.
        StudyError
            There is no such study, it has another sampler, or its space has a ``feasible`` function, which
            no storage keeps: open it as ``Study(space, storage=storage, name=name)``.
        """
        place = open_storage(
            storage, durability="normal" if durability is None else durability, must_exist=True
        )
        _, stored = find(place, name)
        if durability is None and not isinstance(storage, Storage):
            place = open_storage(storage, durability=stored.durability)
        return cls(
            stored.space,
            sampler=make_sampler(stored.sampler) if sampler is None else sampler,
            direction=stored.direction,
            seed=stored.seed,
            allow_duplicates=stored.allow_duplicates,
            name=name,
            storage=place,
        )

    def in_new_space(self) -> Study | None:
        """Return the study in the space that another process gave it since this one was opened.

        Returns
        -------
        Study or None
            None if the space is still the same, or the study is in memory. This object stays as it is.

        Raises
        ------
        StudyError
            The study has been deleted.
        """
        journal = self._ledger.journal
        if journal is None:
            return None
        place, stored = find(journal.storage, self.name)
        if place.described == journal.described:
            return None
        return Study(
            stored.space.with_feasible(self.space.feasible),
            sampler=self.sampler,
            direction=self.direction,
            seed=self.seed,
            allow_duplicates=self.allow_duplicates,
            name=self.name,
            storage=journal.storage,
        )

    def sync(self) -> None:
        """Read the events that other processes have added to the storage.

        Every change of the study does this too, and so do ``trials``, ``best_value`` and the like. A
        ``Trial`` or ``TrialBatch`` that you hold, and ``history``, show only events that have been read.
        """
        self._ledger.look(bool)

    def __getstate__(self) -> dict[str, Any]:
        # Pickling goes on after this returns, while other threads may tell: it gets a history of its own.
        with self._ledger.lock:
            self._ledger.mend()
            kept = {key: value for key, value in vars(self).items() if key not in _NOT_PICKLED}
            return kept | {"history": copy.deepcopy(self.history), "_journal": self._ledger.journal}

    def __setstate__(self, state: dict[str, Any]) -> None:
        journal = state.pop("_journal")
        vars(self).update(state)
        self._ready(journal)

    def _ready(self, journal: Journal | None) -> None:
        """Make what is not pickled."""
        # The ledger must not hold the study: files would stay open until the garbage is collected.
        restart = partial(
            self.sampler.start, self.space, seed=self.seed, allow_duplicates=self.allow_duplicates
        )
        restart()
        self._ledger = Ledger(self.history, journal, restart)
        self._recorder = Recorder(self._ledger, self._sign)
        if journal is not None and journal.cursor == 0:
            journal.load(self.history)

    @overload
    def ask(self, n: None = None, *, repeat: Trial | int | None = None) -> Trial: ...
    @overload
    def ask(self, n: int, *, repeat: Trial | int | None = None) -> TrialBatch: ...
    def ask(self, n: int | None = None, *, repeat: Trial | int | None = None) -> Trial | TrialBatch:
        """Start one trial, or ``n`` at once.

        Trials of dead workers come first, then enqueued configurations; the sampler proposes the rest.

        Parameters
        ----------
        n : int, optional
            In [1, 2**32). If a finite space runs out, there are fewer.
        repeat : Trial or int, optional
            Run the configuration of this trial again, under new numbers: for noisy objectives.

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
        """
        n = None if n is None else self._checked_n(n)
        try:
            asked: Any = ask(self, n) if repeat is None else ask_again(self, repeat, n)
        except MemoryError as error:
            raise StudyError(f"n must be a number of trials that memory has room for, got {n}") from error
        return cast("Trial | TrialBatch", asked)

    def _checked_n(self, n: object) -> int:
        number = check_int("n", n, 1, 2**32 - 1, error=StudyError)
        if not fits_memory(number, self.space.layout.size + _COLUMNS):
            raise StudyError(f"n must be a number of trials that memory has room for, got {number}")
        return number

    def tell(self, trials: Trials, values: ArrayLike) -> None:
        """Complete running trials.

        Parameters
        ----------
        trials : Trial, TrialBatch, trial number, or a sequence of trials or numbers
            Running trials, in any order.
        values : number or array-like of shape (k,)
            In the study's direction. A trial whose value is NaN or inf fails, with that reason.

        Raises
        ------
        TrialError
            A trial is unknown, finished, repeated or of another study, the number of values is wrong,
            or one is not a number. The study is then unchanged.
        """
        best = self.history.best
        self._ledger.transact(self._tell, trials, values)
        if self.history.best != best and logger.isEnabledFor(logging.INFO):
            logger.info("trial %d is the best so far: %.6g", self.history.best, self.best_value)

    def _tell(self, trials: Trials, values: ArrayLike) -> None:
        if self._has_late():
            trials, values = set_late_aside(self, trials, values)
        if isinstance(trials, Trial) or as_int(trials) is not None:
            self._recorder.told_one(trial_number(self, trials), as_number(values))
        else:
            rows = running_rows(self, trials)
            self._recorder.told(rows, as_numbers(values, len(rows)))

    def fail(self, trials: Trials, *, reason: str = "failed", traceback: str | None = None) -> None:
        """End running trials as failed. The sampler learns from them and never proposes them again.

        Parameters
        ----------
        trials : as for ``tell``
        reason : str
            Kept with each trial.
        traceback : str, optional
            Kept with each trial.

        Raises
        ------
        TrialError
            As for ``tell``; the study is then unchanged.
        """
        if not isinstance(reason, str):
            raise TrialError(f"reason must be a string, got {shown(reason)}")
        if not isinstance(traceback, str | None):
            raise TrialError(f"traceback must be a string or None, got {shown(traceback)}")
        reason, traceback = plain_text(reason), None if traceback is None else plain_text(traceback)
        self._ledger.transact(self._fail, trials, reason, traceback)

    def _fail(self, trials: Trials, reason: str, traceback: str | None) -> None:
        if self._has_late():
            trials, _ = set_late_aside(self, trials, reason=reason)
        self._recorder.failed(running_rows(self, trials), reason, traceback)

    def stop_trials(self, trials: Trials) -> None:
        """Stop running trials early; the value of each is its last report.

        Parameters
        ----------
        trials : as for ``tell``
            A trial without a finite report fails, and its reason says so.

        Raises
        ------
        TrialError
            A trial is unknown, finished, repeated or of another study. The study is then unchanged.

        See Also
        --------
        stop : Ends ``optimize``.
        """

        def finish(trials: Trials) -> None:
            if self._has_late():
                trials, _ = set_late_aside(self, trials, stopped=True)
            self._recorder.stopped(running_rows(self, trials))

        self._ledger.transact(finish, trials)

    def _report(self, rows: NDArray[np.int64], step: int, values: NDArray[np.float64]) -> None:
        step = check_step(step)

        def report(rows: NDArray[np.int64], values: NDArray[np.float64]) -> None:
            if self._has_late():
                rows, values = set_late_aside(self, rows, values, step=step)
            self._recorder.reported(rows, step, values)

        self._ledger.transact(report, rows, values)

    def _note(self, rows: NDArray[np.int64], notes: Sequence[Mapping[str, object]]) -> None:
        def note(rows: NDArray[np.int64], notes: Sequence[Mapping[str, object]]) -> None:
            if self._has_late():
                rows, notes = drop_late(self, rows, notes)
            self._recorder.noted(rows, notes)

        self._ledger.transact(note, rows, notes)

    def note(self, /, **notes: object) -> None:
        """Attach JSON values to the study itself; ``notes`` returns them.

        Parameters
        ----------
        **notes
            As for ``Trial.note``. A note replaces an earlier one of the same name.

        Raises
        ------
        TrialError
            A value is not JSON.
        """
        plain = {name: as_json(name, value) for name, value in notes.items()}
        self._ledger.transact(self._ledger.add, Annotated(plain))

    def _has_late(self) -> bool:
        journal = self._ledger.journal
        return journal is not None and bool(journal.finished_elsewhere)

    def enqueue(self, params: Mapping[str, Any], *, skip_if_exists: bool = False) -> None:
        """Queue a configuration to try before any that the sampler proposes.

        Parameters
        ----------
        params : mapping
            Values by name. The sampler chooses the others when the trial is asked for; a value has no effect
            if its parameter is inactive then. The configuration may repeat an earlier one.
        skip_if_exists : bool, default False
            Do nothing if a trial or a queued configuration already has these values; others may differ.

        Raises
        ------
        SpaceError
            A name or value is not in the space, or the constraints forbid the configuration.
        StudyError
            ``skip_if_exists`` is not a bool.
        """
        check_flag("skip_if_exists", skip_if_exists, error=StudyError)
        event = Enqueued(*self.space.codec.partial(params))
        x, given = fill_with_defaults(self.space, event)
        if is_complete(x, event.fixed) and not self.space.permits(x, given).all():
            raise SpaceError(f"params: the constraints do not permit {dict(params)!r}")
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
        value: float | None = None,
        *,
        state: str | None = None,
        reason: str | None = None,
        reports: Curve | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Trial: ...
    @overload
    def add(
        self,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        value: Sequence[float | None] | NDArray[Any],
        *,
        state: str | Sequence[str | None] | None = None,
        reason: str | Sequence[str | None] | None = None,
        reports: Sequence[Curve | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> TrialBatch: ...
    def add(
        self,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        value: Any = None,
        *,
        state: Any = None,
        reason: Any = None,
        reports: Any = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Trial | TrialBatch:
        """Record results from elsewhere as finished trials: one, or many at once.

        Numbers may lie outside their ranges, and configurations may break ``forbid`` and ``feasible``.
        Samplers learn from such a result as if it lay at the nearest bound. They never propose its
        configuration, and ``recommend`` never returns it, but ``best_trial`` counts it.

        Parameters
        ----------
        params : mapping, or a sequence of mappings
            A value for every active parameter. For many trials, columns by name or one mapping per trial;
            entries of a column are ignored where the parameter is inactive.
        value : float, or one for each trial
            In the study's direction; a trial whose value is NaN or inf fails. None for a failed trial, or
            for a stopped one, which then takes its last report.
        state : {"complete", "stopped", "failed"}, or one for each trial, optional
            By default "complete", or "failed" if there is a reason.
        reason : str, or one for each trial, optional
            Why the trial failed.
        reports : mapping of step to value, or (step, value) pairs, or one of these for each trial, optional
            Intermediate values, in the order of their steps.
        defaults : mapping, optional
            Values of parameters that ``params`` lacks, for example because an older study did not have them.

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
        return add(self, params, value, state=state, reason=reason, reports=reports, defaults=defaults)
