"""Handles to one trial or many. They read all their data from the history."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from hpo_core.checks import STEP_LIMIT, check_flag, check_int, check_step, note_of_each, some
from hpo_core.errors import SpaceError, TrialError
from hpo_core.hints import TRIAL, did_you_mean, refusing
from hpo_core.log import State
from hpo_core.printable import displayed
from hpo_core.seeds import trial_seed
from hpo_core.trial.checkpoints import folder_of, holds_anything, newest, saving
from hpo_core.trial.table import frame, lists, polars_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space


class OwningStudy(Protocol):
    """The part of a study that a handle needs; a worker has a stand-in for it."""

    space: Space
    seed: int
    name: str
    checkpoints: Path | None

    @property
    def metrics(self) -> Metrics:
        """The metrics of the study."""

    @property
    def history(self) -> History:
        """Columns of its trials."""

    def _has_run(self, row: int) -> bool:
        """Whether a trial has an earlier run: it has paused, or its worker has died."""

    def _plan(self, rows: NDArray[np.int64], steps: int) -> None: ...
    def _report(self, rows: NDArray[np.int64], step: int, values: NDArray[np.float64]) -> None: ...
    def _note(self, rows: NDArray[np.int64], notes: Sequence[Mapping[str, object]]) -> None: ...
    def _should_stop(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]: ...


@refusing(TRIAL)
class Trial:
    """One trial of a study, in the process of the study or in a worker.

    ``trial["lr"]`` is the value of a parameter; ``"lr" in trial`` says whether the parameter is active in
    the trial. Two handles to the same trial of the same study are equal. ``Study.ask`` returns trials.

    Attributes
    ----------
    number : int
        Trials are numbered from 0 in the order of asking.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"depth": hpo.Int(1, 4), "lr": 0.1}, sampler="random", seed=0)
    >>> trial = study.ask()
    >>> trial.number, trial.state.name, trial["lr"]
    (0, 'RUNNING', 0.1)
    >>> study.tell(trial, 0.25)
    >>> trial.value
    0.25
    """

    __slots__ = ("_params", "_row", "_study", "number")

    def __init__(
        self, study: OwningStudy, number: int, *, row: int | None = None, params: dict[str, Any] | None = None
    ) -> None:
        self._study = study
        self.number = number
        self._row = number if row is None else row  # of the history, which in a worker has one row
        self._params = params

    def __getitem__(self, name: str) -> Any:
        params = self._decoded()
        if name not in params:
            if name in self._study.space.parameters:
                why, hint = f"is inactive in trial {self.number}", ""
            else:
                why, hint = "is not in the space", did_you_mean(name, self._study.space.parameters)
            raise TrialError(f"parameter {name!r} {why}; active are {', '.join(map(repr, params))}{hint}")
        return params[name]

    def __contains__(self, name: object) -> bool:
        return name in self._decoded()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trial):
            return NotImplemented
        return self._study is other._study and self.number == other.number

    def __hash__(self) -> int:
        return hash((id(self._study), self.number))

    def __repr__(self) -> str:
        values = self.values
        told = "".join(f", {name}={value:.6g}" for name, value in values.items()) if values else ""
        return displayed(f"Trial({self.number}, {self.state.name.lower()}{told}, params={self._decoded()})")

    def _decoded(self) -> dict[str, Any]:
        if self._params is None:
            study = self._study
            self._params = study.space.codec.decode_params(*study.history.configurations(self._row))
        return self._params

    @property
    def params(self) -> dict[str, Any]:
        """Active parameters and constants, as a new dictionary."""
        return dict(self._decoded())

    @property
    def state(self) -> State:
        """``RUNNING``, ``PAUSED``, ``COMPLETE``, ``STOPPED`` or ``FAILED``."""
        return State(self._study.history.state.item(self._row))

    @property
    def value(self) -> float | None:
        """The value told for the trial; for a paused trial, its last report. None if there is none.

        A stopped trial has the value that its objective returned, or its last report.

        Raises
        ------
        TrialError
            The study has several objectives: see ``values``.
        """
        metrics = self._study.metrics
        _require_one_objective(metrics)
        y: float = _outcomes(self._study.history, np.array([self._row])).item(0, 0)
        return None if y != y else metrics.sign.item(0) * y

    @property
    def values(self) -> dict[str, float] | None:
        """Like ``value``, for every metric by name, known ones included; None if there is none."""
        outcomes = _outcomes(self._study.history, np.array([self._row]))[:, 0]
        if np.isnan(outcomes).all():
            return None
        return {name: float(value) for name, value in self._study.metrics.by_name(outcomes).items()}

    @property
    def feasible(self) -> bool:
        """Whether the trial has values and keeps every bound of the metrics."""
        return bool(TrialBatch(self._study, np.array([self._row])).feasible[0])

    @property
    def reason(self) -> str | None:
        """Why the trial failed, or was told to stop or pause; None if neither, or if it has continued."""
        return TrialBatch(self._study, np.array([self._row])).reason[0]

    @property
    def traceback(self) -> str | None:
        """Traceback of the objective's exception; None if it did not raise."""
        return self._study.history.tracebacks.get(self._row)

    @property
    def retries(self) -> list[str]:
        """Why the trial was given to another worker: one reason for each worker that died."""
        return list(self._study.history.retries.get(self._row, ()))

    @property
    def notes(self) -> dict[str, Any]:
        """Notes of the trial, as a new dictionary."""
        return copy.deepcopy(self._study.history.notes.get(self._row, {}))

    @property
    def reports(self) -> list[tuple[int, Any]]:
        """Reported (step, value) pairs in the order of arrival, in the study's direction.

        With several metrics a value is a mapping of their names to numbers.
        """
        return TrialBatch(self._study, np.array([self._row])).reports[0]

    @property
    def origin(self) -> str:
        """Origin of the configuration: a sampler's name, "enqueued", "added" or "repeated"."""
        history = self._study.history
        return history.origins[history.origin.item(self._row)]

    @property
    def tier(self) -> str:
        """Former name of ``origin``."""
        return self.origin

    @property
    def seed(self) -> int:
        """32-bit seed for the objective: a function of the study's seed and the trial's number."""
        return trial_seed(self._study.seed, self.number)

    @property
    def folder(self) -> Path | None:
        """Folder of the trial, in the folder ``checkpoints`` of the study; None if the study has none.

        It is created on first use, and deleted once the trial has ended, unless the study has
        ``keep_checkpoints=True``.
        """
        folder = self._folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def _folder(self) -> Path | None:
        study = self._study
        return None if study.checkpoints is None else folder_of(study.checkpoints, study.name, self.number)

    @property
    def checkpoint(self) -> Path | None:
        """Folder of the newest checkpoint, written by ``save_checkpoint``; None if there is none.

        It is always None in the first run of a trial. A trial runs again after a pause, or if its worker
        died.
        """
        found = self._newest()
        return None if found is None else found[1]

    def _newest(self) -> tuple[int, Path] | None:
        folder = self._folder
        return newest(folder) if folder is not None and self._study._has_run(self._row) else None

    @property
    def last_step(self) -> int | None:
        """Last step of earlier runs that need not be repeated; None if there is none.

        It is the step of ``checkpoint``, if there is one. Otherwise, if ``folder`` holds anything else, the
        objective keeps its state there itself, and this is the last step reported before the trial paused.
        """
        if self._study.checkpoints is None or not self._study._has_run(self._row):
            return None
        found = self._newest()
        if found is not None:
            return found[0]
        history, folder = self._study.history, self._folder
        if folder is None or not history.continued.item(self._row) or not holds_anything(folder):
            return None
        last = history.last_report.item(self._row)
        return None if last < 0 else history.reports.step.item(last)

    @property
    def resumed(self) -> bool:
        """Whether the trial continues after the steps of an earlier run; see ``last_step``."""
        return self.last_step is not None

    def steps(self, n: int) -> Iterator[int]:
        """Iterate over the steps 0 .. n - 1 of a training, or over the remaining ones after a pause.

        The study learns that the trial takes ``n`` steps, so a scheduler needs no ``max_steps``.

        Parameters
        ----------
        n : int
            Number of steps, at least 1. It must be the same each time the trial runs.

        Returns
        -------
        iterator of int
            Begins after ``last_step``, or at 0.

        Raises
        ------
        TrialError
            ``n`` is not an int >= 1.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> def train(trial):
        ...     loss = 1.0
        ...     for epoch in trial.steps(9):
        ...         loss *= trial["rate"]
        ...         trial.report(epoch, loss)
        ...         if trial.should_stop():
        ...             break
        ...     return loss
        >>> study = hpo.Study({"rate": hpo.Float(0.5, 1)}, sampler="random", scheduler="asha", seed=0)
        >>> study.optimize(train, n_trials=30)
        >>> len(study.trials.where("stopped")) > 15
        True
        """
        n = check_int("n", n, 1, STEP_LIMIT - 1, error=TrialError)
        last = self.last_step
        self._study._plan(np.array([self._row]), n)
        return iter(range(0 if last is None else last + 1, n))

    def save_checkpoint(self, step: int) -> AbstractContextManager[Path]:
        """Return a context manager that saves the state after a step; ``checkpoint`` finds it later.

        Write the state into the empty folder that the context yields. At the end of the block the folder
        becomes the checkpoint in one move, and older ones are removed. If the process dies or the block
        raises, the older checkpoint stays.

        Parameters
        ----------
        step : int
            At least 0, as in ``report``.

        Returns
        -------
        context manager
            It yields the ``Path`` of the folder.

        Raises
        ------
        TrialError
            The study has no ``checkpoints``, or ``step`` is not an int >= 0.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> import tempfile
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, checkpoints=tempfile.mkdtemp(), seed=0)
        >>> trial = study.ask()
        >>> with trial.save_checkpoint(0) as folder:
        ...     _ = (folder / "state.txt").write_text("anything")
        >>> [path.name for path in trial.folder.iterdir()]
        ['step-000000000']
        """
        step, folder = check_step(step), self._folder
        if folder is None:
            raise TrialError("checkpoints must be a path, got None; write Study(space, checkpoints='folder')")
        return saving(folder, step)

    def note(self, /, **notes: object) -> None:
        """Attach JSON values to a running trial; ``notes`` returns them.

        NumPy values are converted, and tuples stay tuples.

        Parameters
        ----------
        **notes
            Values by name. Lists, tuples and mappings may be nested 100 deep; keys are text, numbers, bools
            or None. A note replaces an earlier one of the same name.

        Raises
        ------
        TrialError
            The trial has finished, or a value cannot be written as JSON.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> trial = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0).ask()
        >>> trial.note(n_params=1200, accuracy=[0.9, 0.95])
        >>> trial.notes
        {'n_params': 1200, 'accuracy': [0.9, 0.95]}
        """
        self._study._note(np.array([self._row]), [notes])

    def report(self, step: int, value: Any) -> None:
        """Record an intermediate value of a running trial, such as an epoch's validation loss.

        In a worker the value is sent to the study, and this call does not notice if the trial has been ended
        from outside meanwhile: call ``should_stop``.

        Parameters
        ----------
        step : int
            At least 0.
        value : float, or a mapping or sequence of floats if the study has several metrics
            The value as measured, not negated for "maximize". NaN and inf are recorded like other values if
            the study has no scheduler; with one, the trial fails. With a scheduler, steps that are not above
            the last one are dropped.

        Raises
        ------
        TrialError
            The trial has finished, ``step`` is negative or ``value`` is not a number.
        """
        told = self._study.metrics.reader.one(value)
        self._study._report(np.array([self._row]), step, np.array(told)[:, np.newaxis])

    def should_stop(self) -> bool:
        """Whether the objective should end the trial early.

        It is True if the scheduler has decided to stop or pause the trial, if the study has ended it, or if
        another process has taken it over. Then return the last value, or ``raise TrialStopped``; a trial that
        is to pause does so either way. If the trial has been ended, the returned value is not used.

        In a worker this asks the study and waits up to a second for the answer, which then holds for a tenth
        of a second or until the next report. Executors that cannot get an answer, such as a
        ``ProcessPoolExecutor``, return False.

        Returns
        -------
        bool
            See ``steps`` for an example.
        """
        return bool(self._study._should_stop(np.array([self._row]))[0])


