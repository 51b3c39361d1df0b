"""StudyPool: many small studies of one space, asked and told together."""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from hpo_core.checks import (
    DIRECTIONS,
    SEED_LIMIT,
    as_int,
    as_numbers,
    check_flag,
    check_int,
    check_one_of,
    shown,
)
from hpo_core.errors import HpoError, SpaceExhausted, StorageError, StudyError, TrialError
from hpo_core.hints import POOL, hinting, refusing
from hpo_core.log import State
from hpo_core.log.columns import Table
from hpo_core.native import pool as native
from hpo_core.native.domain import Domain
from hpo_core.pool.alone import Alone
from hpo_core.pool.file import check_columns, read, write
from hpo_core.pool.trials import PoolBatch
from hpo_core.samplers import resolve
from hpo_core.samplers.filter import MAX_SEARCHED
from hpo_core.seeds import study_seeds
from hpo_core.space import Space
from hpo_core.tpe.model import MAX_FAILED, MAX_JOINED, mixture_columns
from hpo_core.tpe.sampler import TPESampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

T = TypeVar("T")

MAX_STUDIES = 2**31 - 1


@refusing(POOL)
class StudyPool:
    """Thousands of small studies of one space, asked and told together: one for each user, store or sensor.

    Each study is an independent search, with its own seed, trials and model. Study ``i`` makes the same
    proposals as ``Study(space, sampler="tpe", seed=pool.seed_of(i))`` if that is asked one trial at a time
    and told the same values in the same order. There is one exception: if one of the first ten trials
    (``n_startup`` of the sampler) fails or exceeds 1e100, a ``Study`` avoids its neighbourhood, at about
    16 ms per trial, but a pool continues with its Sobol points. A pool is fast: all studies are asked in one
    native call, in several threads, at a few microseconds and a few hundred bytes per trial.

    A pool has one objective. It has no bounds on other results, scheduler, reports, notes, enqueued
    configurations, storage or ``optimize``; use a ``Study`` if you need one of these. A pool is kept in
    memory, and ``save`` writes a snapshot: results told after the last snapshot are lost if the process dies.

    Studies are asked one by one, which takes about a millisecond each, if the space has a ``feasible``
    function, if its constraints reject nearly everything, and without compiled code.

    Parameters
    ----------
    space : Space or mapping
        The search space of every study; a mapping is passed to ``Space``.
    n_studies : int
        At least 1.
    sampler : "tpe" or TPESampler, default "tpe"
        The sampler of all studies, with its options.
    direction : {"minimize", "maximize"}, default "minimize"
        Whether a smaller or a larger value is better.
    seed : int, optional
        In [0, 2**63). The seed of each study is derived from it. By default one is drawn and kept as
        ``pool.seed``.
    allow_duplicates : bool, default False
        Whether a study may propose a configuration of a finite space twice.

    Attributes
    ----------
    space, sampler, direction, seed, allow_duplicates
        As given; the seed as drawn.

    Raises
    ------
    StudyError
        An argument is not allowed.
    SpaceError
        The mapping does not describe a space.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import numpy as np
    >>> space = {"lr": hpo.Float(1e-4, 1.0, log=True), "depth": hpo.Int(1, 8)}
    >>> pool = hpo.StudyPool(space, 1000, seed=0)
    >>> wanted = np.linspace(2, 6, 1000)  # what suits each user
    >>> for _ in range(30):
    ...     batch = pool.ask()
    ...     loss = (batch["depth"] - wanted[batch.study]) ** 2 + np.log10(batch["lr"] / 0.01) ** 2
    ...     pool.tell(batch, loss)
    >>> pool.best_values.shape, bool(np.median(pool.best_values) < 0.5)
    ((1000,), True)
    >>> sorted(pool.best_params(7))
    ['depth', 'lr']
    """

    @hinting
    def __init__(
        self,
        space: Space | Mapping[str, Any],
        n_studies: int,
        *,
        sampler: Literal["tpe"] | TPESampler = "tpe",
        direction: Literal["minimize", "maximize"] = "minimize",
        seed: int | None = None,
        allow_duplicates: bool = False,
    ) -> None:
        if not isinstance(space, Space | Mapping):
            raise StudyError(f"space must be a Space or a mapping of names to parameters, got {space!r}")
        check_one_of("direction", direction, DIRECTIONS, error=StudyError)
        if seed is not None:
            seed = check_int("seed", seed, 0, SEED_LIMIT - 1, also=" or None", error=StudyError)
        self._n = check_int("n_studies", n_studies, 1, MAX_STUDIES, error=StudyError)
        self.allow_duplicates = check_flag("allow_duplicates", allow_duplicates, error=StudyError)
        self.sampler = _read_sampler(sampler)
        self.space = space if isinstance(space, Space) else Space(space)
        self.direction = direction
        self.seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self._begin()

    def _begin(self) -> None:
        """Make everything that the attributes determine."""
        self._lock = threading.RLock()
        self._sign = 1.0 if self.direction == "minimize" else -1.0
        self._seeds = study_seeds(self.seed, self._n)
        # One row for each trial in the order of asking. ``value`` is minimised.
        self._trials = Table(
            study=((), np.int32, 0),
            number=((), np.int32, 0),
            value=((), np.float64, np.nan),
            state=((), np.uint8, State.RUNNING),
        )
        self._finished = Table(row=((), np.int64, 0))
        self._n_trials = np.zeros(self._n, np.int64)
        self._best = np.full(self._n, -1)
        self._best_value = np.full(self._n, np.inf)
        space, sampler = self.space, self.sampler
        self._alone = Alone(space, sampler, allow_duplicates=self.allow_duplicates)
        layout = space.layout
        self._native_asks = space.feasible is None and layout.size > 0
        distinct = not self.allow_duplicates and space.size != np.inf
        searched = distinct and self._native_asks and space.size <= MAX_SEARCHED
        every = space.enumerate() if searched else np.empty((layout.size, 0))
        self._studies = native.new_studies(
            Domain(layout),
            [mixture_columns(layout, group) for group in range(layout.n_groups)],
            astuple(sampler.settings),
            (sampler.n_startup, sampler.n_candidates, MAX_JOINED, MAX_FAILED, distinct),
            every,
            self._seeds,
        )

    def __len__(self) -> int:
        """Return the number of studies."""
        return self._n

    def __repr__(self) -> str:
        n = self._trials.n
        return f"StudyPool({self._n} studies, {self.direction}, {n} trials)"

    def __getitem__(self, study: int) -> PoolBatch:
        """Return the trials of one study, in the order in which they were asked."""
        return PoolBatch(self, self._rows_of(self._index(study)))

    def __iter__(self) -> Iterator[PoolBatch]:
        return (self[study] for study in range(self._n))

    def seed_of(self, study: int) -> int:
        """Return the seed of a study; a ``Study`` with this seed makes the same proposals.

        Parameters
        ----------
        study : int
            Index of the study.

        Returns
        -------
        int
        """
        return int(self._seeds[self._index(study)])

    def ask(self, studies: Any = None) -> PoolBatch:
        """Propose one trial for each study, or for some of them.

        A study may be asked again before its last trial is told; it then avoids its running trials.

        Parameters
        ----------
        studies : array-like of int, or boolean mask of shape (n_studies,), optional
            Distinct studies, in any order. By default all.

        Returns
        -------
        PoolBatch
            One trial per study, in the order given. Studies that have tried every configuration of a finite
            space are left out.

        Raises
        ------
        StudyError
            An index is out of range or given twice.
        SpaceExhausted
            All of them have tried every configuration.
        InfeasibleSpaceError
            The constraints of the space rejected too many draws in a row. Trials of other studies may have
            started; ``pool.running`` has them.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> pool = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 100, seed=0)
        >>> pool.ask([3, 7]).study.tolist()
        [3, 7]
        """
        which = self._which(studies)
        x, status, rows = self._whole(lambda: self._ask_together(which))
        if (status == native.PROPOSED).all():
            return PoolBatch(self, rows, x)
        if (status == native.NO_MEMORY).any():
            raise MemoryError(
                "memory ran out before every study had a new trial; pool.running holds those that started"
            )
        for place in np.flatnonzero(status == native.ASIDE).tolist():
            rows[place] = self._whole(partial(self._ask_alone, which[place]))
        if (rows < 0).all():
            raise SpaceExhausted(
                "every configuration of the space has been used, in every study asked; "
                "StudyPool(..., allow_duplicates=True) repeats them"
            )
        return PoolBatch(self, rows[rows >= 0])

    def _whole(self, change: Callable[[], T]) -> T:
        """Make a change that no Ctrl-C breaks off, one at a time, and return what it returns.

        Signal handlers, which may raise, run in the main thread alone. The change is therefore made in
        another one, which comes to its end before an interruption goes on.
        """
        if threading.current_thread() is not threading.main_thread():
            with self._lock:
                return change()
        outcome: list[T] = []
        problem: list[BaseException] = []
        ended: list[bool] = []
        working = threading.Lock()
        working.acquire()

        def run() -> None:
            try:
                with self._lock:
                    outcome.append(change())
            except BaseException as error:
                problem.append(error)
            ended.append(True)
            working.release()

        # Not threading.Thread: its start and join are Python, and an exception may break them off half-way.
        try:
            _thread.start_new_thread(run, ())
            working.acquire()
        except RuntimeError:  # no thread can be started
            raise
        except BaseException:
            while not ended:
                time.sleep(1e-4)
            raise
        if problem:
            raise problem[0]
        return outcome[0]

    def _ask_together(self, which: Indices) -> tuple[NDArray[np.float64], NDArray[np.uint8], Indices]:
        """Ask studies in one native call: coordinates (d, k), status and rows of new trials or -1, (k,)."""
        d = self.space.layout.size
        self._trials.append(len(which))  # memory may run out: the rows are there before the native trials are
        self._trials.n -= len(which)
        if self._native_asks:
            x, status = native.ask(self._studies, which, d)
        else:
            x, status = np.empty((d, len(which))), np.full(len(which), native.ASIDE, np.uint8)
        proposed, rows = status == native.PROPOSED, np.full(len(which), -1)
        rows[proposed] = self._start(which[proposed])
        return x, status, rows

    def _which(self, studies: Any) -> Indices:
        if studies is None:
            return np.arange(self._n)
        which = np.asarray(studies)
        if which.dtype.kind == "u":
            which = np.minimum(which, np.uint64(MAX_STUDIES)).astype(np.int64)
        if which.shape == (self._n,) and which.dtype == np.bool_:
            which = np.flatnonzero(which)
        if which.ndim != 1 or not len(which) or which.dtype.kind not in "iu":
            raise StudyError(
                f"studies must be at least one index, as in ask([3]), or a mask of length {self._n:,}, "
                f"got {shown(studies)}"
            )
        which = which.astype(np.int64)
        wrong = which[(which < 0) | (which >= self._n)]
        if len(wrong):
            raise StudyError(f"studies must be from 0 to {self._n - 1:,}, got {wrong[0]}")
        ordered = np.sort(which)
        if (twice := ordered[1:][ordered[1:] == ordered[:-1]]).size:
            raise StudyError(f"studies must be different, got {twice[0]} twice")
        return which

    def _start(self, studies: Indices) -> Indices:
        """Note new trials, one for each study; return their rows."""
        first = self._trials.n
        self._trials.append(len(studies))
        rows = np.arange(first, self._trials.n)
        self._trials.write["study"][rows] = studies
        self._trials.write["number"][rows] = self._n_trials[studies]
        self._n_trials[studies] += 1
        return rows

    def _ask_alone(self, study: np.int64) -> int:
        """Start the next trial of a study by the sampler of a ``Study``; return its row or -1."""
        rows = self._rows_of(int(study))
        trials, finished = self._trials.read, self._finished.read["row"][: self._finished.n]
        order = finished[trials["study"][finished] == study]
        seed, x = int(self._seeds[study]), self._gather(rows)
        try:
            x = self._alone.ask(
                seed, x, trials["value"][rows], trials["state"][rows], trials["number"][order]
            )
        except SpaceExhausted:
            return -1
        self._studies.append(np.array([study]), np.ascontiguousarray(x))
        return int(self._start(np.array([study]))[0])

    def _rows_of(self, study: int) -> Indices:
        return np.flatnonzero(self._trials.read["study"][: self._trials.n] == study)

    def _gather(self, rows: Indices) -> NDArray[np.float64]:
        """Coordinates (d, k) of trials."""
        trials, x = self._trials.read, np.empty((self.space.layout.size, len(rows)))
        with self._lock:
            studies, numbers = (trials[name][rows].astype(np.int64) for name in ("study", "number"))
            self._studies.gather(studies, numbers, x)
        return x

    def tell(self, batch: PoolBatch, values: Any) -> None:
        """Complete running trials: all of a batch from ``ask``, or part of it.

        Parameters
        ----------
        batch : PoolBatch
            Running trials, such as ``batch[mask]``.
        values : array-like of shape (k,)
            Values as measured, not negated for "maximize". A trial whose value is NaN or inf fails; the study
            learns to avoid such places.

        Raises
        ------
        TrialError
            The batch is of another pool, a trial has finished or is given twice, the number of values is
            wrong, or one is not a number. The pool is then unchanged.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> pool = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 2, seed=0)
        >>> pool.tell(pool.ask(), [0.5, 0.25])
        >>> pool.best_values.tolist()
        [0.5, 0.25]
        """
        if not isinstance(batch, PoolBatch):
            raise TrialError(f"batch must be a PoolBatch, such as ask() returns, got {shown(batch)}")
        if batch._pool is not self:
            raise TrialError(f"{batch!r} belongs to another pool")
        told = self._sign * as_numbers(values, len(batch))
        self._whole(lambda: self._tell(batch._rows, np.where(np.isfinite(told), told, np.nan)))

    def _tell(self, rows: Indices, values: NDArray[np.float64]) -> None:
        self._check_running(rows)
        self._finish(rows, values)

    def _check_running(self, rows: Indices) -> None:
        trials = self._trials.read
        over = rows[trials["state"][rows] != State.RUNNING]
        ordered = np.sort(rows)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        has = "has already finished; pool.running has the trials still to be told"
        for found, what in ((over, has), (twice, "is given more than once")):
            if len(found):
                study, number = (int(trials[name][found[0]]) for name in ("study", "number"))
                raise TrialError(f"trial {number} of study {study} {what}")

    def _finish(self, rows: Indices, values: NDArray[np.float64]) -> None:
        """End running trials, in this order; NaN is a failure."""
        trials, state = self._trials.write, np.where(np.isnan(values), State.FAILED, State.COMPLETE)
        studies, numbers = (trials[name][rows].astype(np.int64) for name in ("study", "number"))
        end = self._finished.append(len(rows))
        self._finished.write["row"][end] = rows if len(rows) != 1 else rows[0]
        self._studies.tell(studies, numbers, values)
        trials["value"][rows] = values
        trials["state"][rows] = state
        better = np.flatnonzero(values < self._best_value[studies])  # never of NaN
        # The best of each study, the first told among equals.
        better = better[np.lexsort((better, values[better], studies[better]))]
        ahead, first = np.unique(studies[better], return_index=True)
        self._best[ahead], self._best_value[ahead] = rows[better[first]], values[better[first]]

    def _index(self, study: int) -> int:
        index = as_int(study)
        if index is None or not -self._n <= index < self._n:
            raise StudyError(f"study must be an int from 0 to {self._n - 1:,}, got {shown(study)}")
        return index % self._n

    @property
    def trials(self) -> PoolBatch:
        """Every trial of every study, in the order in which they were asked."""
        with self._lock:
            return PoolBatch(self, np.arange(self._trials.n))

    @property
    def running(self) -> PoolBatch:
        """Trials that have not been told yet, for example after ``load``."""
        with self._lock:
            state = self._trials.read["state"][: self._trials.n]
            return PoolBatch(self, np.flatnonzero(state == State.RUNNING))

    @property
    def n_trials(self) -> Indices:
        """(n_studies,) number of trials of each study."""
        with self._lock:
            return self._n_trials.copy()

    @property
    def best_values(self) -> NDArray[np.float64]:
        """(n_studies,) best value of each study; NaN if it has none."""
        with self._lock:
            return np.asarray(np.where(self._best < 0, np.nan, self._sign * self._best_value))

    @property
    def best_trials(self) -> PoolBatch:
        """The best trial of each study that has one; among equals, the one told first."""
        with self._lock:
            return PoolBatch(self, self._best[self._best >= 0])

    def best_params(self, study: int) -> dict[str, Any]:
        """Return the parameters of the best trial of a study.

        Parameters
        ----------
        study : int
            Index of the study.

        Returns
        -------
        dict of str to value

        Raises
        ------
        StudyError
            There is no such study, or none of its trials has completed.
        """
        best = self._best[self._index(study)]
        if best < 0:
            raise StudyError(f"no trial of study {study} has completed yet")
        return PoolBatch(self, np.array([best]))[0]

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per trial of every study (needs pandas); see ``PoolBatch.to_pandas``.

        Returns
        -------
        pandas.DataFrame
        """
        return self.trials.to_pandas()

    def save(self, path: str | Path) -> None:
        """Write the pool to a file, running trials included.

        A new file is written first and then replaces the old one, so a crash never leaves a damaged file.
        10,000 studies of 50 trials and 5 parameters take 33 MB.

        Parameters
        ----------
        path : path
            File to write; an existing file is replaced.

        Raises
        ------
        SpaceError
            The space has a function, which cannot be saved.
        StorageError
            The file cannot be written.
        """
        with self._lock:
            about = {
                "space": self.space.to_json(),
                "sampler": self.sampler.options(),
                "n_studies": self._n,
                "direction": self.direction,
                "seed": self.seed,
                "allow_duplicates": self.allow_duplicates,
            }
            n, trials = self._trials.n, self._trials.read
            finished = self._finished.read["row"][: self._finished.n]
            columns = {"x": self._gather(np.arange(n)), "finished": finished}
            columns |= {name: trials[name][:n] for name in ("study", "value")}
            write(path, about, columns)

    @classmethod
    def load(cls, path: str | Path) -> StudyPool:
        """Return the pool in a file written by ``save``; it continues as if it had never stopped.

        Parameters
        ----------
        path : path

        Returns
        -------
        StudyPool

        Raises
        ------
        StorageError
            The file cannot be read, or is not of a pool.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> pool = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 100, seed=0)
        >>> batch = pool.ask()
        >>> pool.save("pool.npz")  # doctest: +SKIP
        >>> again = hpo.StudyPool.load("pool.npz")  # doctest: +SKIP
        >>> again.tell(again.running, again.running["x"] ** 2)  # doctest: +SKIP
        """
        about, columns = read(path)
        try:
            pool = cls(
                Space.from_json(about["space"]),
                about["n_studies"],
                sampler=TPESampler(**about["sampler"]),
                direction=about["direction"],
                seed=about["seed"],
                allow_duplicates=about["allow_duplicates"],
            )
            check_columns(pool.space, len(pool), **columns)
        except (HpoError, KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{path} is damaged: {error}") from error
        pool._restore(columns["study"].astype(np.int64), columns["x"], columns["finished"], columns["value"])
        return pool

    def _restore(
        self, study: Indices, x: NDArray[np.float64], finished: Indices, value: NDArray[np.float64]
    ) -> None:
        """Start and end trials as recorded."""
        n = len(study)
        self._studies.append(study, x)
        self._trials.append(n)
        order = np.argsort(study, kind="stable")
        self._n_trials = np.bincount(study, minlength=self._n)
        first = np.cumsum(self._n_trials) - self._n_trials
        self._trials.write["study"][:n] = study
        self._trials.write["number"][order] = np.arange(n) - first[study[order]]
        self._finish(finished, value[finished])

    def __getstate__(self) -> dict[str, Any]:
        n, trials = self._trials.n, self._trials.read
        names = ("space", "sampler", "_n", "direction", "seed", "allow_duplicates")
        return {name: getattr(self, name) for name in names} | {
            "trials": (
                trials["study"][:n].astype(np.int64),
                self._gather(np.arange(n)),
                self._finished.read["row"][: self._finished.n],
                trials["value"][:n],
            )
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        trials = state.pop("trials")
        vars(self).update(state)
        self._begin()
        self._restore(*trials)


def _read_sampler(sampler: Any) -> TPESampler:
    found = resolve("tpe") if isinstance(sampler, str) and sampler == "tpe" else sampler
    if type(found) is not TPESampler:
        raise StudyError(f"sampler must be 'tpe' or a TPESampler, got {shown(sampler)}")
    return found
