"""Expressions over parameters: what ``when=`` and ``forbid=`` are written in.

An expression is a tree of operators over parameter names and plain values. It is only a
description: ``program.py`` compiles it against a space and evaluates it over whole columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from hpo_core.errors import SpaceError
from hpo_core.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
ARITHMETIC = frozenset({"+", "-", "*", "/", "neg"})

# Binding strength as in Python's grammar, where & and | bind tighter than comparisons.
_STRENGTH = {"|": 1, "&": 2, "+": 3, "-": 3, "*": 4, "/": 4, "neg": 5, "~": 5, "isin": 6, "param": 6}


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expression:
    """A condition or a number computed from parameters; build one with :func:`param`.

    Comparisons (``< <= > >= == !=`` and :meth:`isin`) combine with ``&``, ``|`` and ``~``; numbers
    with ``+ - * /``. A comparison with an inactive parameter is unknown, and logic over unknowns is
    three-valued: ``unknown & false`` is false, ``unknown | true`` is true.

    Examples
    --------
    >>> (param("depth") >= 4) & ~param("optimizer").isin(["sgd", "adam"])
    (param('depth') >= 4) & ~param('optimizer').isin(['sgd', 'adam'])
    """

    op: str
    args: tuple[Any, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of the parameters it reads."""
        if self.op == "param":
            return frozenset(self.args)
        children = (arg.names for arg in self.args if isinstance(arg, Expression))
        return frozenset().union(*children)

    @property
    def key(self) -> tuple[Any, ...]:
        """Structure as a nested tuple: equal keys, same expression."""
        return (self.op, *(arg.key if isinstance(arg, Expression) else (type(arg), arg) for arg in self.args))

    def isin(self, values: Iterable[Any]) -> Expression:
        """Whether the parameter equals one of ``values``, at least one of them.

        Raises
        ------
        SpaceError
            ``values`` is empty or no list.
        """
        _require_value(self, "isin")
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise SpaceError(f"isin() takes a list of values, got {values!r}")
        listed = tuple(values)
        if not listed:
            raise SpaceError(f"{self!r}.isin() needs at least one value, got none")
        return Expression("isin", (self, *listed))

    def __lt__(self, other: Any) -> Expression:
        return _compare("<", self, other)

    def __le__(self, other: Any) -> Expression:
        return _compare("<=", self, other)

    def __gt__(self, other: Any) -> Expression:
        return _compare(">", self, other)

    def __ge__(self, other: Any) -> Expression:
        return _compare(">=", self, other)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return _compare("==", self, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return _compare("!=", self, other)

    def __hash__(self) -> int:
        return id(self)

    def __add__(self, other: Any) -> Expression:
        return _calculate("+", self, other)

    def __radd__(self, other: Any) -> Expression:
        return _calculate("+", other, self)

    def __sub__(self, other: Any) -> Expression:
        return _calculate("-", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return _calculate("-", other, self)

    def __mul__(self, other: Any) -> Expression:
        return _calculate("*", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return _calculate("*", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return _calculate("/", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return _calculate("/", other, self)

    def __neg__(self) -> Expression:
        return _calculate("neg", self)

    def __and__(self, other: Any) -> Expression:
        return _combine("&", self, other)

    def __rand__(self, other: Any) -> Expression:
        return _combine("&", other, self)

    def __or__(self, other: Any) -> Expression:
        return _combine("|", self, other)

    def __ror__(self, other: Any) -> Expression:
        return _combine("|", other, self)

    def __invert__(self) -> Expression:
        return Expression("~", (_require_condition(self, "~"),))

    def __bool__(self) -> bool:
        raise SpaceError(
            f"{self!r} is an expression and has no truth value: write & | ~ with parentheses instead of "
            "and/or/not, (1 <= a) & (a <= 3) instead of 1 <= a <= 3, and .isin([...]) instead of in"
        )

    def __str__(self) -> str:
        return shown(_show(self, str))

    def __repr__(self) -> str:
        return shown(_show(self, "param({!r})".format))


def param(name: str) -> Expression:
    """Refer to the parameter called ``name`` in a condition.

    Raises
    ------
    SpaceError
        ``name`` is no string, or empty. A name that the space lacks is an error of the space.

    Examples
    --------
    >>> param("batch_size") * param("depth") > 256
    param('batch_size') * param('depth') > 256
    """
    if not name or not isinstance(name, str):
        raise SpaceError(f"param() takes the name of a parameter, got {name!r}")
    return Expression("param", (name,))


def is_condition(arg: Any) -> TypeGuard[Expression]:
    """Whether ``arg`` may be used as a truth value; a bare parameter may, if its choices are bools."""
    return isinstance(arg, Expression) and arg.op not in ARITHMETIC


def build(op: str, args: tuple[Any, ...]) -> Expression:
    """Expression from an operator and its arguments, checked as if it had been written in Python."""
    match op, args:
        case "param", (name,):
            return param(name)
        case "isin", (Expression() as value, *choices):
            return value.isin(choices)
        case "~", (condition,):
            return ~_require_condition(condition, op)
        case (("&" | "|"), (_, _, *_)):
            return _combine(op, *args)
        case "neg", (_,):
            return _calculate(op, *args)
        case (("+" | "-" | "*" | "/"), (_, _)):
            return _calculate(op, *args)
        case _, (left, right) if op in COMPARISONS:
            return _compare(op, left, right)
    raise SpaceError(f"no expression {op!r} of {len(args)} arguments")


def _require_condition(arg: Any, op: str) -> Expression:
    if is_condition(arg):
        return arg
    raise SpaceError(f"{op} takes conditions such as param('a') > 1, got {arg!r}; mind the parentheses")


def _require_value(arg: Any, op: str) -> Any:
    if isinstance(arg, Expression) and arg.op not in ARITHMETIC | {"param"}:
        raise SpaceError(f"{op} takes parameters and numbers, got the condition {arg!r}")
    return arg


def _compare(op: str, left: Any, right: Any) -> Expression:
    return Expression(op, (_require_value(left, op), _require_value(right, op)))


def _calculate(op: str, *args: Any) -> Expression:
    return Expression(op, tuple(_require_value(arg, op) for arg in args))


def _combine(op: str, *args: Any) -> Expression:
    flat: list[Expression] = []  # a & b & c is one node, so that long chains do not nest
    for arg in args:
        condition = _require_condition(arg, op)
        flat.extend(condition.args if condition.op == op else (condition,))
    return Expression(op, tuple(flat))


def _show(expression: Expression, name: Callable[[str], str]) -> str:
    op, args = expression.op, expression.args
    strength = _STRENGTH.get(op, 0)

    def show(arg: Any, least: int) -> str:
        if not isinstance(arg, Expression):
            return repr(arg)
        text = _show(arg, name)
        return text if _STRENGTH.get(arg.op, 0) >= least else f"({text})"

    if op == "param":
        return name(args[0])
    if op == "isin":
        return f"{show(args[0], strength)}.isin({list(args[1:])!r})"
    if op in {"~", "neg"}:
        return f"{'~' if op == '~' else '-'}{show(args[0], strength)}"
    first = show(args[0], max(strength, 1))
    return f" {op} ".join([first, *(show(arg, strength + 1) for arg in args[1:])])
