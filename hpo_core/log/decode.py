"""Reads records of a log into a block of events.

Each event costs a few look-ups, and arrays are made once for all events of a kind: an object per event would
take several times as long.
"""

from __future__ import annotations

import copy
import json
import math
from functools import cache
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.checks import shown
from hpo_core.errors import HpoError, StudyError
from hpo_core.log.blocks import EventBlock
from hpo_core.log.events import ASIDE, FOREIGN, KINDS, Asked, Enqueued, Resumed, Retried
from hpo_core.log.fields import (
    INTS,
    LISTS,
    NAME,
    NUMBERS,
    REQUIRED,
    TEXTS,
    TIME,
    WrongFieldError,
    as_reals,
    reals,
    require,
    wrong_type,
)
from hpo_core.storage.base import CREATED, RENEWED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from hpo_core.log.codec import Codec
    from hpo_core.log.events import Event
    from hpo_core.log.history import History
    from hpo_core.storage import Record

    Data = dict[str, Any]

# Events per call of the JSON parser. So few objects are still in the cache when they are taken apart; with
# thousands, reading takes half as long again.
PARSED: Final = 96

# Errors that a damaged or forged event may raise on its way into a history. MemoryError and RecursionError
# belong to them: an event that hpo_core has written is never too large to read.
DAMAGE: Final = (
    LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError,
)  # fmt: skip


def read(codec: Codec, records: Sequence[Record]) -> EventBlock:
    """Return the events of consecutive records.

    Raises
    ------
    LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError
        ``Codec`` does not write such a record; ``explain`` says which event and field are wrong.
    """
    known = [record for record in records if record[1] in KINDS]
    if len(known) < len(records):
        _check_aside(records)
    readers: dict[str, _Reader] = {}
    for start in range(0, len(known), PARSED):
        _take(codec, readers, start, known[start : start + PARSED])
    events = [each for kind in KINDS if kind in readers for each in readers[kind].events()]
    if "resumed" in readers and "retried" in readers:
        _order_claims(events)
    return EventBlock(len(known), events)


def _order_claims(events: list[tuple[Event, Any]]) -> None:
    """Bring the events that give trials out again into the order of the log: the last worker holds one."""
    places = [k for k, (event, _) in enumerate(events) if isinstance(event, Retried | Resumed)]
    for place, claim in zip(places, sorted((events[k] for k in places), key=itemgetter(1)), strict=True):
        events[place] = claim


def _check_aside(records: Sequence[Record]) -> None:
    """Raise unless records whose kinds are not in ``KINDS`` are valid."""
    for position, kind, text, _ in records:
        if kind in KINDS:
            continue
        if kind not in ASIDE:
            raise StudyError("its kind is unknown to this version: update hpo_core")
        if kind == CREATED and position > 0:
            raise StudyError(f"{CREATED!r} must be the first event")
        if kind == RENEWED:
            data = json.loads(text)
            require("worker", [data["worker"]], TEXTS)
            if not np.isfinite(reals("until", [data["until"]])).all():
                raise WrongFieldError("until", "finite", data["until"])


def _take(codec: Codec, readers: dict[str, _Reader], first: int, records: Sequence[Record]) -> None:
    """Hand a few records to the readers of their kinds; ``first`` is the place of the first record."""
    data = _parser()(f"[{','.join([record[2] for record in records])}]")
    kinds = [record[1] for record in records]
    if len(data) != len(kinds):
        raise ValueError("the text of an event is more or less than one JSON value")
    for kind in dict.fromkeys(kinds):
        if kind not in readers:
            readers[kind] = _reader_of(codec, kind)
        at = [place for place, each in enumerate(kinds) if each == kind]
        readers[kind].take([first + place for place in at], [data[place] for place in at])


def explain(codec: Codec, history: History, records: Sequence[Record], error: BaseException) -> str:
    """Say which of the records cannot be read or does not follow from the history, and which field of it."""
    scratch = copy.deepcopy(history)
    for record in records:
        try:
            scratch.extend(read(codec, [record]))
        except DAMAGE as found:
            return f"event {record[0]}, {shown(record[1], 40)}: {_reason(record, found)}"
    return repr(error)  # each event is good by itself: the log is not damaged


def _reason(record: Record, error: BaseException) -> str:
    if isinstance(error, StudyError) and not isinstance(error, WrongFieldError):
        return str(error)
    try:
        data = json.loads(record[2])
    except RecursionError:
        return "its JSON is nested too deeply"
    except (TypeError, ValueError) as broken:
        return f"it is not JSON: {broken}"
    if type(data) is not dict:
        return f"it must be a JSON object, got {shown(data, 80)}"
    types = {name: field.types for name, field in _required(record[1]).items()}
    for field, allowed in types.items():
        if field not in data:
            return f"field {field!r} is missing"
        if type(data[field]) not in allowed:
            return str(wrong_type(field, allowed, data[field]))
    if isinstance(error, HpoError):
        return str(error)
    for name, values in data["params"].items() if record[1] == "asked" else ():
        if type(values) is not list or len(values) != data["n"]:
            return str(WrongFieldError(f"params.{name}", "a list of as many values as trials", values))
    return repr(error)


