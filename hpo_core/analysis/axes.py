"""Parameters and values along the axes of pictures: where trials are, ranges, scales and ticks.

Glossary
--------
position    where a trial is along an axis, (n,): the value of a number; of a choice or a level of an
            ``Ordinal`` its place in the list, from 0. NaN where the parameter is inactive
share       a position as a share of the range, on the axis' own scale: 0 at its low end, 1 at its high end
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.checks import some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.printable import printable
from hpo_core.space import Categorical, Int, Ordinal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.space import Space

    Vector = NDArray[np.float64]

WIDE = 20.0  # largest / smallest positive value from which a logarithmic axis reads better
MOST_TICKS = 12  # names along an axis
_NUMBERS = 6  # steps between ticks along an axis of numbers, at most
# Steps by these fractions spread points evenly over an interval, and together over a square, however many
# there are: powers of the root of x^3 + x^2 = 1.
_ACROSS, _UP = 0.7548776662466927, 0.5698402909980532


class Axis(NamedTuple):
    """One parameter or metric along an axis.

    Attributes
    ----------
    name : str
    position : (n,) float64
        See the glossary of the module.
    low, high : float
        Ends of the range: of the space, or of the trials where some are outside. Half a place beyond the
        first and the last of ``labels``.
    log : bool
    labels : tuple of str or None
        Names of the places 0, 1, ...; None for numbers.
    ordered : bool
        Whether neighbours along the axis are alike: not the choices of a ``Categorical``.
    whole : bool
        Whether positions are whole numbers.
    """

    name: str
    position: Vector
    low: float
    high: float
    log: bool
    labels: tuple[str, ...] | None = None
    ordered: bool = True
    whole: bool = False

    @property
    def is_listed(self) -> bool:
        """Whether the positions are so few that trials lie on top of each other unless they are spread."""
        return self.labels is not None or (self.whole and not self.log and self.high - self.low < MOST_TICKS)

    @property
    def share(self) -> Vector:
        """(n,) shares of the range, 0.5 where it is one point; NaN where inactive."""
        return share(self.position, self)

    def ticks(self) -> tuple[Vector, list[str]]:
        """Return positions of ticks, at most 12, and their labels."""
        if self.labels is not None:
            shown = range(0, len(self.labels), -(-len(self.labels) // MOST_TICKS))
            return np.array(shown, np.float64), [self.labels[k] for k in shown]
        at = _log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)
        if self.whole:
            at = np.unique(np.rint(at))
            at = at[(at >= self.low) & (at <= self.high)]
        return at, [f"{value:g}".replace("e-0", "e-").replace("e+0", "e") for value in at.tolist()]


def check_parameter(argument: str, name: object, space: Space) -> str:
    """Return the name of a parameter, constants excluded.

    Raises
    ------
    ArgumentError
        The space has no such parameter.
    """
    if not isinstance(name, str) or name not in space.names:
        hint = did_you_mean(name, space.names) if isinstance(name, str) else ""
        raise ArgumentError(f"{argument} must be one of {some(space.names)}, got {name!r}{hint}")
    return name


def parameter_axis(space: Space, history: History, name: str, rows: NDArray[np.int64]) -> Axis:
    """Return the axis of a parameter, with the positions of the trials ``rows``."""
    declared, x, given = space.parameters[name], *history.configurations(rows)
    active = space.codec.active(name, x, given)
    if isinstance(declared, Categorical | Ordinal):
        ordered = isinstance(declared, Ordinal)
        listed = [*(declared.values if isinstance(declared, Ordinal) else declared.choices)]
        position = np.where(active, _places(space, name, x[space.names.index(name)]), np.nan)
        return Axis(name, position, -0.5, len(listed) - 0.5, False, _labels(listed), ordered)
    position = np.where(active, space.codec.column(name, x, given).astype(np.float64), np.nan)
    log = bool(declared.log)
    inside = position[~(position <= 0.0)] if log else position
    low, high = (float(f((end, *_ends(inside)))) for f, end in ((min, declared.low), (max, declared.high)))
    return Axis(name, position, low, high, log, whole=isinstance(declared, Int))


def value_axis(name: str, value: Vector) -> Axis:
    """Return the axis of a metric, whose range is that of finite values; logarithmic if that reads better."""
    finite = value[np.isfinite(value)]
    low, high = _ends(finite) or (0.0, 1.0)
    return Axis(name, value, low, high, log=reads_better_log(finite))


def reads_better_log(values: Vector) -> bool:
    """Whether all values are positive and span more than a factor of 20."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    return bool(low > 0.0 and high > WIDE * low)


