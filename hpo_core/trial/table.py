"""Trials as columns for other programs, with the same names in every export.

``number``, ``state``, ``value``, ``seconds``, ``started``, ``tier``, ``reason``, ``retries``, ``reports``,
then ``params_...`` and ``notes_...``. A study with several metrics has ``values_...`` in place of ``value``,
and ``feasible`` if there are bounds. A value of None stays None. ``ABSENT`` marks a missing value: an
inactive parameter, or a note that the trial lacks.

Reports have a long table of their own: ``number``, ``step``, and ``value`` or the ``values_...`` of measured
metrics.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.log import State

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from hpo_core.space import Space
    from hpo_core.trial.handles import TrialBatch


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
_OF_ONE_TYPE: Final = frozenset({"number", "state", "feasible", "tier", "reason"})
_STATES: Final = [state.name.lower() for state in State]
_EXACT: Final = 2**53  # ints up to here are the same as floats
_INT64: Final = 2**63
_NULLABLE: Final = {"i": "Int64", "b": "boolean"}


def table(batch: TrialBatch) -> dict[str, list[Any]]:
    """Return every column as Python values; times are ISO 8601 text."""
    columns = _about(batch) | {"started": [*map(_iso, _started(batch))]}
    for name, column in batch.params.items():
        active = batch.active(name).tolist()
        columns[f"params_{name}"] = [
            value if is_active else ABSENT for value, is_active in zip(column.tolist(), active, strict=True)
        ]
    return columns | _notes(batch)


def report_columns(batch: TrialBatch) -> dict[str, NDArray[Any]]:
    """Return a row for each report: trial by trial as in the batch, in the order of arrival."""
    history, metrics = batch._study.history, batch._study.metrics
    reports, place = history.reports, np.full(len(history), -1)
    place[batch.number] = np.arange(len(batch))
    own = np.flatnonzero(place[reports.row] >= 0)
    own = own[np.argsort(place[reports.row[own]], kind="stable")]
    told = metrics.by_name(np.atleast_2d(reports.value)[:, own])
    columns: dict[str, NDArray[Any]] = {"number": reports.row[own], "step": reports.step[own]}
    if len(metrics) == 1:
        return columns | {"value": told[metrics.names[0]]}
    return columns | {f"values_{name}": told[name] for name in metrics.reader.measured}


def lists(batch: TrialBatch, *, reports: bool = False) -> dict[str, list[Any]]:
    """Return the result of ``TrialBatch.to_dict``."""
    if reports:
        return {name: column.tolist() for name, column in report_columns(batch).items()}
    return {name: _without_absent(column) for name, column in table(batch).items()}


def frame(pd: Any, batch: TrialBatch, *, reports: bool = False) -> pd.DataFrame:
    """Return the result of ``TrialBatch.to_pandas``."""
    make = _report_frame if reports else _frame
    try:
        return make(pd, batch, lambda value: value)
    except UnicodeEncodeError:  # half a surrogate pair, which Arrow's text cannot hold
        return make(pd, batch, _encodable)


def polars_frame(pl: Any, batch: TrialBatch, *, reports: bool = False) -> pl.DataFrame:
    """Return the result of ``TrialBatch.to_polars``."""
    make = _report_polars if reports else _polars
    try:
        return make(pl, batch, lambda value: value)
    except UnicodeEncodeError:
        return make(pl, batch, _encodable)


def _about(batch: TrialBatch) -> dict[str, list[Any]]:
    history = batch._study.history
    paused = batch.state == State.PAUSED
    seconds = np.where(paused, history.spent[batch.number], history.cost[batch.number])
    return {
        "number": batch.number.tolist(),
        "state": [_STATES[state] for state in batch.state.tolist()],
        **_values(batch),
        "seconds": [*map(_finite, seconds.tolist())],
        "started": [],
        "tier": batch.origin.tolist(),
        "reason": batch.reason,
        "retries": batch.retries,
        "reports": batch.reports,
    }


def _values(batch: TrialBatch) -> dict[str, list[Any]]:
    metrics = batch._study.metrics
    if len(metrics) == 1:
        return {"value": [*map(_finite, batch.value.tolist())]}
    told = {f"values_{name}": [*map(_finite, column.tolist())] for name, column in batch.values.items()}
    return told | ({"feasible": batch.feasible.tolist()} if metrics.constraints else {})


def _started(batch: TrialBatch) -> list[float]:
    started: list[float] = batch._study.history.started[batch.number].tolist()
    return started


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if math.isfinite(seconds) else None


def _notes(batch: TrialBatch) -> dict[str, list[Any]]:
    notes = batch.notes
    names = dict.fromkeys(name for each in notes for name in each)
    return {f"notes_{name}": [each.get(name, ABSENT) for each in notes] for name in names}


def _frame(pd: Any, batch: TrialBatch, text: Callable[[Any], Any]) -> pd.DataFrame:
    about = _about(batch)
    columns: dict[str, Any] = {
        text(name): pd.Series(text(values), dtype=object) for name, values in about.items()
    }
    for name, column in columns.items():
        if name == "seconds" or name.startswith("value"):
            columns[name] = column.astype(np.float64)
        elif name in _OF_ONE_TYPE:
            columns[name] = column.infer_objects()
    columns["started"] = pd.to_datetime(_started(batch), unit="s", utc=True)
    for name, column in batch.params.items():
        active = batch.active(name)
        everywhere = _is_always_active(batch._study.space, name) and bool(
            active.all()
        )  # older trials lack it
        columns[f"params_{text(name)}"] = _column(pd, text(column), None if everywhere else active)
    for name, values in _notes(batch).items():
        present = np.array([value is not ABSENT for value in values], np.bool_)
        columns[text(name)] = _column(pd, _natural(text(values)), None if present.all() else present)
    return pd.DataFrame(columns).set_index("number")


def _report_frame(pd: Any, batch: TrialBatch, text: Callable[[Any], Any]) -> pd.DataFrame:
    found: pd.DataFrame = pd.DataFrame(text(report_columns(batch)))
    return found


def _report_polars(pl: Any, batch: TrialBatch, text: Callable[[Any], Any]) -> pl.DataFrame:
    found: pl.DataFrame = pl.DataFrame(text(report_columns(batch)))
    return found


def _polars(pl: Any, batch: TrialBatch, text: Callable[[Any], Any]) -> pl.DataFrame:
    types = {
        "number": pl.Int64, "state": pl.String, "feasible": pl.Boolean, "tier": pl.String,
        "reason": pl.String, "retries": pl.List(pl.String),
    }  # fmt: skip
    about: dict[str, Any] = _about(batch)
    about["started"] = _times(pl, _started(batch))
    about["reports"] = _report_lists(pl, batch, text)
    columns = {
        text(name): values
        if isinstance(values, pl.Series)
        else pl.Series(text(values), dtype=types.get(name, pl.Float64))
        for name, values in about.items()
    }
    for name, column in batch.params.items():
        columns[f"params_{text(name)}"] = _polars_column(pl, text(column), batch.active(name))
    for name, values in _notes(batch).items():
        present = np.array([value is not ABSENT for value in values], np.bool_)
        columns[text(name)] = _polars_column(pl, _natural(text(values)), present)
    found: pl.DataFrame = pl.DataFrame(columns)
    return found


def _times(pl: Any, seconds: list[float]) -> pl.Series:
    """Return seconds since the epoch as times; polars counts them in whole microseconds."""
    part, whole = np.modf(np.array(seconds, np.float64))  # their product by 10^6 is not exact
    micro = [pl.Series(each).fill_nan(None).cast(pl.Int64) for each in (1e6 * whole, np.rint(1e6 * part))]
    found: pl.Series = (micro[0] + micro[1]).cast(pl.Datetime("us", "UTC"))
    return found


def _report_lists(pl: Any, batch: TrialBatch, text: Callable[[Any], Any]) -> pl.Series:
    """Return the reports of each trial as a list of structs, whose fields are columns of the long table."""
    long = _report_polars(pl, batch, text)
    fields = pl.struct(pl.exclude("number")).alias("reports")
    own = long.group_by("number", maintain_order=True).agg(fields)
    place = dict(zip(own["number"].to_list(), range(len(own)), strict=True))
    none = pl.Series([[]], dtype=own["reports"].dtype)
    at = [place.get(number, len(own)) for number in batch.number.tolist()]
    found: pl.Series = own["reports"].extend(none).gather(at)
    return found


def _polars_column(pl: Any, values: list[Any] | NDArray[Any], present: NDArray[np.bool_]) -> pl.Series:
    """Return values as a column, null where ``present`` is False; of mixed types, as Python objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        column: pl.Series = pl.Series(values)
        return column if present.all() else column.set(pl.Series(~present), None)
    kept = [value if is_present else None for value, is_present in zip(values, present, strict=True)]
    kinds = {*map(type, kept)} - {type(None)}
    kind = kinds.pop() if len(kinds) == 1 else object if kinds else type(None)
    types = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String, type(None): pl.Null}
    if kind is int and not all(value is None or -_INT64 <= value < _INT64 for value in kept):
        kind = object
    found: pl.Series = pl.Series(kept, dtype=types.get(kind, pl.Object))
    return found


