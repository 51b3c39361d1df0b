"""Trials of a pool in columns, one row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from hpo_core.errors import TrialError
from hpo_core.log import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hpo_core.pool.pool import StudyPool

STATES = {State.RUNNING: "running", State.COMPLETE: "complete", State.FAILED: "failed"}


class PoolBatch:
    """Trials of the studies of a pool, in columns of length k.

    ``batch["lr"]`` is a column of values, which holds the default for trials in which the parameter is
    inactive; ``batch.active("lr")`` tells them apart. ``batch[3]`` is a dictionary of the active parameters
    of one trial; a slice, a boolean mask or an array of indices gives a ``PoolBatch``. Iteration yields
    dictionaries.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> pool = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 100, seed=0)
    >>> batch = pool.ask()
    >>> batch.study[:3].tolist(), batch["x"].shape, batch[0]
    ([0, 1, 2], (100,), {'x': 0.0})
    """

    __slots__ = ("_pool", "_rows", "_x")

    def __init__(
        self, pool: StudyPool, rows: NDArray[np.int64], x: NDArray[np.float64] | None = None
    ) -> None:
        self._pool, self._rows, self._x = pool, rows, x
        rows.flags.writeable = False

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._pool.space.codec.decode_params, self._coordinates().T)

    def __repr__(self) -> str:
        return f"PoolBatch({len(self)} trials of {len(np.unique(self.study))} studies)"

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | Sequence[int] | Sequence[bool]) -> PoolBatch: ...
    def __getitem__(self, key: Any) -> NDArray[Any] | dict[str, Any] | PoolBatch:
        if isinstance(key, str):
            return self._pool.space.codec.column(key, self._coordinates())
        if isinstance(key, slice):
            return PoolBatch(self._pool, self._rows[key], None if self._x is None else self._x[:, key])
        index = np.asarray(key)
        if index.size == 0 and index.dtype != np.bool_:
            index = index.astype(np.int64)
        if index.ndim == 0 and index.dtype.kind in "iu":
            return next(iter(PoolBatch(self._pool, self._rows[index, np.newaxis])))
        if index.ndim != 1 or index.dtype.kind not in "biu":
            raise TrialError(
                "a batch's index must be a parameter's name, an int, a slice, a boolean mask or an array of "
                f"indices, got {type(key).__name__} of shape {index.shape} and dtype {index.dtype}"
            )
        if index.dtype == np.bool_ and len(index) != len(self):
            raise TrialError(f"a mask must have the length of the batch, {len(self)}, got {len(index)}")
        return PoolBatch(self._pool, self._rows[index], None if self._x is None else self._x[:, index])

    def _coordinates(self) -> NDArray[np.float64]:
        if self._x is None:
            self._x = self._pool._gather(self._rows)
        return self._x

    @property
    def study(self) -> NDArray[np.int64]:
        """(k,) index of the study that each trial belongs to."""
        return self._pool._trials.read["study"][self._rows].astype(np.int64)

    @property
    def number(self) -> NDArray[np.int64]:
        """(k,) number of each trial in its study, from 0."""
        return self._pool._trials.read["number"][self._rows].astype(np.int64)

    @property
    def value(self) -> NDArray[np.float64]:
        """(k,) told values; NaN of running and failed trials."""
        values: NDArray[np.float64] = self._pool._sign * self._pool._trials.read["value"][self._rows]
        return values

    @property
    def state(self) -> NDArray[np.uint8]:
        """(k,) values of ``State``: running, complete or failed."""
        states: NDArray[np.uint8] = self._pool._trials.read["state"][self._rows]
        return states

    @property
    def params(self) -> dict[str, NDArray[Any]]:
        """Every column by name, constants included; inactive entries hold the default."""
        return self._pool.space.decode(self._coordinates())

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
        return self._pool.space.codec.active(name, self._coordinates())

    def where(self, state: State | str) -> PoolBatch:
        """Return the trials of one state.

        Parameters
        ----------
        state : {"running", "complete", "failed"} or State

        Returns
        -------
        PoolBatch

        Raises
        ------
        TrialError
            There is no such state.
        """
        by_name = {name: each for each, name in STATES.items()}
        found = by_name.get(state.lower()) if isinstance(state, str) else state
        if not isinstance(found, State) or found not in STATES:
            raise TrialError(f"state must be one of {', '.join(by_name)}, got {state!r}")
        mask: NDArray[np.bool_] = self.state == found
        return self[mask]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a list for each column: ``study``, ``number``, ``state``, ``value``, then ``params_...``.

        Inactive parameters and missing values are None.

        Returns
        -------
        dict of str to list
        """
        columns: dict[str, list[Any]] = {
            "study": self.study.tolist(),
            "number": self.number.tolist(),
            "state": [STATES[State(state)] for state in self.state.tolist()],
            "value": [None if value != value else value for value in self.value.tolist()],
        }
        for name, column in self.params.items():
            active = self.active(name).tolist()
            columns[f"params_{name}"] = [
                value if is_active else None for value, is_active in zip(column.tolist(), active, strict=True)
            ]
        return columns

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per trial (needs pandas), with the columns of ``to_dict``.

        Inactive parameters are missing: NaN, or None in columns that are not of numbers.

        Returns
        -------
        pandas.DataFrame
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install 'hpo-core[pandas]'") from error
        names = np.array([STATES.get(State(state), "") for state in range(len(State))], object)
        columns = {
            "study": pd.Series(self.study),
            "number": pd.Series(self.number),
            "state": pd.Series(names[self.state]),
            "value": pd.Series(self.value),
        }
        for name, column in self.params.items():
            series, active = pd.Series(column), self.active(name)
            columns[f"params_{name}"] = series if active.all() else series.where(active)
        return pd.DataFrame(columns)
