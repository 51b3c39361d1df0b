"""One parameter between its values and its coordinate.

Glossary
--------
x           internal coordinate: [0, 1], or the index of a category
number      what a condition reads: the value, or the index of a label (``Layout.values``)
level       index k of a discrete value, 0 <= k < levels
L           number of levels

================  ===============================================  =========================
kind              value                                            x of level k
================  ===============================================  =========================
CONTINUOUS        offset + span x; low exp(span x) if log          --
DISCRETE          table                                            middle of the level's cell
CATEGORICAL       table                                            k
STEPPED           low + step rint((v - low) / step), with          middle of the level's cell
                  v = offset + span x, or exp of it if log
================  ===============================================  =========================

Cells are equal, except those of a logarithmic Int: value v owns log(v - 1/2) .. log(v + 1/2).
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import shown
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import MAX_TABLE_LEVELS, Kind
from hpo_core.space.parameters import STEP_TOLERANCE, Categorical, Float, Int, Ordinal, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[Any]
    Coordinates: TypeAlias = NDArray[np.float64]

MAX_TEXT = 1024  # characters; an array of longer texts would hold the longest one for each
MAX_EXACT = 2**53  # larger ints are not exact in float64 and compare by rank, like labels

_NATURAL: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
_EMPTY = np.empty(0)
_EMPTY.flags.writeable = False


class Codec:
    """What all kinds have in common; attributes are named as in ``Layout``."""

    kind: Kind
    levels = 0
    centers = widths = numbers = _EMPTY
    log = False
    offset = span = low = high = step = 0.0
    default = 0.5
    labels: tuple[Any, ...] | None = None  # values that conditions read as an index

    value: Callable[[float], Any]  # scalar decode; a closure or a table's method, for speed

    def decode(self, x: Coordinates) -> Column:
        """Values of coordinates without NaN."""
        raise NotImplementedError

    def encode(self, column: Sequence[Any] | Column, where: str) -> Coordinates:
        """Coordinates of values, or ``SpaceError`` naming the first that is not allowed."""
        raise NotImplementedError

    def encode_one(self, value: Any, where: str) -> float:
        """Coordinate of one value, the same as in a column."""
        return float(self.encode([value], where)[0])

    def read(self, x: Coordinates) -> Coordinates:
        """Numbers of coordinates, NaN where x is."""
        raise NotImplementedError

    def draw(self, u: Coordinates) -> Coordinates:
        """Coordinates from uniform numbers in [0, 1): the prior."""
        raise NotImplementedError

    def every(self) -> Coordinates:
        """Coordinates of all levels in order."""
        raise NotImplementedError


class _Continuous(Codec):
    """A real interval."""

    kind = Kind.CONTINUOUS

    def __init__(self, low: float, high: float, *, log: bool) -> None:
        self.low, self.high, self.log = low, high, log
        self.offset = math.log(low) if log else low
        # log(high / low) keeps its digits where log(high) - log(low) would cancel
        self.span = math.log(high / low) if log else high - low
        self.value = _exponential(low, high, self.span) if log else _affine(low, high, self.span)

    def decode(self, x: Coordinates) -> Column:
        scaled = self.span * x
        values = self.low * np.exp(scaled) if self.log else self.low + scaled
        return np.clip(values, self.low, self.high)

    def encode(self, column: Sequence[Any] | Column, where: str) -> Coordinates:
        values = _reals(column, where)
        outside = ~((values >= self.low) & (values <= self.high))
        if outside.any():
            raise _rejection(values[outside][0], f"{self.low!r} to {self.high!r}", where)
        distance = np.log(values / self.low) if self.log else values - self.low
        return np.clip(distance / self.span, 0.0, 1.0)

    def encode_one(self, value: Any, where: str) -> float:
        if type(value) is not float or not self.low <= value <= self.high:
            return super().encode_one(value, where)
        distance = float(np.log(value / self.low)) if self.log else value - self.low
        return min(max(distance / self.span, 0.0), 1.0)

    def read(self, x: Coordinates) -> Coordinates:
        return self.decode(x)

    def draw(self, u: Coordinates) -> Coordinates:
        return u


class _Stepped(Codec):
    """A grid with too many levels for a table."""

    kind = Kind.STEPPED

    def __init__(self, low: float, high: float, step: float, *, log: bool, integer: bool) -> None:
        self.low, self.high, self.step, self.log, self._integer = low, high, step, log, integer
        self.levels = round((high - low) / step) + 1
        if log:
            self.offset = math.log(low - 0.5)
            self.span = math.log(high + 0.5) - self.offset
            center = math.exp(self.offset + 0.5 * self.span) - low
        else:
            self.offset = low - 0.5 * step
            self.span = step * self.levels
            center = (self.levels - 1) // 2
        self.default = float(self._coordinates(np.rint(np.float64(center))))
        self.value = self._decode_one

    def _coordinates(self, level: Any) -> Any:
        if not self.log:
            return (level + 0.5) / self.levels
        value = self.low + level
        middle = 0.5 * (np.log(value - 0.5) + np.log(value + 0.5))
        return (middle - self.offset) / self.span

    def _decode_one(self, x: float) -> float | int:
        value = self.offset + self.span * x
        value = min(max(math.exp(value) if self.log else value, self.low), self.high)
        value = min(self.low + self.step * round((value - self.low) / self.step), self.high)
        return int(value) if self._integer else value

    def decode(self, x: Coordinates) -> Column:
        values = self.read(x)
        return values.astype(np.int64) if self._integer else values

    def encode(self, column: Sequence[Any] | Column, where: str) -> Coordinates:
        values = _reals(column, where)
        level = _nearest((values - self.low) / self.step, self.levels)
        wrong = ~(np.abs(self.low + self.step * level - values) <= STEP_TOLERANCE * self.step)
        if wrong.any():
            allowed = f"{self.low!r}, {self.low + self.step!r}, ... {self.high!r}"
            raise _rejection(values[wrong][0], allowed, where)
        return np.asarray(self._coordinates(level))

    def read(self, x: Coordinates) -> Coordinates:
        values = self.offset + self.span * x
        values = np.clip(np.exp(values) if self.log else values, self.low, self.high)
        return np.minimum(self.low + self.step * np.rint((values - self.low) / self.step), self.high)

    def draw(self, u: Coordinates) -> Coordinates:
        level = np.rint((self.read(u) - self.low) / self.step)
        return np.asarray(self._coordinates(level))

    def every(self) -> Coordinates:
        return np.asarray(self._coordinates(np.arange(self.levels, dtype=np.float64)))


class _Table(Codec):
    """A few levels or choices, each with its value in a table."""

    def __init__(
        self, kind: Kind, values: Sequence[Any], *, numeric: bool, edges: Coordinates | None = None
    ) -> None:
        self.kind = kind
        self.levels = len(values)
        self.labels = None if numeric else tuple(values)
        index = np.arange(self.levels, dtype=np.float64)
        self.numbers = np.array(values, dtype=np.float64) if numeric else index
        self._inner_edges = None if edges is None else edges[1:-1]  # cells are equal without edges
        self._coordinates: Coordinates = index
        middle = 0
        if edges is not None:
            self._coordinates = 0.5 * (edges[1:] + edges[:-1])
            self.widths = np.diff(edges)
            middle = int(np.abs(self._coordinates - 0.5).argmin())
        elif kind is Kind.DISCRETE:
            self._coordinates = (index + 0.5) / self.levels
            self.widths = np.full(self.levels, 1.0 / self.levels)
            middle = (self.levels - 1) // 2
        if kind is Kind.DISCRETE:
            self.centers = self._coordinates
        self.default = float(self._coordinates[middle])
        self._values = as_column(values)
        self._coordinate: dict[Any, float] = dict(zip(values, self._coordinates.tolist(), strict=True))
        self.value = _Levels(self, self._coordinate).__getitem__

    def level(self, x: Coordinates) -> NDArray[np.intp]:
        """Level whose cell holds x."""
        if self.kind is Kind.CATEGORICAL:
            return x.astype(np.intp)
        if self._inner_edges is not None:
            return self._inner_edges.searchsorted(x, side="right")
        return np.clip((x * self.levels).astype(np.intp), 0, self.levels - 1)

    def decode(self, x: Coordinates) -> Column:
        return self._values[self.level(x)]

    def encode(self, column: Sequence[Any] | Column, where: str) -> Coordinates:
        known = self._coordinate
        items = column.tolist() if isinstance(column, np.ndarray) else column
        try:
            return np.array([known[item] for item in items], dtype=np.float64)
        except Exception:  # it is none of them, cannot be hashed, or its own methods raise
            return np.array([self._search(item, where) for item in items], dtype=np.float64)

    def encode_one(self, value: Any, where: str) -> float:
        return self._search(value, where)

    def _search(self, item: Any, where: str) -> float:
        try:
            return self._coordinate[item]
        except Exception:  # it is none of them, cannot be hashed, or its own methods raise
            hint = did_you_mean(item, self._coordinate) if isinstance(item, str) else ""
            raise _rejection(item, f"{self._allowed()}{hint}", where) from None

    def _allowed(self) -> str:
        values = list(self._coordinate)
        if len(values) <= 12:
            return f"one of {shown(values)}"
        return f"one of {shown(values[:6])}, ... {shown(values[-1])}"

    def read(self, x: Coordinates) -> Coordinates:
        missing = np.isnan(x)
        return np.where(missing, np.nan, self.numbers[self.level(np.where(missing, 0.0, x))])

    def draw(self, u: Coordinates) -> Coordinates:
        if self.kind is Kind.CATEGORICAL:
            return np.floor(u * self.levels)
        return self.centers[self.level(u)]

    def every(self) -> Coordinates:
        return self._coordinates


class _Grid(_Table):
    """A numeric grid small enough for a table."""

    def __init__(self, declaration: Float | Int) -> None:
        low, high = declaration.low, declaration.high
        self._step = declaration.step or 0.0
        levels = round((high - low) / self._step) + 1
        values: list[Any]
        if isinstance(declaration, Int):
            values = [declaration.low + declaration.step * k for k in range(levels)]
        else:
            # decimal steps are meant as written: 0.1 + 0.2 is 0.3 here
            from decimal import Decimal

            start, step = Decimal(repr(low)), Decimal(repr(self._step))
            values = [*(float(start + step * k) for k in range(levels - 1)), high]
        edges = None
        if declaration.log:
            logs = np.log(np.arange(low - 0.5, high + 1.0))
            edges = (logs - logs[0]) / (logs[-1] - logs[0])
        super().__init__(Kind.DISCRETE, values, numeric=True, edges=edges)

    def encode(self, column: Sequence[Any] | Column, where: str) -> Coordinates:
        values = _reals(column, where)
        level = _nearest((values - self.numbers[0]) / self._step, self.levels).astype(np.intp)
        wrong = ~(np.abs(self.numbers[level] - values) <= STEP_TOLERANCE * self._step)
        if wrong.any():
            raise _rejection(values[wrong][0], self._allowed(), where)
        return np.take(self._coordinates, level)

    def encode_one(self, value: Any, where: str) -> float:
        known = self._coordinate.get(value) if type(value) in {int, float} else None
        return Codec.encode_one(self, value, where) if known is None else known


class _Levels(dict[float, Any]):
    """Value by coordinate; a coordinate off the cell centres is looked up by its cell."""

    __slots__ = ("_codec",)

    def __init__(self, codec: _Table, coordinates: dict[Any, float]) -> None:
        super().__init__((x, value) for value, x in coordinates.items())
        self._codec = codec

    def __missing__(self, x: float) -> Any:
        return self._codec.decode(np.array([x])).tolist()[0]


def make_codec(declaration: Parameter) -> Codec:
    """Codec of a checked declaration."""
    match declaration:
        case Ordinal(values=values):
            return _Table(Kind.DISCRETE, values, numeric=all(map(_is_number, values)))
        case Categorical(choices=choices):
            return _Table(Kind.CATEGORICAL, tuple(choices), numeric=False)
    low, high, step, log = declaration.low, declaration.high, declaration.step, declaration.log
    if step is None:
        return _Continuous(low, high, log=log)
    if round((high - low) / step) < MAX_TABLE_LEVELS:
        return _Grid(declaration)
    return _Stepped(low, high, step, log=log, integer=isinstance(declaration, Int))


def _affine(low: float, high: float, span: float) -> Callable[[float], float]:
    def value(x: float) -> float:
        y = low + span * x
        return low if y < low else high if y > high else y

    return value


def _exponential(low: float, high: float, span: float, exp: Any = np.exp) -> Callable[[float], float]:
    # numpy's exp and not math's: they differ in the last bit, and a column must equal its scalars
    def value(x: float) -> float:
        y = low * float(exp(span * x))
        return low if y < low else high if y > high else y

    return value


def as_column(values: Sequence[Any]) -> Column:
    """Values as an array that gives back the very same values, of their natural dtype if there is one."""
    kinds = {type(value) for value in values}
    dtype = _NATURAL.get(kinds.pop()) if len(kinds) == 1 else None
    if dtype is np.str_ and max(map(len, values)) > MAX_TEXT:
        dtype = None
    if dtype is not None:
        try:
            array = np.array(values, dtype=dtype)
        except OverflowError:  # an int beyond int64
            array = np.empty(0)
        if array.tolist() == list(values):  # numpy strips trailing NULs of a str
            return array
    array = np.empty(len(values), dtype=np.object_)
    for k, value in enumerate(values):  # one by one: a tuple must not become a row
        array[k] = value
    return array


def _reals(column: Sequence[Any] | Column, where: str) -> Coordinates:
    try:
        array = np.asarray(column)
    except Exception as error:  # what the values' own methods raise
        raise SpaceError(f"{where}: must be a number, got {shown(column)}") from error
    if array.dtype.kind not in "iuf":
        for item in column:
            if isinstance(item, bool | np.bool_) or not isinstance(item, Real):
                raise SpaceError(f"{where}: must be a number, got {shown(item)}")
    if array.ndim != 1:
        raise SpaceError(f"{where}: must be a number, got {shown(column)}")
    try:
        return array.astype(np.float64)
    except Exception as error:  # an int beyond all floats, or the values' own methods
        raise SpaceError(f"{where}: must be a number of the range, got {shown(column)}") from error


def _nearest(steps: Coordinates, levels: int) -> Coordinates:
    """Level nearest to a number of steps; 0 for NaN, which the caller's comparison then rejects."""
    return np.clip(np.rint(np.nan_to_num(steps)), 0, levels - 1)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= MAX_EXACT


def _rejection(value: Any, allowed: str, where: str) -> SpaceError:
    plain = value.item() if isinstance(value, np.generic) else value
    return SpaceError(f"{where}: {shown(plain)} is not allowed; allowed: {allowed}")
