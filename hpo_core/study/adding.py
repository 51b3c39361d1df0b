"""Results from elsewhere, one or many at a time, as finished trials."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.checks import check_number, check_step, plain_text, shown
from hpo_core.errors import SpaceError, TrialError
from hpo_core.log.events import ADDED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log.ledger import Ledger
    from hpo_core.metrics import ResultReader
    from hpo_core.space import Space
    from hpo_core.study.recorder import Recorder

    Rows = NDArray[np.int64]
    Report = tuple[int, int, tuple[float, ...]]  # step, place of the trial, values as read

STATES: Final = ("complete", "stopped", "failed")


def add(  # noqa: PLR0913 - everything that is known of a trial
    ledger: Ledger,
    recorder: Recorder,
    space: Space,
    params: Any,
    value: Any,
    *,
    state: Any,
    reason: Any,
    reports: Any,
    defaults: Any,
    notes: Any,
    started: Any,
    seconds: Any,
) -> tuple[Rows, bool]:
    """Check all arguments, then record all trials or none.

    Returns
    -------
    rows : (k,) int64 array
    is_one : bool
        Whether one trial was given, and not a sequence.
    """
    frame = _columns_of_frame(params)
    one = (
        frame is None
        and isinstance(params, Mapping)
        and not (all(map(_is_column, params.values())) and _has_columns(value, recorder.metrics.reader))
    )
    params = params if frame is None else frame
    x, given = _coordinates(space, [params] if one else params, defaults)
    n = x.shape[1]
    if one:
        value, state, reason, reports = [value], [state], [reason], [reports]
        notes, started, seconds = [notes], [started], [seconds]
    states = _each("state", state, n)
    for each in states:
        if each not in (None, *STATES):
            raise TrialError(f"state must be one of {', '.join(STATES)} or None, got {shown(each)}")
    reasons = _each("reason", reason, n)
    for each in reasons:
        if not isinstance(each, str | None):
            raise TrialError(f"reason must be a string or None, got {shown(each)}")
    for each, why in zip(states, reasons, strict=True):
        if why is not None and each in ("complete", "stopped"):
            raise TrialError(f"reason must be None for a trial that is {each}, got {shown(why)}")
    reader = recorder.metrics.reader
    curves = _curves(_each("reports", reports, n), reader)
    values = _values(value, states, reasons, curves, n, reader)
    noted = _notes(_each("notes", notes, n))
    began = _times("started", "a finite number of seconds since 1970", _each("started", started, n))
    cost = _times("seconds", "a number >= 0", _each("seconds", seconds, n), least=0.0)
    if cost is None and began is not None:
        cost = np.zeros(n)

    def record() -> Rows:
        rows = np.arange(len(ledger.history), len(ledger.history) + n)
        _ask(recorder, x, given, began)
        annotated = [place for place, each in enumerate(noted) if each]
        recorder.noted(rows[annotated], [noted[place] for place in annotated])
        with recorder.lasting(len(ledger.history) - n, cost):
            _report(recorder, rows, curves)
            _finish(recorder, rows, values, states, reasons)
        return rows

    return ledger.transact(record), one


def _columns_of_frame(params: Any) -> Mapping[str, Any] | None:
    """Return the columns of a data frame of any library, None for anything else."""
    if isinstance(params, Mapping | Sequence) or not hasattr(params, "columns"):
        return None
    try:
        return {name: params[name] for name in params.columns}
    except (TypeError, LookupError, ValueError):  # the attribute is something else, or nothing is loaded
        return None


def _is_column(value: Any) -> bool:
    return (
        hasattr(value, "__len__") and not isinstance(value, str | Mapping) and getattr(value, "ndim", 1) != 0
    )


def _has_columns(value: Any, reader: ResultReader) -> bool:
    """Whether a value holds results of many trials."""
    if isinstance(value, Mapping):
        return all(map(_is_column, value.values()))
    if len(reader.measured) == 1 or not _is_column(value):
        return _is_column(value)
    return all(isinstance(each, Mapping) or _is_column(each) or each is None for each in value)


def _coordinates(
    space: Space, params: Any, defaults: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return coordinates (d, n) of a mapping of columns or a sequence of mappings, and their ``given``."""
    if isinstance(params, Mapping):
        return space.codec.encode(params, beyond=True, defaults=defaults)
    if not isinstance(params, Sequence) or isinstance(params, str):
        raise SpaceError(
            "params must be a mapping of names to values, or to columns, a sequence of mappings or a data "
            f"frame of pandas or Polars, got {shown(params)}"
        )
    x = np.full((len(space.names), len(params)), np.nan)
    given = x.copy()
    for places in _alike(params):
        own, exact = _rows(space, [params[place] for place in places], defaults, places)
        x[:, places] = own
        if exact is not None:
            given[:, places] = exact
    return x, None if np.isnan(given).all() else given


def _alike(params: Sequence[Any]) -> list[list[int]]:
    """Group the places of mappings by their names."""
    found: dict[Any, list[int]] = {}
    for place, each in enumerate(params):
        found.setdefault(tuple(each) if isinstance(each, Mapping) else None, []).append(place)
    return [*found.values()]


