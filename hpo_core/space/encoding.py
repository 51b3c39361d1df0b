"""One parameter between its values and its coordinate.

Glossary
--------
x           internal coordinate: [0, 1], or the index of a category
given       a value that its coordinate does not give back to the last bit, or that is outside the range;
            NaN where the coordinate does
number      what a condition reads: the value, or the index of a label (``Layout.values``)
level       index k of a discrete value, 0 <= k < levels
L           number of levels

================  ===============================================  =========================
kind              value                                            x of level k
================  ===============================================  =========================
CONTINUOUS        low + span x; low exp(span x) if log; high at 1  --
DISCRETE          table                                            middle of the level's cell
CATEGORICAL       table                                            k
STEPPED           low + step k, as decimal numbers; high for the   middle of the level's cell
                  last k
================  ===============================================  =========================

Cells are equal, except those of a logarithmic Int: value v owns log(v - 1/2) .. log(v + 1/2).
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import MAX_TABLE_LEVELS, WIDE, Kind
from hpo_core.space.parameters import STEP_TOLERANCE, Categorical, Float, Int, Ordinal, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[Any]
    Coordinates: TypeAlias = NDArray[np.float64]

MAX_TEXT = 1024  # characters; an array of longer texts would hold the longest one for each
MAX_EXACT = 2**53  # larger ints are not exact in float64 and compare by rank, like labels
ROUNDING = 2.0**-23  # relative; the distance of a float32 from the value that it stands for
MAX_SLACK = 0.1  # of a step; a number farther from a level is another number
MAX_SCALE = 10**22  # larger powers of ten are not exact in float64

_NATURAL: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
_EMPTY = np.empty(0)
_EMPTY.flags.writeable = False


class Encoding:
    """The common part of all kinds; attributes are named as in ``Layout``."""

    kind: Kind
    levels = 0
    centers = widths = numbers = _EMPTY
    log = False
    offset = span = low = high = step = 0.0
    scale = 1.0
    default = 0.5
    integer = False  # whether values are ints
    labels: tuple[Any, ...] | None = None  # values that conditions read as an index

    value: Callable[[float], Any]  # scalar decode; a closure or a table's method, for speed

    def decode(self, x: Coordinates) -> Column:
        """Values of coordinates without NaN."""
        raise NotImplementedError

    def encode(
        self, column: Sequence[Any] | Column, where: str, *, beyond: bool = False
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates of values, and their ``given``, None if it holds nothing.

        ``SpaceError`` names the first value that is not allowed. ``beyond`` allows numbers outside the range,
        which get the coordinate of the nearest bound.
        """
        raise NotImplementedError

    def restore(self, column: Sequence[Any] | Column, where: str) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates of values that were recorded, perhaps in a narrower space, and their ``given``.

        Every finite number is kept as it is, even beside a bound or between the levels of a grid.
        """
        return self.encode(column, where)

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        """Mask of numbers that, apart from rounding, are not values of the parameter; False for NaN."""
        return np.isinf(given)

    def encode_one(self, value: Any, where: str, *, beyond: bool = False) -> tuple[float, float]:
        """Coordinate of one value and its ``given``, the same as in a column."""
        x, given = self.encode([value], where, beyond=beyond)
        return float(x[0]), math.nan if given is None else float(given[0])

    def read(self, x: Coordinates) -> Coordinates:
        """Numbers of coordinates, NaN where x is."""
        raise NotImplementedError

    def draw(self, u: Coordinates) -> Coordinates:
        """Coordinates from uniform numbers in [0, 1): the prior."""
        raise NotImplementedError

    def every(self) -> Coordinates:
        """Coordinates of all levels in order."""
        raise NotImplementedError


class _Continuous(Encoding):
    """A real interval."""

    kind = Kind.CONTINUOUS

    def __init__(self, low: float, high: float, *, log: bool) -> None:
        self.low, self.high, self.log = low, high, log
        self.offset, self.span = low, high - low
        self._wide = False
        if log:
            self.offset = math.log(low)
            # log(high / low) keeps its digits where log(high) - log(low) would cancel
            self._wide = math.log(high) - self.offset > WIDE
            self.span = math.log(high) - self.offset if self._wide else math.log(high / low)
        if self._wide:
            self.value = _wide_exponential(self.offset, low, high, self.span)
        else:
            self.value = _exponential(low, high, self.span) if log else _affine(low, high, self.span)

    def decode(self, x: Coordinates) -> Column:
        scaled = self.span * x
        if self._wide:
            values = np.exp(self.offset + scaled)
        else:
            values = self.low * np.exp(scaled) if self.log else self.low + scaled
        values = np.clip(values, self.low, self.high)
        return np.where(x >= 1.0, self.high, np.where(x <= 0.0, self.low, values))

    def encode(
        self, column: Sequence[Any] | Column, where: str, *, beyond: bool = False
    ) -> tuple[Coordinates, Coordinates | None]:
        return self._place(_within(self, _reals(column, where), where, beyond=beyond))

    def restore(self, column: Sequence[Any] | Column, where: str) -> tuple[Coordinates, Coordinates | None]:
        return self._place(_finite(self, _reals(column, where), where))

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        return (given < self.low) | (given > self.high)

    def _place(self, values: Coordinates) -> tuple[Coordinates, Coordinates | None]:
        x = np.clip(self._distance(np.clip(values, self.low, self.high)) / self.span, 0.0, 1.0)
        return x, self._adjusted(x, values)

    def encode_one(self, value: Any, where: str, *, beyond: bool = False) -> tuple[float, float]:
        if type(value) is not float or not self.low <= value <= self.high:
            return super().encode_one(value, where, beyond=beyond)
        x = min(max(float(self._distance(value)) / self.span, 0.0), 1.0)
        return (x, math.nan) if self.value(x) == value else super().encode_one(value, where, beyond=beyond)

    def read(self, x: Coordinates) -> Coordinates:
        return np.where(np.isnan(x), np.nan, self.decode(x))

    def draw(self, u: Coordinates) -> Coordinates:
        return u

    def _adjusted(self, x: Coordinates, values: Coordinates) -> Coordinates | None:
        """Move coordinates, in place, to neighbours that give the values back; return those that none gives.

        A value that came from a coordinate is always given back: rounding puts it within two of it.
        """
        left = np.flatnonzero(self.decode(x) != values)
        for ulps in (1, -1, 2, -2) if len(left) else ():
            near = np.clip(x[left] + ulps * np.spacing(x[left]), 0.0, 1.0)
            hit = self.decode(near) == values[left]
            x[left[hit]] = near[hit]
            left = left[~hit]
        if not len(left):
            return None
        given = np.full(len(values), np.nan)
        given[left] = values[left]
        return given

    def _distance(self, values: Any) -> Any:
        if not self.log:
            return values - self.low
        return np.log(values) - self.offset if self._wide else np.log(values / self.low)


class _Stepped(Encoding):
    """A grid with too many levels for a table."""

    kind = Kind.STEPPED

    def __init__(self, low: float, high: float, step: float, *, log: bool, integer: bool) -> None:
        self.low, self.high, self.step, self.log, self.integer = low, high, step, log, integer
        self.levels = round((high - low) / step) + 1
        self.scale = 1.0 if integer else _decimal_scale(low, high, step)
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
        return np.clip((middle - self.offset) / self.span, 0.0, 1.0)

    def _level(self, x: Coordinates) -> Coordinates:
        level = x * self.levels
        if self.log:
            level = (np.exp(self.offset + self.span * x) - self.low) / self.step + 0.5
        return np.clip(np.floor(level), 0.0, float(self.levels - 1))

    def _number(self, level: Coordinates) -> Coordinates:
        first, stride = np.rint(self.low * self.scale), np.rint(self.step * self.scale)
        if self.scale == 1.0:
            first, stride = self.low, self.step
        return np.where(level >= float(self.levels - 1), self.high, (first + stride * level) / self.scale)

    def _decode_one(self, x: float) -> float | int:
        value = float(self.read(np.array(x)))
        return int(value) if self.integer else value

    def decode(self, x: Coordinates) -> Column:
        values = self.read(x)
        return values.astype(np.int64) if self.integer else values

    def encode(
        self, column: Sequence[Any] | Column, where: str, *, beyond: bool = False
    ) -> tuple[Coordinates, Coordinates | None]:
        values = _within(self, _whole(self, column, where), where, beyond=beyond)
        level = self._nearest(values)
        numbers = self._number(level)
        _require_on_grid(self, values, numbers, where)
        x = np.asarray(self._coordinates(level))
        outside = (values < self.low) | (values > self.high)
        return x, _given(np.where(outside, values, numbers), self.read(x))

    def restore(self, column: Sequence[Any] | Column, where: str) -> tuple[Coordinates, Coordinates | None]:
        values = _finite(self, _reals(column, where), where)
        x = np.asarray(self._coordinates(self._nearest(values)))
        return x, _given(values, self.read(x))

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        return _off_grid(self, given, self._number(self._nearest(given)))

    def _nearest(self, values: Coordinates) -> Coordinates:
        return np.clip(np.rint((values - self.low) / self.step), 0.0, float(self.levels - 1))

    def read(self, x: Coordinates) -> Coordinates:
        return self._number(self._level(x))

    def draw(self, u: Coordinates) -> Coordinates:
        return np.asarray(self._coordinates(self._level(u)))

    def every(self) -> Coordinates:
        return np.asarray(self._coordinates(np.arange(self.levels, dtype=np.float64)))


class _Table(Encoding):
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

    def encode(
        self,
        column: Sequence[Any] | Column,
        where: str,
        *,
        beyond: bool = False,  # noqa: ARG002 - what is listed has no range
    ) -> tuple[Coordinates, Coordinates | None]:
        known = self._coordinate
        items = column.tolist() if isinstance(column, np.ndarray) else column
        try:
            return np.array([known[item] for item in items], dtype=np.float64), None
        except Exception:  # it is none of them, cannot be hashed, or its own methods raise
            return np.array([self._search(item, where) for item in items], dtype=np.float64), None

    def encode_one(self, value: Any, where: str, *, beyond: bool = False) -> tuple[float, float]:  # noqa: ARG002
        return self._search(value, where), math.nan

    def _search(self, item: Any, where: str) -> float:
        try:
            return self._coordinate[item]
        except Exception:  # it is none of them, cannot be hashed, or its own methods raise
            hint = did_you_mean(item, self._coordinate) if isinstance(item, str) else ""
            raise _rejection(item, self.allowed(), where, hint) from None

    def allowed(self) -> str:
        values = list(self._coordinate)
        if len(values) <= 12:
            return f"one of {some(values)}"
        return f"one of {some(values[:6])}, ... {shown(values[-1])}"

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
    """A numeric grid small enough for a table; of one level if low is high."""

    def __init__(self, declaration: Float | Int) -> None:
        self.low, self.high = declaration.low, declaration.high
        self.step = float(declaration.step or 0.0)
        self.integer = isinstance(declaration, Int)
        values = _grid_values(declaration)
        edges = None
        if declaration.log and self.integer:
            logs = np.log(np.arange(self.low - 0.5, self.high + 1.0))
            edges = (logs - logs[0]) / (logs[-1] - logs[0])
        super().__init__(Kind.DISCRETE, values, numeric=True, edges=edges)

    def encode(
        self, column: Sequence[Any] | Column, where: str, *, beyond: bool = False
    ) -> tuple[Coordinates, Coordinates | None]:
        values = _within(self, _whole(self, column, where), where, beyond=beyond)
        level = self._nearest(values)
        _require_on_grid(self, values, self.numbers[level], where)
        outside = (values < self.low) | (values > self.high)
        given = np.where(outside, values, np.nan) if outside.any() else None
        return np.take(self._coordinates, level), given

    def restore(self, column: Sequence[Any] | Column, where: str) -> tuple[Coordinates, Coordinates | None]:
        values = _finite(self, _reals(column, where), where)
        level = self._nearest(values)
        return np.take(self._coordinates, level), _given(values, self.numbers[level])

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        missing = np.isnan(given)
        return _off_grid(self, given, self.numbers[self._nearest(np.where(missing, self.low, given))])

    def _nearest(self, values: Coordinates) -> NDArray[np.intp]:
        if self.levels == 1:
            return np.zeros(len(values), np.intp)
        steps = np.rint((values - self.low) / self.step)
        return np.clip(steps, 0, self.levels - 1).astype(np.intp)

    def encode_one(self, value: Any, where: str, *, beyond: bool = False) -> tuple[float, float]:
        known = self._coordinate.get(value) if type(value) in {int, float} else None
        return Encoding.encode_one(self, value, where, beyond=beyond) if known is None else (known, math.nan)


def _grid_values(declaration: Float | Int) -> list[Any]:
    low, high, step = declaration.low, declaration.high, declaration.step
    if low == high:
        return [low]
    levels = round((high - low) / (step or 1)) + 1
    if isinstance(declaration, Int):
        return [declaration.low + declaration.step * k for k in range(levels)]
    # decimal steps are meant as written: 0.1 + 0.2 is 0.3 here
    from decimal import Decimal

    start, width = Decimal(repr(low)), Decimal(repr(step))
    return [*(float(start + width * k) for k in range(levels - 1)), high]


def _decimal_scale(low: float, high: float, step: float) -> float:
    """Power of ten that makes integers of all levels, 1 if float64 is too short for them.

    The quotient of two exact integers is the float nearest to the decimal number.
    """
    from decimal import Decimal

    digits = max(0, *(-int(Decimal(repr(each)).as_tuple().exponent) for each in (low, step)))
    scale = 10**digits
    return float(scale) if scale <= MAX_SCALE and max(abs(low), abs(high)) * scale < MAX_EXACT else 1.0


class _Levels(dict[float, Any]):
    """Value by coordinate; a coordinate off the cell centres is looked up by its cell."""

    __slots__ = ("_encoding",)

    def __init__(self, encoding: _Table, coordinates: dict[Any, float]) -> None:
        super().__init__((x, value) for value, x in coordinates.items())
        self._encoding = encoding

    def __missing__(self, x: float) -> Any:
        return self._encoding.decode(np.array([x])).tolist()[0]


def make_encoding(declaration: Parameter) -> Encoding:
    """Return the encoding of a checked declaration."""
    match declaration:
        case Ordinal(values=values):
            return _Table(Kind.DISCRETE, values, numeric=all(map(_is_number, values)))
        case Categorical(choices=choices):
            return _Table(Kind.CATEGORICAL, tuple(choices), numeric=False)
    low, high, step, log = declaration.low, declaration.high, declaration.step, declaration.log
    if low == high or (step is not None and round((high - low) / step) < MAX_TABLE_LEVELS):
        return _Grid(declaration)
    if step is None:
        return _Continuous(low, high, log=log)
    return _Stepped(low, high, step, log=log, integer=isinstance(declaration, Int))


def _affine(low: float, high: float, span: float) -> Callable[[float], float]:
    def value(x: float) -> float:
        y = low + span * x
        return low if y < low else high if y > high or x >= 1.0 else y

    return value


def _exponential(low: float, high: float, span: float, exp: Any = np.exp) -> Callable[[float], float]:
    # numpy's exp and not math's: they differ in the last bit, and a column must equal its scalars
    def value(x: float) -> float:
        y = low * float(exp(span * x))
        return low if y < low else high if y > high or x >= 1.0 else y

    return value


def _wide_exponential(
    offset: float, low: float, high: float, span: float, exp: Any = np.exp
) -> Callable[[float], float]:
    def value(x: float) -> float:
        y = float(exp(offset + span * x))
        return low if y < low or x <= 0.0 else high if y > high or x >= 1.0 else y

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
        raise SpaceError(f"{where} must be a number, got {shown(column)}") from error
    if array.dtype.kind not in "iuf":
        for item in column:
            if isinstance(item, bool | np.bool_) or not isinstance(item, Real):
                raise SpaceError(f"{where} must be a number, got {shown(item)}")
    came = column[0] if len(column) == 1 else column
    if array.ndim != 1:
        raise SpaceError(f"{where} must be a number, got {shown(came)}")
    try:
        return array.astype(np.float64)
    except Exception as error:  # an int beyond all floats, or the values' own methods
        raise SpaceError(f"{where} must be a number of the range, got {shown(came)}") from error


def _whole(encoding: Encoding, column: Sequence[Any] | Column, where: str) -> Coordinates:
    """Return numbers of a grid; an int that no float64 holds is refused before it becomes another."""
    values = _reals(column, where)
    if encoding.integer and (large := np.abs(values) >= MAX_EXACT).any():
        for j in np.flatnonzero(large).tolist():
            if abs(column[j]) > MAX_EXACT:
                raise _rejection(column[j], _allowed_range(encoding), where)
    return values


def _within(encoding: Encoding, values: Coordinates, where: str, *, beyond: bool) -> Coordinates:
    """Values in a encoding's range; a value beside a bound only by rounding becomes that bound.

    With ``beyond`` any finite number is good, and comes back as it is.
    """
    low, high = encoding.low, encoding.high
    outside = ~((values >= low) & (values <= high))
    if not outside.any():
        return values
    bound = np.clip(values, low, high)
    slack = ROUNDING * np.abs(bound)
    if not encoding.log:  # there a difference of the size of the range cannot have come from rounding
        slack = slack + 4.0 * np.finfo(float).eps * max(abs(low), abs(high))
    if encoding.step:
        slack = np.minimum(slack, MAX_SLACK * encoding.step)
    near = np.abs(bound - values) <= slack
    wrong = outside & ~(near | (_recordable(encoding, values) if beyond else False))
    if wrong.any():
        raise _rejection(values[wrong][0], _allowed_range(encoding), where)
    return np.where(near, bound, values)


def _finite(encoding: Encoding, values: Coordinates, where: str) -> Coordinates:
    """Return values that may have been recorded, as they are."""
    wrong = ~_recordable(encoding, values)
    if wrong.any():
        raise _rejection(values[wrong][0], _allowed_range(encoding), where)
    return values


def _recordable(encoding: Encoding, values: Coordinates) -> NDArray[np.bool_]:
    """Mask of values that an added result may have, inside the range or not."""
    good = np.isfinite(values)
    if encoding.integer:
        good &= (values == np.rint(values)) & (np.abs(values) <= MAX_EXACT)
    return good


def _require_on_grid(encoding: Encoding, values: Coordinates, numbers: Coordinates, where: str) -> None:
    """Raise if a value inside the range is not its level's number, but for rounding."""
    wrong = _off_grid(encoding, values, numbers) & (values >= encoding.low) & (values <= encoding.high)
    if wrong.any():
        raise _rejection(values[wrong][0], _allowed_range(encoding), where)