@np.errstate(all="ignore")  # positions <= 0 have no place on a logarithmic axis
def share(position: Vector, axis: Axis) -> Vector:
    """Return positions as shares of an axis."""
    low, high = axis.low, axis.high
    if axis.log:
        position, low, high = np.log(position), math.log(low), math.log(high)
    half = 0.5 * high - 0.5 * low  # the whole may overflow
    if not half > 0.0:
        return np.where(np.isnan(position), np.nan, 0.5)
    found: Vector = (0.5 * position - 0.5 * low) / half
    return np.where(np.isfinite(found), found, np.nan)


def sideways(number: NDArray[np.int64], *, up: bool = False) -> Vector:
    """Return offsets in [-0.25, 0.25) that keep trials of the same choice apart, from their numbers.

    With ``up`` they are those of the other one of two axes.
    """
    offset: Vector = 0.5 * (number.astype(np.float64) * (_UP if up else _ACROSS) % 1.0 - 0.5)
    return offset


def _ends(values: Vector) -> tuple[float, ...]:
    """Return the least and the greatest value, NaN aside; nothing if there is none."""
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else ()


def _places(space: Space, name: str, x: Vector) -> Vector:
    """Return places in the list of choices or levels from coordinates (n,)."""
    row, layout = space.names.index(name), space.layout
    if isinstance(space.parameters[name], Categorical):
        return x
    centers = layout.centers[layout.table_start[row] : layout.table_start[row + 1]]
    between = 0.5 * (centers[1:] + centers[:-1])
    return np.searchsorted(between, x).astype(np.float64)


def _labels(listed: Sequence[Any]) -> tuple[str, ...]:
    """Return choices as text; as in Python where two would look alike, such as 1 and "1"."""
    labels = tuple(printable(str(each)) for each in listed)
    return labels if len({*labels}) == len(labels) else tuple(printable(repr(each)) for each in listed)


def linear_ticks(low: float, high: float) -> Vector:
    """Return multiples of 1, 2 or 5 times a power of ten within a range, at most seven."""
    span = high - low
    if not 0.0 < span < math.inf:
        return np.unique([low, high])
    step = 10.0 ** math.floor(math.log10(span / _NUMBERS))
    if not 0.0 < step < math.inf:  # a range of subnormal numbers
        return np.array([low, high])
    step = next(step * k for k in (1.0, 2.0, 5.0, 10.0) if span / (step * k) <= _NUMBERS)
    ticks: Vector = step * np.arange(math.ceil(low / step), math.floor(high / step) + 1, dtype=np.float64)
    return ticks if len(ticks) > 1 else np.array([low, high])


def _log_ticks(low: float, high: float) -> Vector:
    """Return powers of ten within a range, some of them if they are many; between them if they are few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = np.arange(first, last + 1, max(1, -(-(last - first) // _NUMBERS)))
    if len(powers) > 1:
        return np.array([float(f"1e{power}") for power in powers.tolist()])
    ticks: Vector = np.outer([float(f"1e{k}") for k in (first - 1, first)], [1.0, 2.0, 5.0]).ravel()
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    return ticks if len(ticks) > 1 else np.unique([low, high])