def _rows(
    space: Space, rows: Sequence[Any], defaults: Any, places: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return coordinates of mappings with the same names; as columns they take a tenth of the time."""
    if len(rows) > 1 and isinstance(rows[0], Mapping) and rows[0]:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        with contextlib.suppress(SpaceError):  # raised below, with its place
            x, given = space.codec.encode(columns, beyond=True, defaults=defaults)
            named = [name in columns for name in space.names]
            if not np.isnan(x[named]).any():  # inactive parameters must not be given
                return x, given
    found = []
    for place, row in zip(places, rows, strict=True):
        try:
            found.append(space.codec.encode_params(row, beyond=True, defaults=defaults))
        except SpaceError as error:
            raise SpaceError(f"params[{place}]: {error}" if len(places) > 1 else str(error)) from error
    x = np.stack([each for each, _ in found], axis=1)
    nothing = np.full(len(x), np.nan)
    return x, np.stack([nothing if given is None else given for _, given in found], axis=1)


def _each(name: str, value: Any, n: int) -> Sequence[Any]:
    """Return one entry for each trial."""
    if value is None or isinstance(value, str):
        return [value] * n
    if not _is_column(value) or len(value) != n:
        raise TrialError(f"{name} must have one entry for each of {n} trials, got {shown(value)}")
    return list(value)


def _curves(reports: Sequence[Any], reader: ResultReader) -> list[Report]:
    """Return every report, in the order of the steps."""
    found: list[Report] = []
    for place, curve in enumerate(reports):
        if curve is None:
            continue
        try:
            pairs = [
                (step, value) for step, value in (curve.items() if isinstance(curve, Mapping) else curve)
            ]
        except (TypeError, ValueError) as error:
            raise TrialError(f"reports must be pairs of step and value, got {shown(curve)}") from error
        steps = [(check_step(step), place, reader.one(value, "reports must hold")) for step, value in pairs]
        if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
            raise TrialError(f"reports must be in the order of their steps, got {shown(curve)}")
        found += steps
    return sorted(found, key=itemgetter(0))


def _values(
    value: Any,
    states: Sequence[Any],
    reasons: Sequence[Any],
    curves: Sequence[Report],
    n: int,
    reader: ResultReader,
) -> NDArray[np.float64]:
    """Return values (measured, n) as read: the last report of a stopped trial, NaN of one without any."""
    last = {place: reported for _, place, reported in curves}
    listed = [None] * n if value is None else value
    nothing = np.nan if len(reader.measured) == 1 else (np.nan,) * len(reader.measured)
    needed = [
        reason is None and state in (None, "complete") for state, reason in zip(states, reasons, strict=True)
    ]
    if isinstance(listed, Mapping):
        listed = {
            name: _filled(column, np.nan, needed, f"{name!r}: value must be a number")
            for name, column in listed.items()
        }
    else:
        listed = _filled(listed, nothing, needed, f"value must be {reader.what}")
    values = reader.many(listed, n)
    for place, state in enumerate(states):
        if state == "stopped" and np.isnan(values[:, place]).any():
            values[:, place] = last.get(place, nothing)
    return values


def _filled(entries: Any, nothing: Any, needed: Sequence[bool], rule: str) -> Any:
    """Return a sequence with ``nothing`` for None, which is an error where a value is needed."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return entries
    if any(each is None and need for each, need in zip(entries, needed, strict=False)):
        raise TrialError(f"{rule} for a complete trial, got None")
    return [nothing if each is None else each for each in entries]


def _notes(notes: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    """Return a mapping for each trial."""
    for each in notes:
        if not (each is None or (isinstance(each, Mapping) and all(isinstance(name, str) for name in each))):
            raise TrialError(f"notes must be a mapping of names to JSON values or None, got {shown(each)}")
    return [each or {} for each in notes]


def _times(
    name: str, rule: str, times: Sequence[Any], *, least: float = -math.inf
) -> NDArray[np.float64] | None:
    """Return a number for each trial, NaN where there is none; None if none has any."""
    if all(each is None for each in times):
        return None
    return np.array(
        [
            math.nan
            if each is None
            else check_number(
                name, each, rule, lambda time: math.isfinite(time) and time >= least, error=TrialError
            )
            for each in times
        ]
    )


def _ask(
    recorder: Recorder,
    x: NDArray[np.float64],
    given: NDArray[np.float64] | None,
    began: NDArray[np.float64] | None,
) -> None:
    if began is None:
        recorder.asked(x, ADDED, given=given)
        return
    for k, time in enumerate(began.tolist()):  # an event has one time
        own = slice(k, k + 1)
        exact = None if given is None or np.isnan(given[:, k]).all() else given[:, own]
        recorder.asked(x[:, own], ADDED, given=exact, started=time)


def _report(recorder: Recorder, rows: Rows, curves: Sequence[Report]) -> None:
    for step, same in groupby(curves, key=itemgetter(0)):
        _, places, values = zip(*same, strict=True)
        recorder.reported(rows[[*places]], step, np.array(values).T, decides=False)


def _finish(
    recorder: Recorder, rows: Rows, values: NDArray[np.float64], states: Sequence[Any], reasons: Sequence[Any]
) -> None:
    kinds = [
        state or ("complete" if reason is None else "failed")
        for state, reason in zip(states, reasons, strict=True)
    ]
    kind = np.array(kinds, np.str_)
    recorder.told(rows[kind == "complete"], values[:, kind == "complete"])
    recorder.stopped(rows[kind == "stopped"], values[:, kind == "stopped"])
    failed = np.flatnonzero(kind == "failed")
    why = np.array([reasons[place] or "failed" for place in failed.tolist()], np.object_)
    for each in dict.fromkeys(why.tolist()):
        recorder.failed(rows[failed[why == each]], plain_text(each))