def _without_absent(values: list[Any]) -> list[Any]:
    return [None if value is ABSENT else value for value in values]


def _is_always_active(space: Space, name: str) -> bool:
    if name in space.names:
        return not space.layout.group[space.names.index(name)]
    return bool(
        space.codec.active(name, np.full((len(space.names), 1), np.nan))[0]
    )  # a constant, of no choice


def _natural(values: list[Any]) -> Any:
    """Return values as an array if one dtype holds them all unchanged, else as they are."""
    kinds = set(map(type, values)) - {_Absent}
    if len(kinds) == 0 or not kinds <= {bool, int, float}:
        return values
    filled = [0 if value is ABSENT else value for value in values]
    if kinds == {bool}:
        return np.array(filled, np.bool_)
    if kinds == {int}:
        return np.array(filled, np.int64 if all(-_INT64 <= each < _INT64 for each in filled) else object)
    if bool in kinds or not all(abs(each) <= _EXACT for each in filled if type(each) is int):
        return values
    return np.array(filled, np.float64)


def _column(pd: Any, values: list[Any] | NDArray[Any], present: NDArray[np.bool_] | None) -> pd.Series[Any]:
    """Return values as a column, missing where ``present`` is False; None means that none is missing."""
    kind = values.dtype.kind if isinstance(values, np.ndarray) else "O"
    if kind == "O":
        column = pd.Series([*values], dtype=object)
        if present is not None:
            column = column.where(present, pd.NA)
        # None would become NaN in a column of text.
        return column if any(value is None for value in values) else column.infer_objects()
    column = pd.Series(values)
    if present is None:
        return column
    return column.astype(_NULLABLE.get(kind, column.dtype)).where(present)


def _encodable(value: Any) -> Any:
    """Return a value with escapes for text that cannot be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return [_encodable(each) for each in value.tolist()]
    return type(value)(map(_encodable, value)) if isinstance(value, list | tuple) else value
