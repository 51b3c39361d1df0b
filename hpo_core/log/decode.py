"""From the records of a log to one stretch of columns.

An event costs a few look-ups here, and arrays are made once for all of them: an object per event would
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

from hpo_core.checks import STEP_LIMIT, shown
from hpo_core.errors import HpoError, StudyError
from hpo_core.log import State
from hpo_core.log.codec import WrongFieldError, read_text
from hpo_core.log.events import FOREIGN, Annotated, Enqueued, Noted, Retried, Stretch
from hpo_core.log.notes import MARK, load_note
from hpo_core.storage.base import CHANGED, CREATED, DELETED
from hpo_core.storage.heartbeat import RENEWED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.codec import Codec
    from hpo_core.storage import Record

    Data = dict[str, Any]

_ASKED = itemgetter("first", "n", "cursor", "tier", "time", "params")
_FAILED = int(State.FAILED)
_ENDS = {"told": int(State.COMPLETE), "stopped": int(State.STOPPED), "failed": _FAILED}

# Events per call of the JSON parser: what it makes of so few is still in the cache when it is taken apart.
# With thousands it takes half as long again.
PARSED: Final = 96
LATE: Final = "late"  # a result for a trial that another process had finished before
_OTHERS = frozenset({"retried", "reported", "noted", "enqueued", "annotated"})
_KINDS = _OTHERS | {"asked", *_ENDS}
_ASIDE = frozenset({CREATED, CHANGED, DELETED, RENEWED, LATE})  # what the columns do not hold

# What a damaged or forged event may raise on its way into a history. MemoryError and RecursionError too:
# no event that was written says more than fits.
DAMAGE: Final = (
    LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError,
)  # fmt: skip

# What JSON gives for each field. Where the values inside are wrong, the reader finds it and says so.
_FIELDS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "asked": {
        "first": (int,),
        "n": (int,),
        "cursor": (int,),
        "tier": (str,),
        "time": (int, float),
        "params": (dict,),
    },
    "told": {"rows": (list,), "values": (list,), "cost": (list,)},
    "stopped": {"rows": (list,), "values": (list,), "cost": (list,)},
    "failed": {"rows": (list,), "reason": (str, list), "cost": (list,)},
    "reported": {"rows": (list,), "step": (int,), "values": (list,)},
    "noted": {"rows": (list,), "notes": (list,)},
    "enqueued": {"params": (dict,)},
    "annotated": {"notes": (dict,)},
    "retried": {"rows": (list,), "worker": (str,), "reason": (str, list), "time": (int, float)},
    RENEWED: {"worker": (str,), "until": (int, float)},
}
_NAMES: Final = {
    int: "an int", float: "a number", str: "text", list: "a list", dict: "an object", type(None): "null",
}  # fmt: skip
_INT, _NUMBER, _TEXT = frozenset({int}), frozenset({int, float}), frozenset({str})
_LIST, _OBJECT = frozenset({list}), frozenset({dict})
_SPECIAL = frozenset({"nan", "inf", "-inf"})


def read(codec: Codec, records: Sequence[Record]) -> Stretch:
    """Return what consecutive records say.

    Raises
    ------
    LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError
        It is not what ``Codec`` writes; ``explain`` says which event and field.
    """
    known = [record for record in records if record[1] in _KINDS]
    if len(known) < len(records):
        _check_others(records)
    reader = _Reader(codec)
    for start in range(0, len(known), PARSED):
        reader.take(known[start : start + PARSED])
    return reader.stretch()


def _check_others(records: Sequence[Record]) -> None:
    for position, kind, text, _ in records:
        if kind in _KINDS:
            continue
        if kind not in _ASIDE:
            raise StudyError("its kind is unknown to this version: update hpo_core")
        if kind == CREATED and position > 0:
            raise StudyError(f"{CREATED!r} must be the first event")
        if kind == RENEWED:
            data = json.loads(text)
            _require("worker", [data["worker"]], _TEXT)
            if not np.isfinite(_reals("until", [data["until"]])).all():
                raise WrongFieldError("until", "finite", data["until"])


def explain(codec: Codec, history: History, records: Sequence[Record], error: BaseException) -> str:
    """Say which of the records cannot be read or does not follow from the history, and which field of it."""
    scratch = copy.deepcopy(history)
    for record in records:
        try:
            scratch.extend(read(codec, [record]))
        except DAMAGE as found:
            return f"event {record[0]}, {shown(record[1], 40)}: {_reason(record, found)}"
    return repr(error)  # the events are good one by one: this is no damage of theirs


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
    for field, kinds in _FIELDS.get(record[1], {}).items():
        if field not in data:
            return f"field {field!r} is missing"
        if type(data[field]) not in kinds:
            return str(WrongFieldError(field, _NAMES[kinds[-1]], data[field]))
    if isinstance(error, HpoError):
        return str(error)
    for name, values in data["params"].items() if record[1] == "asked" else ():
        if type(values) is not list or len(values) != data["n"]:
            return str(WrongFieldError(f"params.{name}", "a list of as many values as trials", values))
    return repr(error)


class _Reader:
    """Collects events as columns of Python values."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.n_events = 0
        self.first = -1
        self.params: dict[str, list[Any]] = {name: [] for name in codec.space.names}
        self.absent: list[tuple[str, slice]] = []  # trials that are older than a parameter
        self.cursor: list[int] = []
        self.tier: list[str] = []
        self.time: list[float] = []
        self.asked_at: list[int] = []
        self.wanted: dict[int, int] = {}
        self.workers: dict[int, str] = {}
        self.retried: list[Retried] = []
        self.ended: list[int] = []
        self.state: list[int] = []
        self.y: list[float] = []
        self.cost: list[float] = []
        self.ended_at: list[int] = []
        self.reasons: dict[int, str] = {}
        self.tracebacks: dict[int, str] = {}
        self.reported: list[int] = []
        self.step: list[int] = []
        self.value: list[Any] = []
        self.reported_at: list[int] = []
        self.touched: list[int] = []
        self.touched_at: list[int] = []
        self.enqueued_at: list[int] = []
        self.others: list[Noted | Enqueued | Annotated] = []

    def take(self, records: Sequence[Record]) -> None:
        """Read a few records."""
        data = _parser()(f"[{','.join([record[2] for record in records])}]")
        kinds = [record[1] for record in records]
        if len(data) != len(kinds):
            raise ValueError("the text of an event is more or less than one JSON value")
        first = self.n_events
        asked = [at for at, kind in enumerate(kinds) if kind == "asked"]
        ended = [at for at, kind in enumerate(kinds) if kind in _ENDS]
        if len(asked) + len(ended) < len(kinds):
            for at, (kind, each) in enumerate(zip(kinds, data, strict=True), first):
                if kind in _OTHERS:
                    self._other(at, kind, each, marked=MARK in records[at - first][2])
        self.n_events += len(data)
        if asked:
            self._asked([first + at for at in asked], [data[at] for at in asked])
        if ended:
            states = [_ENDS[kinds[at]] for at in ended]
            self._ended([first + at for at in ended], states, [data[at] for at in ended])

    def _other(self, at: int, kind: str, data: Data, *, marked: bool) -> None:
        if kind == "reported":
            self._reported(at, data)
        elif kind == "retried":
            self._retried(at, data)
        elif kind == "noted":
            self._noted(at, data, marked=marked)
        elif kind == "annotated":
            (notes,) = _read_notes([data["notes"]], marked=marked)
            self.others.append(Annotated(notes))
        else:
            self.others.append(self.codec.read_fixed(data["params"]))
            self.enqueued_at.append(at)

    def _asked(self, asked_at: list[int], asked: list[Data]) -> None:
        firsts, counts, cursors, tiers, times, params = zip(*map(_ASKED, asked), strict=True)
        _require("first", firsts, _INT)
        _require("n", counts, _INT)
        if self.first < 0:
            self.first = firsts[0]
        if min(counts) < 1:
            raise WrongFieldError("n", "at least 1", min(counts))
        starts = tuple(accumulate(counts, initial=self.first + len(self.tier)))
        if firsts != starts[:-1]:
            raise StudyError(f"field 'first': trials asked must start at numbers {starts[:-1]}, got {firsts}")
        # Each value stands in the text: what follows is as long as n says, and no longer than the text.
        self._values_of(params, counts)
        self.cursor += _repeated(cursors, counts)
        self.tier += _repeated(tiers, counts)
        self.time += _repeated(times, counts)
        self.asked_at += _repeated(asked_at, counts)
        for data in asked:
            if len(data) > len(_FIELDS["asked"]):
                self._rarely_asked(data)

    def _values_of(self, params: Sequence[Data], counts: Sequence[int]) -> None:
        """Read the values of trials that were asked, by parameter."""
        if set(map(len, params)) != {len(self.params)}:
            self._values_of_fewer(params, counts)
            return
        one_each = set(counts) == {1}
        for name, column in self.params.items():
            try:
                if name in self.codec.listed:  # the characters of a text could be choices
                    _require(f"params.{name}", [*map(itemgetter(name), params)], _LIST)
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
        """Read parameters that may be younger than some trials."""
        for each, n in zip(params, counts, strict=True):
            if not each or not each.keys() <= self.params.keys():
                raise WrongFieldError("params", f"values of {[*self.params]}", [*each])
            for name, values in each.items():
                _require(f"params.{name}", [values], _LIST)
                if len(values) != n:
                    raise WrongFieldError(f"params.{name}", f"a list of {n} values", values)
            for name, column in self.params.items():
                if name not in each:
                    self.absent.append((name, slice(len(column), len(column) + n)))
                column.extend(each[name] if name in each else [self.codec.written_default(name)] * n)

    def _rarely_asked(self, data: Data) -> None:
        first, n = data["first"], data["n"]
        if "wanted" in data:
            _require("wanted", [data["wanted"]], _INT)
            if data["wanted"] < n:
                raise WrongFieldError("wanted", f"at least n = {n}", data["wanted"])
            self.wanted[first] = data["wanted"]
        if "worker" in data:
            worker: str = data["worker"]
            _require("worker", [worker], _TEXT)
            self.workers |= dict.fromkeys(range(first, first + n), worker)

    def _ended(self, ended_at: list[int], states: list[int], ended: list[Data]) -> None:
        rows = [data["rows"] for data in ended]
        costs = [data["cost"] for data in ended]
        counts = [*map(len, rows)]
        if [*map(len, costs)] != counts:
            raise StudyError("field 'cost' must hold as many numbers as there are rows")
        self.ended += chain.from_iterable(rows)
        self.cost += chain.from_iterable(costs)
        self.ended_at += _repeated(ended_at, counts)
        self.state += _repeated(states, counts)
        for state, data, n in zip(states, ended, counts, strict=True):
            if state == _FAILED:
                self._failed(data, n)
            elif len(data["values"]) == n:
                self.y += data["values"]
            else:
                raise WrongFieldError("values", f"a list of {n} numbers", data["values"])

    def _failed(self, data: Data, n: int) -> None:
        _require("rows", data["rows"], _INT)
        self.y += [math.nan] * n
        self.reasons.update(dict.fromkeys(data["rows"], read_text("reason", data["reason"])))
        if "traceback" in data:
            text = read_text("traceback", data["traceback"])
            self.tracebacks.update(dict.fromkeys(data["rows"], text))

    def _retried(self, at: int, data: Data) -> None:
        worker, time = data["worker"], data["time"]
        _require("worker", [worker], _TEXT)
        _require("time", [time], _NUMBER)
        rows = self._touch(at, data["rows"])
        self.retried.append(Retried(rows, worker, read_text("reason", data["reason"]), float(time)))

    def _noted(self, at: int, data: Data, *, marked: bool) -> None:
        _require("notes", [data["notes"]], _LIST)
        notes = _read_notes(data["notes"], marked=marked)
        rows = self._touch(at, data["rows"])
        if len(notes) != len(rows):
            raise WrongFieldError("notes", f"a list of {len(rows)} objects", notes)
        self.others.append(Noted(rows, tuple(notes)))

    def _touch(self, at: int, rows: list[int]) -> NDArray[np.int64]:
        array = _ints("rows", rows)
        self.touched += rows
        self.touched_at += [at] * len(rows)
        return array

    def _reported(self, at: int, data: Data) -> None:
        rows, step, values = data["rows"], data["step"], data["values"]
        if type(step) is not int or not 0 <= step < STEP_LIMIT:
            raise WrongFieldError("step", "an int in [0, 2**63)", step)
        if type(values) is not list or len(values) != len(rows):
            raise WrongFieldError("values", f"a list of {len(rows)} numbers", values)
        self.reported += rows
        self.step += [step] * len(rows)
        self.value += values
        self.reported_at += [at] * len(rows)

    def stretch(self) -> Stretch:
        """Return all that was taken."""
        _require("tier", self.tier, _TEXT)
        state, y = np.array(self.state, np.uint8), _reals("values", self.y)
        if not np.isfinite(y[state != _FAILED]).all():
            raise WrongFieldError("values", "finite", y[(state != _FAILED) & ~np.isfinite(y)].item(0))
        x, given = self._coordinates()
        return Stretch(
            n_events=self.n_events,
            first=self.first,
            x=x,
            given=given,
            cursor=_ints("cursor", self.cursor),
            tier=self.tier,
            time=_reals("time", self.time),
            asked_at=np.array(self.asked_at, np.int64),
            wanted=self.wanted,
            workers=self.workers,
            retried=self.retried,
            ended=_ints("rows", self.ended),
            state=state,
            y=(self.codec.sign * y)[np.newaxis],
            cost=_reals("cost", self.cost),
            ended_at=np.array(self.ended_at, np.int64),
            reasons=self.reasons,
            tracebacks=self.tracebacks,
            reported=_ints("rows", self.reported),
            step=np.array(self.step, np.int64),
            value=self.codec.sign * _reals("values", self._special_as_numbers()),
            reported_at=np.array(self.reported_at, np.int64),
            touched=_ints("rows", self.touched),
            touched_at=np.array(self.touched_at, np.int64),
            enqueued_at=np.array(self.enqueued_at, np.int64),
            others=self.others,
        )

    def _special_as_numbers(self) -> list[float]:
        """Values of reports: what JSON has no number for is text there."""
        if str not in set(map(type, self.value)):
            return self.value
        return [float(each) if type(each) is str and each in _SPECIAL else each for each in self.value]

    def _coordinates(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        if not self.tier:
            return np.empty((len(self.params), 0)), None
        nulls: dict[str, NDArray[np.bool_]] = {}
        absent: dict[str, NDArray[np.bool_]] = {}
        for name, at in self.absent:
            absent.setdefault(name, np.zeros(len(self.tier), np.bool_))[at] = True
        space = self.codec.space
        x, given = space.codec.restore(
            {name: self._values(name, column, nulls) for name, column in self.params.items()},
            absent=absent,
            first=self.first,
        )
        if given is not None:
            self._require_in_range(given)
        # Where a condition reads a real number, what is written may activate what was inactive.
        for name, null in nulls.items() if not space.codec.reads_reals else ():
            if (null & ~np.isnan(x[space.names.index(name)])).any():
                raise WrongFieldError(f"params.{name}", "a number: the parameter is active", None)
        return x, given

    def _require_in_range(self, given: NDArray[np.float64]) -> None:
        """Raise if the log says that a sampler chose a value outside its parameter: only users may."""
        space = self.codec.space
        chosen = np.array([tier not in FOREIGN for tier in self.tier]) & np.isfinite(given)
        for row, j in np.argwhere(chosen & space.codec.outside(given))[:1].tolist():
            name = space.names[row]
            allowed = f"a value of {space.parameters[name]!r}"
            raise WrongFieldError(f"params.{name}", allowed, given.item(row, j))

    def _values(self, name: str, column: list[Any], nulls: dict[str, NDArray[np.bool_]]) -> Any:
        if name in self.codec.listed:
            return self.codec.read_choices(name, column)
        field = f"params.{name}"
        if not _NUMBER.issuperset(map(type, column)):
            nulls[name] = np.array([value is None for value in column])
            default = self.codec.defaults[name]
            column = [default if value is None else value for value in column]
            _require(field, column, _NUMBER)
        numbers = _as_reals(field, column)
        if np.isnan(numbers).any():
            raise WrongFieldError(field, "a number or null", math.nan)
        return numbers


def _read_notes(notes: list[Any], *, marked: bool) -> list[Any]:
    if marked:
        try:
            notes = [load_note(each) for each in notes]
        except (TypeError, ValueError):
            raise WrongFieldError("notes", "as they are written", notes) from None
    _require("notes", notes, _OBJECT)
    return notes


def _require(field: str, values: Sequence[Any], types: frozenset[type]) -> None:
    if not types.issuperset(map(type, values)):
        wrong = next(value for value in values if type(value) not in types)
        name = _NAMES[float if float in types else min(types, key=str)]
        raise WrongFieldError(field, name, wrong)


def _ints(field: str, values: Sequence[int]) -> NDArray[np.int64]:
    _require(field, values, _INT)
    try:
        return np.fromiter(values, np.int64, len(values))
    except OverflowError:
        raise WrongFieldError(field, "below 2**63", max(values, key=abs)) from None


def _reals(field: str, values: Sequence[float]) -> NDArray[np.float64]:
    _require(field, values, _NUMBER)
    return _as_reals(field, values)


def _as_reals(field: str, values: Sequence[float]) -> NDArray[np.float64]:
    try:
        return np.fromiter(values, np.float64, len(values))
    except OverflowError:
        raise WrongFieldError(field, "a number that is a float", max(values, key=abs)) from None


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
