"""Declarations of parameters: ``Float``, ``Int``, ``Ordinal``, ``Categorical``.

Declarations are plain records. They are checked when a ``Space`` is built, because only the space
knows the parameter's name, and every message should name it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from hpo_core.checks import MAX_DEPTH, as_int, check_flag, check_number, shown
from hpo_core.errors import SpaceError
from hpo_core.hints import hinting_class
from hpo_core.layout import MAX_TABLE_LEVELS
from hpo_core.printable import displayed
from hpo_core.space.expressions import Expression, is_condition, value_key

# Larger integers are not exact in float64; in a logarithmic grid cells have a relative width of 1 / value.
MAX_GRID = 2**53
MAX_LOG_GRID = 2**40

# A range fits its step when (high - low) / step is an integer to within what decimal fractions such
# as (0.3 - 0.1) / 0.1 lose in binary.
STEP_TOLERANCE = 1e-9

_HALVES = re.compile("[\ud800-\udbff](?=[\udc00-\udfff])")


class _Declaration:
    """Repr shared by the four kinds: defaults are left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            return self._text()
        except RecursionError:  # nested deeper than any space may be
            return f"{type(self).__name__}(...)"

    def _text(self) -> str:
        parts = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.kw_only:
                parts.append(repr(list(value) if isinstance(value, tuple) else value))
            elif value is not field.default:
                parts.append(f"{field.name}={value!r}")
        return displayed(f"{type(self).__name__}({', '.join(parts)})")


@hinting_class
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Float(_Declaration):
    """A real number in [low, high].

    Parameters
    ----------
    low, high : float
        Bounds, both included; finite, with low <= high. A range may hold one value, to be widened later.
    log : bool, default False
        Search on a logarithmic scale; needs low > 0.
    step : float, optional
        Allow only low, low + step, ... high; (high - low) must be a multiple of it. Not with ``log``.
    when : Expression, optional
        The parameter exists only if this condition is true, as in ``param("depth") >= 4``.
    doc : str, default ""
        A line of documentation, shown with the space.

    Examples
    --------
    >>> Float(1e-5, 1e-1, log=True)
    Float(1e-05, 0.1, log=True)
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None
    when: Expression | None = None
    doc: str = ""

    def checked(self, where: str) -> Float:
        """Return the declaration with plain Python values, or raise ``SpaceError`` saying ``where``."""
        low, high = (_real(getattr(self, end), f"{where}: {end}") for end in ("low", "high"))
        _check_options(self, where)
        _check_range(low, high, where, log=self.log)
        if self.step is None:
            return replace(self, low=low, high=high)
        step = _real(self.step, f"{where}: step")
        if self.log:
            raise SpaceError(f"{where}: step must be left out with log=True, got {step!r}")
        _check_step(low, high, step, where)
        return replace(self, low=low, high=high, step=step)


@hinting_class
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Int(_Declaration):
    """An integer in [low, high].

    Parameters
    ----------
    low, high : int
        Bounds, both included; low <= high, both within 2**53 steps of 0.
    log : bool, default False
        Search on a logarithmic scale; needs low >= 1 and high <= 2**40.
    step : int, default 1
        Allow only low, low + step, ... high; (high - low) must be a multiple of it. Must be 1 with ``log``.
    when, doc
        As for :class:`Float`.

    Examples
    --------
    >>> Int(8, 256, log=True)
    Int(8, 256, log=True)
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int = 1
    when: Expression | None = None
    doc: str = ""

    def checked(self, where: str) -> Int:
        """Return the declaration with plain Python values, or raise ``SpaceError`` saying ``where``."""
        low, high, step = (
            _integer(getattr(self, name), f"{where}: {name}") for name in ("low", "high", "step")
        )
        _check_options(self, where)
        _check_range(low, high, where, log=self.log)
        if self.log and step != 1:
            raise SpaceError(f"{where}: step must be left out with log=True, got {step}")
        if self.log and high > MAX_LOG_GRID:
            raise SpaceError(f"{where}: high must be at most 2**40 with log=True, got {high}")
        _check_step(low, high, step, where)
        return replace(self, low=low, high=high, step=step)


@hinting_class
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Ordinal(_Declaration):
    """One of a few values in a given order.

    In conditions, numbers compare as numbers, and other values by their place in ``values``.

    Parameters
    ----------
    values : sequence
        1 to 1,024 distinct hashable values.
    when, doc
        As for :class:`Float`.

    Examples
    --------
    >>> Ordinal([16, 32, 64, 128])
    Ordinal([16, 32, 64, 128])
    """

    values: Sequence[Any]
    _: KW_ONLY
    when: Expression | None = None
    doc: str = ""

    def checked(self, where: str) -> Ordinal:
        """Return the declaration with plain Python values, or raise ``SpaceError`` saying ``where``."""
        values = _distinct(self.values, f"{where}: values")
        if len(values) > MAX_TABLE_LEVELS:
            raise SpaceError(
                f"{where}: values must be at most {MAX_TABLE_LEVELS}, got {len(values)}; "
                "use Int or Float, with step= if you need a grid"
            )
        _check_options(self, where)
        return replace(self, values=values)