def _required(kind: str) -> dict[str, Any]:
    if kind == RENEWED:
        return {"worker": NAME, "until": TIME}
    fields = KINDS[kind].fields if kind in KINDS else {}
    return {name: field for name, field in fields.items() if field.default is REQUIRED}


def _reader_of(codec: Codec, kind: str) -> _Reader:
    if kind == "asked":
        return _AskedReader(codec, kind)
    return _MergingReader(codec, kind) if KINDS[kind].merged else _Reader(codec, kind)


class _Reader:
    """Reads the events of one kind one by one."""

    def __init__(self, codec: Codec, kind: str) -> None:
        self.codec, self.kind = codec, KINDS[kind]
        self._events: list[tuple[Event, Any]] = []

    def take(self, at: Sequence[int], data: Sequence[Data]) -> None:
        """Read events; ``at`` says where in the block they are."""
        self._events += zip(map(self._read, data), at, strict=True)

    def _read(self, data: Data) -> Event:
        if self.kind.event is Enqueued:
            return self.codec.read_fixed(data["params"])
        read: dict[str, Any] = {}
        fields: dict[str, Any] = self.kind.fields
        for name, field in fields.items():
            value = data[name] if field.default is REQUIRED else data.get(name, field.default)
            if field.per_row:
                require(name, [value], LISTS)
                _check_length(name, value, len(data["rows"]))
                read[field.attribute or name] = field.load(self.codec, name, value)
            else:
                column = field.load(self.codec, name, [value])
                read[field.attribute or name] = column[0]
        event: Event = self.kind.event(**read)
        return event

    def events(self) -> list[tuple[Event, Any]]:
        """Return the events, each with its place in the block or a column of places."""
        return self._events


class _MergingReader(_Reader):
    """Reads the events of one kind as a single event, whose fields are columns."""

    def __init__(self, codec: Codec, kind: str) -> None:
        super().__init__(codec, kind)
        plain = {name: field for name, field in self.kind.fields.items() if field.load is not None}
        self._plain: dict[str, Any] = plain
        self._required = {name: field for name, field in plain.items() if field.default is REQUIRED}
        self._optional = {name: field for name, field in plain.items() if field.default is not REQUIRED}
        self._n_required = len(_required(kind))
        self._get = itemgetter(*self._required)
        self._columns: dict[str, list[Any]] = {name: [] for name in self._required}
        self._at: list[int] = []

    def take(self, at: Sequence[int], data: Sequence[Data]) -> None:
        values = [*zip(*map(self._get, data), strict=True)]
        self._gather(at, data, values, [*map(len, values[0])])

    def _gather(
        self, at: Sequence[int], data: Sequence[Data], values: Sequence[Sequence[Any]], counts: list[int]
    ) -> None:
        before = len(self._at)
        self._at += _repeated(at, counts)
        for (name, field), each in zip(self._required.items(), values, strict=True):
            if not field.per_row:
                self._columns[name] += _repeated(each, counts)
                continue
            if [*map(len, each)] != counts:
                for value, n in zip(each, counts, strict=True):
                    _check_length(name, value, n)
            self._columns[name] += chain.from_iterable(each)
        rare = max(map(len, data)) > self._n_required
        for name, field in self._optional.items():
            if rare and any(name in each for each in data):
                self._columns.setdefault(name, [field.default] * before)
            if name in self._columns:
                self._columns[name] += _repeated([each.get(name, field.default) for each in data], counts)

    def _loaded(self) -> dict[str, Any]:
        return {
            self._plain[name].attribute or name: self._plain[name].load(self.codec, name, column)
            for name, column in self._columns.items()
        }

    def events(self) -> list[tuple[Event, Any]]:
        return [(self.kind.event(**self._loaded()), np.array(self._at, np.int64))]


