"""Expressions over parameters, for ``when=`` and ``forbid=``.

An expression is a tree of operators over parameter names and plain values. It is only a
description: ``compile.py`` compiles it against a space and evaluates it over columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from hpo_core.checks import shown
from hpo_core.errors import SpaceError
from hpo_core.printable import displayed

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
ARITHMETIC = frozenset({"+", "-", "*", "/", "neg"})

# Operators over operators. What is accepted must be written and read from a stack that is not empty.
MAX_HEIGHT = 500

# Binding strength as in Python's grammar, where & and | bind tighter than comparisons.
_STRENGTH = {"|": 1, "&": 2, "+": 3, "-": 3, "*": 4, "/": 4, "neg": 5, "~": 5, "isin": 6, "param": 6}
_ATOM = 7


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expression:
    """A condition or a number computed from parameters; build one with :func:`hpo_core.param`.

    Comparisons (``< <= > >= == !=`` and :meth:`isin`) combine with ``&``, ``|`` and ``~``; numbers
    with ``+ - * /``. A comparison with an inactive parameter is unknown, and logic over unknowns is
    three-valued: ``unknown & false`` is false, ``unknown | true`` is true.

    Operators nest up to 500 deep; a chain of ``&`` or of ``|`` counts once.

    Examples
    --------
    >>> (param("depth") >= 4) & ~param("optimizer").isin(["sgd", "adam"])
    (param('depth') >= 4) & ~param('optimizer').isin(['sgd', 'adam'])
    """

    op: str
    args: tuple[Any, ...]
    height: int = field(init=False)  # operators on the longest way down to a parameter or value

    def __post_init__(self) -> None:
        height = 1 + max((arg.height for arg in self.args if isinstance(arg, Expression)), default=-1)
        if height > MAX_HEIGHT:
            raise SpaceError(f"an expression must be nested up to {MAX_HEIGHT} deep, got a deeper one")
        object.__setattr__(self, "height", height)

    @property
    def names(self) -> frozenset[str]:
        """Names of the parameters it reads."""
        nodes = bottom_up(self)
        return frozenset(
            node.args[0] for node in nodes if isinstance(node, Expression) and node.op == "param"
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """Structure as a flat tuple: equal keys, same expression."""
        return tuple(
            (node.op, len(node.args)) if is_operator(node) else value_key(getattr(node, "args", node))
            for node in bottom_up(self)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, because pickle and deepcopy recurse.
        nodes = bottom_up(self)
        steps = [(node.op, len(node.args)) if is_operator(node) else (None, node) for node in nodes]
        if steps == [(None, self)]:
            return Expression, (self.op, self.args)
        return _rebuild, (steps,)

    def isin(self, values: Iterable[Any]) -> Expression:
        """Return the condition that the parameter equals one of some values.

        Parameters
        ----------
        values : iterable
            At least one value.

        Returns
        -------
        Expression

        Raises
        ------
        SpaceError
            ``values`` is empty or not a list.

        Examples
        --------
        >>> param("optimizer").isin(["adam", "adamw"])
        param('optimizer').isin(['adam', 'adamw'])
        """
        _require_value(self, "isin")
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise SpaceError(f"values of isin() must be a list, got {shown(values)}")
        listed = tuple(values)
        if not listed:
            raise SpaceError(f"values of {self!r}.isin() must hold at least one value, got none")
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
        return displayed(_show(self, str))

    def __repr__(self) -> str:
        return displayed(_show(self, "param({!r})".format))


def is_operator(node: Any) -> TypeGuard[Expression]:
    """Whether a node of an expression has arguments of its own; a parameter and a plain value have not."""
    return isinstance(node, Expression) and node.op != "param"


def bottom_up(expression: Any) -> list[Any]:
    """Every node of an expression, arguments before their operator; no recursion, however deep it is."""
    nodes, ahead = [], [expression]
    while ahead:
        node = ahead.pop()
        nodes.append(node)
        if is_operator(node):
            ahead.extend(node.args)
    return nodes[::-1]


def fold(expression: Any, visit: Callable[[Any, list[Any]], Any]) -> Any:
    """Call ``visit`` on every node with its results for the node's arguments; return that of the root."""
    made: list[Any] = []
    for node in bottom_up(expression):
        first = len(made) - (len(node.args) if is_operator(node) else 0)
        made[first:] = [visit(node, made[first:])]
    return made[0]


def value_key(value: Any) -> Any:
    """Equal keys, same value: of the same types, NaN equal to NaN, and -0.0 not to 0.0."""
    if type(value) in (tuple, list):
        return (type(value), *map(value_key, value))
    return type(value), repr(value) if type(value) is float else value


def _rebuild(steps: Iterable[tuple[str | None, Any]]) -> Expression:
    made: list[Any] = []
    for op, content in steps:
        if op is None:
            made.append(content)
        else:
            made[-content:] = [Expression(op, tuple(made[-content:]))]
    expression: Expression = made[0]
    return expression


def param(name: str) -> Expression:
    """Refer to the parameter called ``name`` in a condition.

    Parameters
    ----------
    name : str

    Returns
    -------
    Expression

    Raises
    ------
    SpaceError
        ``name`` is empty or not a string. An unknown name is reported when the space is made.

    Examples
    --------
    >>> param("batch_size") * param("depth") > 256
    param('batch_size') * param('depth') > 256
    """
    if not name or not isinstance(name, str):
        raise SpaceError(f"name must be the name of a parameter, as in param('lr'), got {name!r}")
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
    raise SpaceError(
        f"operands of {op} must be conditions such as param('a') > 1, got {shown(arg)}; check the parentheses"
    )


def _require_value(arg: Any, op: str) -> Any:
    if isinstance(arg, Expression) and arg.op not in ARITHMETIC | {"param"}:
        raise SpaceError(f"operands of {op} must be parameters or numbers, got the condition {shown(arg)}")
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
    def visit(node: Any, parts: list[tuple[str, int]]) -> tuple[str, int]:
        if not isinstance(node, Expression):
            return repr(node), _ATOM
        op, strength = node.op, _STRENGTH.get(node.op, 0)

        def part(k: int, least: int) -> str:
            text, own = parts[k]
            return text if own >= least else f"({text})"

        if op == "param":
            return name(node.args[0]), strength
        if op == "isin":
            return f"{part(0, strength)}.isin({list(node.args[1:])!r})", strength
        if op in {"~", "neg"}:
            return f"{'~' if op == '~' else '-'}{part(0, strength)}", strength
        first = part(0, max(strength, 1))
        rest = [part(k, strength + 1) for k in range(1, len(parts))]
        return f" {op} ".join([first, *rest]), strength

    text: str = fold(expression, visit)[0]
    return text