@hinting_class
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Categorical(_Declaration):
    """One of several unordered choices; a choice may own parameters.

    Parameters
    ----------
    choices : sequence, or mapping of choice to sub-space
        At least one, distinct and hashable. A sub-space is a mapping of names to parameters, or None; its
        parameters exist only if the choice is taken.
    when, doc
        As for :class:`Float`.

    Examples
    --------
    >>> Categorical({"sgd": {"momentum": Float(0.0, 0.99)}, "adam": {}})
    Categorical({'sgd': {'momentum': Float(0.0, 0.99)}, 'adam': {}})
    """

    choices: Sequence[Any] | Mapping[Any, Any]
    _: KW_ONLY
    when: Expression | None = None
    doc: str = ""

    def checked(self, where: str) -> Categorical:
        """Return the declaration with plain Python values, or raise ``SpaceError`` saying ``where``."""
        listed = list(self.choices) if isinstance(self.choices, Mapping) else self.choices
        choices = _distinct(listed, f"{where}: choices")
        _check_options(self, where)
        if not isinstance(self.choices, Mapping):
            return replace(self, choices=choices)
        subspaces = {}
        for choice, subspace in zip(choices, self.choices.values(), strict=True):
            if not isinstance(subspace, Mapping | None):
                raise SpaceError(
                    f"{where}: the sub-space of choice {shown(choice)} must be a mapping of names to "
                    f"parameters, {{}} if it has none; got {shown(subspace)}"
                )
            subspaces[choice] = dict(subspace or {})
        return replace(self, choices=subspaces)

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, because pickle and deepcopy recurse.
        return _rebuild, (_flattened(self),)


class _Child(NamedTuple):
    """Place of a Categorical among those that ``_flattened`` lists."""

    place: int


def _flattened(root: Categorical) -> list[tuple[Any, ...]]:
    """Describe a Categorical and all that its sub-spaces hold, each after what holds it."""
    listed, owners = [root], [-1]

    def place(declaration: Any, owner: int) -> Any:
        if type(declaration) is not Categorical:
            return declaration
        above = owner
        while above >= 0:
            if listed[above] is declaration:
                raise SpaceError("a sub-space contains itself")
            above = owners[above]
        listed.append(declaration)
        owners.append(owner)
        return _Child(len(listed) - 1)

    flat = []
    for index, each in enumerate(listed):  # it grows
        choices, subspaces = each.choices, None
        if isinstance(choices, Mapping):
            subspaces = [
                {name: place(item, index) for name, item in subspace.items()}
                if isinstance(subspace, Mapping)
                else subspace
                for subspace in choices.values()
            ]
            choices = list(choices)
        flat.append((choices, subspaces, each.when, each.doc))
    return flat


def _rebuild(flat: Sequence[tuple[Any, ...]]) -> Categorical:
    made: list[Any] = [None] * len(flat)
    for index, (listed, subspaces, when, doc) in reversed(list(enumerate(flat))):
        choices = listed
        if subspaces is not None:
            owned = [
                {name: made[item.place] if type(item) is _Child else item for name, item in subspace.items()}
                if isinstance(subspace, Mapping)
                else subspace
                for subspace in subspaces
            ]
            choices = dict(zip(listed, owned, strict=True))
        made[index] = Categorical(choices, when=when, doc=doc)
    root: Categorical = made[0]
    return root


Parameter: TypeAlias = Float | Int | Ordinal | Categorical


def domain_key(declaration: Any) -> tuple[Any, ...]:
    """Everything that says which values a declaration takes, and nothing else: not ``when`` or ``doc``."""
    match declaration:
        case Float() | Int():
            return (
                type(declaration),
                declaration.low,
                declaration.high,
                declaration.log,
                declaration.step,
            )
        case Ordinal():
            return (Ordinal, *map(value_key, declaration.values))
        case Categorical():
            choices = declaration.choices
            subspaces = choices.values() if isinstance(choices, Mapping) else [{}] * len(choices)
            keys: list[Any] = [Categorical]
            for choice, subspace in zip(choices, subspaces, strict=True):
                keys.append((value_key(choice), space_key(subspace)))
            return tuple(keys)
    return type(declaration), value_key(declaration)


def space_key(declarations: Mapping[str, Any]) -> tuple[Any, ...]:
    """Structure of a mapping of declarations: equal keys, same space."""
    key = []
    for name, declaration in declarations.items():
        when = getattr(declaration, "when", None)
        key.append((name, domain_key(declaration), None if when is None else when.key))
    return tuple(key)


def _real(value: Any, what: str) -> float:
    return float(check_number(what, value, "a finite number", math.isfinite, error=SpaceError))


def _integer(value: Any, what: str) -> int:
    number = as_int(value)
    if number is None:
        raise SpaceError(f"{what} must be an int, got {shown(value)}")
    _real(number, what)
    return number


