"""From the records of a log to one stretch of columns.

An event costs a few look-ups here, and arrays are made once for all of them: an object per event would
take several times as long.
"""

from __future__ import annotations

import json
import math
from functools import cache
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.errors import StudyError
from hpo_core.events import Enqueued, Noted, Retried, Stretch
from hpo_core.history import State
from hpo_core.space.serial import load_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from hpo_core.storage import Record
    from hpo_core.study.coding import Codec

    Data = dict[str, Any]

_ASKED = itemgetter("first", "n", "cursor", "tier", "time", "params")
_FAILED = int(State.FAILED)
_ENDS = {"told": int(State.COMPLETE), "stopped": int(State.STOPPED), "failed": _FAILED}

# Events per call of the JSON parser: what it makes of so few is still in the cache when it is taken apart.
# With thousands it takes half as long again.
PARSED: Final = 96
_KINDS = frozenset({"asked", "retried", *_ENDS, "reported", "noted", "enqueued"})


def read(codec: Codec, records: Sequence[Record]) -> Stretch:
    """Return what consecutive records say, those of unknown kinds left out.

    Raises
    ------
    LookupError, TypeError, ValueError
        It is not what ``Codec`` writes.
    """
    known = [record for record in records if record[1] in _KINDS]
    reader = _Reader(codec)
    for start in range(0, len(known), PARSED):
        reader.take(known[start : start + PARSED])
    return reader.stretch()


class _Reader:
    """Collects events as columns of Python values."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.n_events = 0
        self.first = -1
        self.params: dict[str, list[Any]] = {name: [] for name in codec.space.names}
        self.cursor: list[int] = []
        self.tier: list[str] = []
        self.time: list[float] = []
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
        self.value: list[float] = []
        self.reported_at: list[int] = []
        self.others: list[Noted | Enqueued] = []

    def take(self, records: Sequence[Record]) -> None:
        """Read a few records."""
        data = _parser()(f"[{','.join([record[2] for record in records])}]")
        asked, ended = [], []
        for at, (record, each) in enumerate(zip(records, data, strict=True), self.n_events):
            kind = record[1]
            if kind == "asked":
                asked.append(each)
            elif kind in _ENDS:
                ended.append((at, _ENDS[kind], each))
            elif kind == "reported":
                self._reported(at, each)
            elif kind == "retried":
                self._retried(each)
            elif kind == "noted":
                self.others.append(Noted(np.array(each["rows"], np.int64), tuple(each["notes"])))
            else:
                self.others.append(Enqueued(self.codec.read_fixed(each["params"])))
        self.n_events += len(data)
        if asked:
            self._asked(asked)
        if ended:
            self._ended(ended)

    def _asked(self, asked: list[Data]) -> None:
        firsts, counts, cursors, tiers, times, params = zip(*map(_ASKED, asked), strict=True)
        if self.first < 0:
            self.first = firsts[0]
        starts = tuple(accumulate(counts, initial=self.first + len(self.tier)))
        if firsts != starts[:-1]:
            raise StudyError(f"trials asked must start at numbers {starts[:-1]}, got {firsts}")
        self.cursor += _repeated(cursors, counts)
        self.tier += _repeated(tiers, counts)
        self.time += _repeated(times, counts)
        self.wanted.update({data["first"]: data["wanted"] for data in asked if "wanted" in data})
        for data in asked:
            if "worker" in data:
                rows = range(data["first"], data["first"] + data["n"])
                self.workers.update(dict.fromkeys(rows, str(data["worker"])))
        for name, column in self.params.items():
            try:
                column += [*chain.from_iterable(map(itemgetter(name), params))]
            except KeyError:  # the parameter is younger than some of them, and had its default
                default = [self.codec.defaults[name]]
                lists = [each.get(name) or default * n for each, n in zip(params, counts, strict=True)]
                column.extend(chain.from_iterable(lists))

    def _ended(self, ended: list[tuple[int, int, Data]]) -> None:
        counts = [len(data["rows"]) for _, _, data in ended]
        self.ended += [row for _, _, data in ended for row in data["rows"]]
        self.cost += [cost for _, _, data in ended for cost in data["cost"]]
        self.ended_at += _repeated([at for at, _, _ in ended], counts)
        self.state += _repeated([state for _, state, _ in ended], counts)
        for (_, state, data), n in zip(ended, counts, strict=True):
            if state != _FAILED:
                self.y += data["values"]
            else:
                self.y += [math.nan] * n
                self.reasons.update(dict.fromkeys(data["rows"], data["reason"]))
                if "traceback" in data:
                    self.tracebacks.update(dict.fromkeys(data["rows"], data["traceback"]))

    def _retried(self, data: Data) -> None:
        rows = np.array(data["rows"], np.int64)
        self.retried.append(Retried(rows, data["worker"], data["reason"], data["time"]))

    def _reported(self, at: int, data: Data) -> None:
        k = len(data["rows"])
        self.reported += data["rows"]
        self.step += [data["step"]] * k
        self.value += data["values"]
        self.reported_at += [at] * k

    def stretch(self) -> Stretch:
        """Return all that was taken."""
        return Stretch(
            n_events=self.n_events,
            first=self.first,
            x=self._coordinates(),
            cursor=np.array(self.cursor, np.int64),
            tier=self.tier,
            time=np.array(self.time, np.float64),
            wanted=self.wanted,
            workers=self.workers,
            retried=self.retried,
            ended=np.array(self.ended, np.int64),
            state=np.array(self.state, np.uint8),
            y=self.codec.minimised(self.y)[np.newaxis],
            cost=np.array(self.cost, np.float64),
            ended_at=np.array(self.ended_at, np.int64),
            reasons=self.reasons,
            tracebacks=self.tracebacks,
            reported=np.array(self.reported, np.int64),
            step=np.array(self.step, np.int64),
            value=self.codec.minimised(self.value),
            reported_at=np.array(self.reported_at, np.int64),
            others=self.others,
        )

    def _coordinates(self) -> NDArray[np.float64]:
        if not self.tier:
            return np.empty((len(self.params), 0))
        return self.codec.space.encode(
            {name: self._values(name, column) for name, column in self.params.items()}
        )

    def _values(self, name: str, column: list[Any]) -> Any:
        if name in self.codec.listed:
            return [load_value(value) if type(value) is dict else value for value in column]
        numbers = np.array(column, np.float64)  # null, where it is inactive, becomes NaN
        return np.where(np.isnan(numbers), self.codec.defaults[name], numbers)


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