def _off_grid(encoding: Encoding, values: Coordinates, numbers: Coordinates) -> NDArray[np.bool_]:
    """Mask of values that, apart from rounding, are not the numbers of their levels; False for NaN."""
    slack = np.full(len(values), STEP_TOLERANCE * encoding.step)
    if not encoding.integer:
        slack = np.maximum(slack, np.minimum(ROUNDING * np.abs(values), MAX_SLACK * encoding.step))
    return np.abs(numbers - values) > slack


def _allowed_range(encoding: Encoding) -> str:
    if isinstance(encoding, _Table):
        return encoding.allowed()
    if encoding.step:
        return f"one of {encoding.low!r}, {encoding.low + encoding.step!r}, ... {encoding.high!r}"
    return f"a number from {encoding.low!r} to {encoding.high!r}"


def _given(values: Coordinates, decoded: Coordinates) -> Coordinates | None:
    """Return the values that their coordinates do not give back, NaN elsewhere; None if there are none."""
    differ = values != decoded
    return np.where(differ, values, np.nan) if differ.any() else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= MAX_EXACT


def _rejection(value: Any, allowed: str, where: str, hint: str = "") -> SpaceError:
    plain = value.item() if isinstance(value, np.generic) else value
    return SpaceError(f"{where} must be {allowed}, got {shown(plain)}{hint}")