def _check_options(declaration: Parameter, where: str) -> None:
    when, doc = declaration.when, declaration.doc
    if when is not None and not is_condition(when):
        raise SpaceError(f"{where}: when must be a condition such as param('a') > 1, got {shown(when)}")
    if not isinstance(doc, str):
        raise SpaceError(f"{where}: doc must be a str, got {shown(doc)}")
    check_flag(f"{where}: log", getattr(declaration, "log", False), error=SpaceError)


def _check_range(low: float, high: float, where: str, *, log: bool) -> None:
    if not low <= high:
        raise SpaceError(f"{where}: low must be <= high, got low={low!r}, high={high!r}")
    if log and low <= 0:
        raise SpaceError(f"{where}: low must be > 0 with log=True, got {low!r}")
    if not math.isfinite(float(high) - float(low)):  # the difference of two ints may be none of a float
        raise SpaceError(f"{where}: high - low must be a finite float, got low={low!r}, high={high!r}")


def _check_step(low: float, high: float, step: float, where: str) -> None:
    if step <= 0:
        raise SpaceError(f"{where}: step must be > 0, got {step!r}")
    if max(abs(low), abs(high)) > MAX_GRID * step:  # a quotient would round an int
        raise SpaceError(
            f"{where}: bounds must be within 2**53 steps of 0, got low={low!r}, high={high!r}, step={step!r}"
        )
    steps = (high - low) / step
    if abs(steps - round(steps)) > STEP_TOLERANCE * max(1.0, steps):
        fitting = low + step * max(1, round(steps))
        raise SpaceError(
            f"{where}: step must divide the range from {low!r} to {high!r}, got {step!r}; "
            f"the nearest high that fits is {fitting:.15g}"
        )


def _distinct(values: Any, what: str) -> tuple[Any, ...]:
    """Distinct hashable values as a tuple, numpy scalars turned into Python's."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise SpaceError(f"{what} must be a list or tuple, got {shown(values)}")
    if not values:
        raise SpaceError(f"{what} must hold at least one value, got none")
    seen: dict[Any, Any] = {}
    for value in (plain(value, what) for value in values):
        try:
            twin = seen.get(value, seen)
        except TypeError:
            raise SpaceError(
                f"{what} must be hashable, got {shown(value)}; use a tuple instead of a list"
            ) from None
        except Exception as error:  # its own __hash__ or __eq__
            raise SpaceError(f"{what} must be hashable and comparable, got {shown(value)}") from error
        if twin is not seen:
            equal = "twice" if type(twin) is type(value) else f"and {shown(twin)}, which are equal in Python"
            raise SpaceError(f"{what} must be distinct, got {shown(value)} {equal}")
        seen[value] = value
    return tuple(seen)


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """A value with numpy's scalars and the members of a str or int Enum turned into Python's.

    It is refused if it is not equal to itself.
    """
    if type(value) is tuple:
        if depth == MAX_DEPTH:
            raise SpaceError(f"{what} must be nested at most {MAX_DEPTH} deep")
        return tuple([plain(item, what, depth + 1) for item in value])
    if isinstance(value, Expression) or (isinstance(value, float) and math.isnan(value)):
        raise SpaceError(f"{what} must equal themselves, got {shown(value)}")
    return _as_python(value)


def plain_constant(value: Any, what: str) -> Any:
    """A constant as ``plain`` has it, its lists copied; refused if a parameter is hidden in it."""
    if isinstance(value, type) and issubclass(value, _Declaration):
        raise SpaceError(
            f"{what} must be a plain value, got the class {value.__name__}; call it, as in Float(0.0, 1.0)"
        )
    if isinstance(value, _Declaration):
        raise SpaceError(
            f"{what} must be a plain value without parameters in it, got {shown(value)} inside it; give "
            "every parameter its own name"
        )
    if isinstance(value, Mapping):
        raise SpaceError(f"{what} must be a plain value, got a mapping; sub-spaces belong to a choice")
    if isinstance(value, Expression):
        raise SpaceError(f"{what} must be a plain value, got the expression {shown(value)}")
    if type(value) in (list, tuple, set, frozenset):
        return type(value)([plain_constant(each, what) for each in value])
    return _as_python(value)


def _as_python(value: Any) -> Any:
    if isinstance(value, np.bool_ | np.integer | np.floating | np.str_):
        return value.item()
    return value.value if isinstance(value, Enum) and isinstance(value, str | int) else value


def check_depth(value: Any, what: str) -> None:
    """Raise if lists and tuples are nested deeper than can be written, or hold themselves."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for each in level if type(each) in (list, tuple) for item in each]
        if not level:
            return
    raise SpaceError(f"{what} must be nested at most {MAX_DEPTH} deep")


def pieces(text: str) -> list[str]:
    """Split text where JSON would join two halves of a surrogate pair to one character."""
    if text.isascii():
        return [text]
    cuts = [match.end() for match in _HALVES.finditer(text)]
    return [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]