class TrialBatch:
    """Many trials of a study, in columns: every attribute of ``Trial`` as an array or list of length k.

    ``batch["lr"]`` is a column of values, which holds the default for trials in which the parameter is
    inactive; ``batch.active("lr")`` tells them apart. ``batch[3]`` is a ``Trial``; a slice, a boolean mask or
    an array of indices gives a ``TrialBatch``. Iteration yields trials. ``Study.ask(n)`` and
    ``Study.trials`` return batches.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import numpy as np
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> batch = study.ask(100)
    >>> loss = batch["x"] ** 2
    >>> ok = loss < 0.5
    >>> study.tell(batch[ok], loss[ok])
    >>> study.fail(batch[~ok], reason="diverged")
    >>> len(study.trials.where("complete")) == len(loss[ok])
    True
    """

    __slots__ = ("_rows", "_study")

    def __init__(self, study: OwningStudy, rows: NDArray[np.int64]) -> None:
        self._study = study
        self._rows = rows
        rows.flags.writeable = False

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Trial]:
        return (Trial(self._study, row) for row in self._rows.tolist())

    def __repr__(self) -> str:
        rows = self._rows
        if len(rows) == 0:
            return "TrialBatch(0 trials)"
        if len(rows) == 1:
            return f"TrialBatch(1 trial, number {rows[0]})"
        first, last = rows.min(), rows.max()
        all_between = last - first + 1 == len(np.unique(rows))
        numbers = f"{first} to {last}" if all_between else f"between {first} and {last}"
        return f"TrialBatch({len(rows)} trials, numbers {numbers})"

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> Trial: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | Sequence[int] | Sequence[bool]) -> TrialBatch: ...
    def __getitem__(self, key: Any) -> NDArray[Any] | Trial | TrialBatch:
        if isinstance(key, str):
            try:
                return self._study.space.codec.column(key, *self._x())
            except SpaceError as error:
                if not isinstance(getattr(TrialBatch, key, None), property):
                    raise
                raise SpaceError(f"{error}; read `.{key}`, which is no parameter") from None
        if isinstance(key, slice):
            return TrialBatch(self._study, self._rows[key])
        index = np.asarray(key)
        if index.size == 0 and index.dtype != np.bool_:
            index = index.astype(np.int64)
        if index.ndim == 0 and index.dtype.kind in "iu":
            return Trial(self._study, int(self._rows[index]))
        if index.ndim != 1 or index.dtype.kind not in "biu":
            raise TrialError(
                "a batch's index must be a parameter's name, an int, a slice, a boolean mask or an array of "
                f"indices, got {type(key).__name__} of shape {index.shape} and dtype {index.dtype}"
            )
        if index.dtype == np.bool_ and len(index) != len(self):
            raise TrialError(f"a mask must have the length of the batch, {len(self)}, got {len(index)}")
        return TrialBatch(self._study, self._rows[index])

    def _x(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Coordinates and their ``given``."""
        rows = self._rows
        at: slice | NDArray[np.int64] = rows
        if len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            at = slice(rows[0], rows[-1] + 1)
        return self._study.history.configurations(at)

    def where(self, state: State | str) -> TrialBatch:
        """Return the trials of one state.

        Parameters
        ----------
        state : {"running", "paused", "complete", "stopped", "failed"} or State

        Returns
        -------
        TrialBatch

        Raises
        ------
        TrialError
            There is no such state.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(3)[:2], [0.5, 0.25])
        >>> study.trials.where("running").number.tolist()
        [2]
        """
        names = [member.name.lower() for member in State]
        if isinstance(state, str) and state.lower() in names:
            state = State[state.upper()]
        if not isinstance(state, State):
            raise TrialError(f"state must be one of {', '.join(names)}, got {state!r}")
        return TrialBatch(self._study, self._rows[self.state == state])

    def active(self, name: str) -> NDArray[np.bool_]:
        """Return the mask of the trials in which a parameter is active.

        Parameters
        ----------
        name : str
            Name of a parameter.

        Returns
        -------
        (k,) array of bool

        Raises
        ------
        SpaceError
            The space has no parameter of that name.
        """
        return self._study.space.codec.active(name, *self._x())

    @property
    def number(self) -> NDArray[np.int64]:
        """(k,) trial numbers."""
        return self._rows

    @property
    def params(self) -> dict[str, NDArray[Any]]:
        """Every column by name, constants included; inactive entries hold the default."""
        return self._study.space.decode(*self._x())

    @property
    def state(self) -> NDArray[np.uint8]:
        """(k,) values of ``State``."""
        return self._study.history.state[self._rows]

    @property
    def value(self) -> NDArray[np.float64]:
        """(k,) values of the trials, as ``Trial.value``; NaN if there is none.

        Raises
        ------
        TrialError
            The study has several objectives: see ``values``.
        """
        metrics = self._study.metrics
        _require_one_objective(metrics)
        values: NDArray[np.float64] = metrics.sign[0] * _outcomes(self._study.history, self._rows)[0]
        return values

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """(k,) values of every metric by name, known ones included; NaN if a trial has none."""
        return self._study.metrics.by_name(_outcomes(self._study.history, self._rows))

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(k,) mask of the trials that have values and keep every bound of the metrics."""
        history, rows = self._study.history, self._rows
        kept = (history.violation[:, rows] <= 0.0).all(axis=0)
        told = ~np.isnan(history.outcomes[:, rows]).any(axis=0)
        return np.asarray(told & kept)

    @property
    def reason(self) -> list[str | None]:
        """Why each trial failed, or was told to stop or pause; None otherwise, as for ``Trial.reason``."""
        history = self._study.history
        told = zip(self._rows.tolist(), history.decision[self._rows].tolist(), strict=True)
        return [history.reasons.get(row, history.why.get(row) if move else None) for row, move in told]

    @property
    def traceback(self) -> list[str | None]:
        """Traceback of each objective's exception; None if it did not raise."""
        return [*map(self._study.history.tracebacks.get, self._rows.tolist())]

    @property
    def retries(self) -> list[list[str]]:
        """Why each trial was given to another worker; an empty list if its worker lived."""
        retries = self._study.history.retries
        return [list(retries.get(row, ())) for row in self._rows.tolist()]

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The notes of each trial."""
        notes = self._study.history.notes
        return [copy.deepcopy(notes.get(row, {})) for row in self._rows.tolist()]

    @property
    def reports(self) -> list[list[tuple[int, Any]]]:
        """Reported (step, value) pairs of each trial; see ``Trial.reports``."""
        found: dict[int, list[tuple[int, Any]]] = {row: [] for row in self._rows.tolist()}
        reports, metrics = self._study.history.reports, self._study.metrics
        own = np.flatnonzero(np.isin(reports.row, self._rows))
        values: list[Any]
        if metrics.is_plain:
            values = (metrics.sign[0] * reports.value[own]).tolist()
        else:
            told = metrics.by_name(np.atleast_2d(reports.value)[:, own])
            columns = {name: told[name].tolist() for name in metrics.reader.measured}
            values = [{name: column[k] for name, column in columns.items()} for k in range(len(own))]
        for row, step, value in zip(
            reports.row[own].tolist(), reports.step[own].tolist(), values, strict=True
        ):
            found[row].append((step, value))
        return [list(found[row]) for row in self._rows.tolist()]

    @property
    def origin(self) -> NDArray[np.str_]:
        """(k,) origins of the configurations: ``batch[batch.origin == "tpe"]``."""
        history = self._study.history
        return np.array(history.origins, np.str_)[history.origin[self._rows]]

    @property
    def tier(self) -> NDArray[np.str_]:
        """Former name of ``origin``."""
        return self.origin

    @property
    def seed(self) -> NDArray[np.int64]:
        """(k,) 32-bit seeds, as ``Trial.seed``."""
        return trial_seed(self._study.seed, self._rows)

    def note(self, /, **notes: object) -> None:
        """Attach JSON values to running trials; ``notes`` returns them.

        Parameters
        ----------
        **notes
            By name, one value for all trials, or a list or array with a value for each of the k trials.

        Raises
        ------
        TrialError
            A trial has finished, a value cannot be written as JSON, or a list does not have length k.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> batch = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0).ask(2)
        >>> batch.note(host="a", n_params=[10, 20])
        >>> batch.notes
        [{'host': 'a', 'n_params': 10}, {'host': 'a', 'n_params': 20}]
        """
        columns = {name: note_of_each(name, value, len(self)) for name, value in notes.items()}
        self._study._note(self._rows, [{name: c[i] for name, c in columns.items()} for i in range(len(self))])

    def report(self, step: int, value: Any) -> None:
        """Record an intermediate value of every trial; all must be running.

        Parameters
        ----------
        step : int
            At least 0.
        value : array-like of shape (k,)
            Values as measured, not negated for "maximize"; NaN and inf as for ``Trial.report``. With several
            metrics, columns by name or of shape (k, number of measured metrics).

        Raises
        ------
        TrialError
            A trial has finished, ``step`` is negative, or there are not k numbers.
        """
        self._study._report(self._rows, step, self._study.metrics.reader.many(value, len(self)))

    def steps(self, n: int) -> Iterator[int]:
        """Iterate over the steps 0 .. n - 1, and tell the study that each trial takes ``n`` steps.

        Parameters
        ----------
        n : int
            Number of steps, at least 1.

        Returns
        -------
        iterator of int
            Begins at 0, or after ``Trial.last_step`` if it is the same for all trials of the batch.
        """
        n = check_int("n", n, 1, STEP_LIMIT - 1, error=TrialError)
        self._study._plan(self._rows, n)
        lasts = {trial.last_step for trial in self}
        last = lasts.pop() if len(lasts) == 1 else None
        return iter(range(0 if last is None else last + 1, n))

    def should_stop(self) -> NDArray[np.bool_]:
        """Return the mask of the trials that should end early; see ``Trial.should_stop``.

        Returns
        -------
        (k,) array of bool
        """
        return self._study._should_stop(self._rows)

    def to_dict(self, *, reports: bool = False) -> dict[str, list[Any]]:
        """Return a list for each column, with an entry for each trial, or for each report.

        Columns have the same names as in every export, such as ``params_lr`` and ``notes_...``. Inactive
        parameters and missing values and notes are None; ``active`` tells an inactive parameter from a choice
        that is None. ``started`` is ISO 8601 text, ``reports`` holds lists of (step, value).

        Parameters
        ----------
        reports : bool, default False
            Return one entry per report instead, as for ``to_pandas``.

        Returns
        -------
        dict of str to list

        Raises
        ------
        TrialError
            ``reports`` is neither True nor False.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(3), [0.5, 0.25, 0.125])
        >>> study.to_dict()["value"]
        [0.5, 0.25, 0.125]
        """
        return lists(self, reports=check_flag("reports", reports, error=TrialError))

    def to_polars(self, *, reports: bool = False) -> pl.DataFrame:
        """Return one row per trial, or one per report (needs polars).

        Columns have the same names as in every export, such as ``params_lr`` and ``notes_...``, and the type
        of their values; those of mixed types, and notes that are lists or mappings, hold Python objects.
        Inactive parameters, missing values and notes are null, and so is a choice that is None; ``active``
        tells them apart. ``reports`` holds lists of structs with the fields ``step``, and ``value`` or
        ``values_...``.

        Parameters
        ----------
        reports : bool, default False
            Return one row per report instead, as for ``to_pandas``.

        Returns
        -------
        polars.DataFrame

        Raises
        ------
        TrialError
            ``reports`` is neither True nor False.
        ImportError
            Polars is not installed.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(3), [0.5, 0.25, 0.125])
        >>> study.to_polars()["value"].to_list()  # doctest: +SKIP
        [0.5, 0.25, 0.125]
        """
        check_flag("reports", reports, error=TrialError)
        try:
            import polars as pl
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install 'hpo-core[polars]'") from error
        return polars_frame(pl, self, reports=reports)

    def to_pandas(self, *, reports: bool = False) -> pd.DataFrame:
        """Return one row per trial, or one per report (needs pandas).

        Columns have the same names as in every export, such as ``params_lr`` and ``notes_...``, and the type
        of their values. Inactive parameters and missing notes are ``pd.NA``, or NaN in columns of floats and
        of text. A choice that is None stays None. ``reports`` holds lists of (step, value).

        Parameters
        ----------
        reports : bool, default False
            Return one row per report instead: ``number``, ``step``, and ``value`` or a column ``values_...``
            for each measured metric. Rows are sorted by trial, then in the order of arrival.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        TrialError
            ``reports`` is neither True nor False.
        ImportError
            pandas is not installed.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(3), [0.5, 0.25, 0.125])
        >>> study.to_pandas()["value"].tolist()  # doctest: +SKIP
        [0.5, 0.25, 0.125]
        """
        check_flag("reports", reports, error=TrialError)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install 'hpo-core[pandas]'") from error
        return frame(pd, self, reports=reports)


def _outcomes(history: History, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the outcomes of trials, (M, k); those of paused ones are their last reports."""
    outcomes = history.outcomes[:, rows]
    last = history.last_report[rows]
    paused = (history.state[rows] == State.PAUSED) & (last >= 0)
    if paused.any():
        outcomes[:, paused] = np.atleast_2d(history.reports.value)[:, last[paused]]
    return outcomes


def _require_one_objective(metrics: Metrics) -> None:
    if metrics.n_objectives > 1:
        raise TrialError(
            f"value: the study has {metrics.n_objectives} objectives ({some(metrics.objectives)}); values "
            "has every metric by name"
        )