class _AskedReader(_MergingReader):
    """Reads ``Asked``, whose values are columns by parameter."""

    def __init__(self, codec: Codec, kind: str) -> None:
        super().__init__(codec, kind)
        self._params: dict[str, list[Any]] = {name: [] for name in codec.space.names}
        self._absent: list[tuple[str, slice]] = []  # trials that are older than a parameter

    def take(self, at: Sequence[int], data: Sequence[Data]) -> None:
        values = [*zip(*map(self._get, data), strict=True)]
        counts = [each["n"] for each in data]
        require("n", counts, INTS)
        if min(counts) < 1:
            raise WrongFieldError("n", "at least 1", min(counts))
        firsts = require("first", values[0], INTS)
        before = len(self._at)
        first = self._columns["first"][0] if before else firsts[0]
        starts = tuple(accumulate(counts, initial=first + before))
        if firsts != starts[:-1]:
            raise StudyError(f"field 'first': trials asked must start at numbers {starts[:-1]}, got {firsts}")
        # This checks n too: the text must hold n values, so that no array gets longer than the text.
        self._values_of([each["params"] for each in data], counts)
        for each in data:
            if "wanted" in each and each["wanted"] < each["n"]:
                raise WrongFieldError("wanted", f"at least n = {each['n']}", each["wanted"])
        self._gather(at, data, values, counts)

    def _values_of(self, params: Sequence[Data], counts: Sequence[int]) -> None:
        """Add the values of new trials to the columns of their parameters."""
        if set(map(len, params)) != {len(self._params)}:
            self._values_of_fewer(params, counts)
            return
        one_each = set(counts) == {1}
        for name, column in self._params.items():
            try:
                if name in self.codec.listed:  # the characters of a text could be choices
                    require(f"params.{name}", [*map(itemgetter(name), params)], LISTS)
                if one_each:
                    column.extend([value for (value,) in map(itemgetter(name), params)])
                    continue
                lists = [*map(itemgetter(name), params)]
            except KeyError:
                raise StudyError(f"field 'params.{name}' is missing") from None
            if [*map(len, lists)] != [*counts]:
                raise StudyError(f"field 'params.{name}' must hold as many values as trials were asked")
            column.extend(chain.from_iterable(lists))

    def _values_of_fewer(self, params: Sequence[Data], counts: Sequence[int]) -> None:
        """Do the work of ``_values_of`` if some trials are older than a parameter."""
        for each, n in zip(params, counts, strict=True):
            if not each or not each.keys() <= self._params.keys():
                raise WrongFieldError("params", f"values of {[*self._params]}", [*each])
            for name, values in each.items():
                require(f"params.{name}", [values], LISTS)
                _check_length(f"params.{name}", values, n)
            for name, column in self._params.items():
                if name not in each:
                    self._absent.append((name, slice(len(column), len(column) + n)))
                column.extend(each[name] if name in each else [self.codec.written_default(name)] * n)

    def events(self) -> list[tuple[Event, Any]]:
        loaded = self._loaded()
        first = loaded["first"].item(0)
        x, given = self._coordinates(first, loaded["origin"])
        return [(Asked(**loaded | {"first": first, "x": x, "given": given}), np.array(self._at, np.int64))]

    def _coordinates(
        self, first: int, origins: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        nulls: dict[str, NDArray[np.bool_]] = {}
        absent: dict[str, NDArray[np.bool_]] = {}
        for name, at in self._absent:
            absent.setdefault(name, np.zeros(len(origins), np.bool_))[at] = True
        space = self.codec.space
        x, given = space.codec.restore(
            {name: self._values(name, column, nulls) for name, column in self._params.items()},
            absent=absent,
            first=first,
        )
        if given is not None:
            self._require_in_range(given, origins)
        # If a condition reads a real number, a value in the log may activate a parameter that is null there.
        for name, null in nulls.items() if not space.codec.reads_reals else ():
            if (null & ~np.isnan(x[space.names.index(name)])).any():
                raise WrongFieldError(f"params.{name}", "a number: the parameter is active", None)
        return x, given

    def _require_in_range(self, given: NDArray[np.float64], origins: Sequence[str]) -> None:
        """Raise if the log says that a sampler chose a value outside its parameter: only users may."""
        space = self.codec.space
        chosen = np.array([origin not in FOREIGN for origin in origins]) & np.isfinite(given)
        for row, j in np.argwhere(chosen & space.codec.outside(given))[:1].tolist():
            name = space.names[row]
            allowed = f"a value of {space.parameters[name]!r}"
            raise WrongFieldError(f"params.{name}", allowed, given.item(row, j))

    def _values(self, name: str, column: list[Any], nulls: dict[str, NDArray[np.bool_]]) -> Any:
        if name in self.codec.listed:
            return self.codec.read_choices(name, column)
        field = f"params.{name}"
        if not NUMBERS.issuperset(map(type, column)):
            nulls[name] = np.array([value is None for value in column])
            default = self.codec.defaults[name]
            column = [default if value is None else value for value in column]
            require(field, column, NUMBERS)
        numbers = as_reals(field, column)
        if np.isnan(numbers).any():
            raise WrongFieldError(field, "a number or null", math.nan)
        return numbers


def _check_length(name: str, value: Any, n: int) -> None:
    if len(value) != n:
        raise WrongFieldError(name, f"a list of {n}", value)


@cache
def _parser() -> Callable[[str], Any]:
    """Return a function from JSON text to values: a third of the time where msgspec is installed."""
    try:
        from msgspec import MsgspecError
        from msgspec.json import decode
    except ImportError:
        return json.loads

    def parse(text: str) -> Any:
        try:
            return decode(text)
        except MsgspecError:  # it refuses the NaN and the half surrogate pairs that json writes
            return json.loads(text)

    return parse


def _repeated(values: Sequence[Any], counts: Sequence[int]) -> Iterable[Any]:
    return values if set(counts) == {1} else chain.from_iterable(map(repeat, values, counts))
