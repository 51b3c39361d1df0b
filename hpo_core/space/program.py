"""Conditions compiled to postfix programs (``layout.Op``) and evaluated over columns with numpy."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import as_real, shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import MAX_STACK, Kind, Op
from hpo_core.space.conditions import COMPARISONS, Expression, bottom_up, is_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hpo_core.space.codec import Codec

    Code: TypeAlias = list[tuple[Op, float]]  # LOAD's operand is a parameter, CONST's its number

_OPS = {
    "+": Op.ADD, "-": Op.SUB, "*": Op.MUL, "/": Op.DIV, "neg": Op.NEG, "&": Op.AND, "|": Op.OR, "~": Op.NOT,
    "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE, "==": Op.EQ, "!=": Op.NE,
}  # fmt: skip
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Compiler:
    """Compiles conditions over the parameters and constants of a space."""

    rows: Mapping[str, int]
    codecs: Mapping[str, Codec]
    constants: Mapping[str, Any]
    conditional: frozenset[str] = field(default=frozenset())  # constants that a branch owns

    def compile(self, condition: Expression, where: str) -> Code:
        """Program of a condition; ``SpaceError`` begins with ``where``."""
        try:
            code = self._truth(condition)
        except SpaceError as error:
            raise SpaceError(f"{where}: {error}") from None
        if stack_depth(code) > MAX_STACK:
            raise SpaceError(f"{where}: nested more than {MAX_STACK} operands deep; simplify {condition!s}")
        return code

    def _truth(self, expression: Expression) -> Code:
        code: Code = []
        ahead: list[Any] = [expression]  # conditions to compile, and instructions that follow them
        while ahead:
            step = ahead.pop()
            if isinstance(step, tuple):
                code.append(step)
                continue
            op, args = step.op, step.args
            if op in {"&", "|"}:
                rest = [each for arg in args[1:] for each in (arg, (_OPS[op], 0))]
                ahead.extend(reversed([args[0], *rest]))
            elif op == "~":
                ahead.extend([(Op.NOT, 0), args[0]])
            elif op == "isin":
                code += self._comparison("==", args[0], args[1])
                for value in args[2:]:
                    code += [*self._comparison("==", args[0], value), (Op.OR, 0)]
            else:
                code += self._comparison(op, *args) if op in COMPARISONS else self._bare(step)
        return code

    def _bare(self, expression: Expression) -> Code:
        name = expression.args[0]
        value = self._resolve(expression)
        if isinstance(value, bool):
            return [(Op.CONST, float(value))]
        if isinstance(value, Expression):
            labels = self.codecs[name].labels
            if labels and all(isinstance(label, bool) for label in labels):
                return self._comparison("==", value, True) if True in labels else [(Op.CONST, 0.0)]
        raise SpaceError(f"{name!r} is not a bool; compare it, as in param({name!r}) == value")

    def _comparison(self, op: str, left: Any, right: Any) -> Code:
        left, right = self._resolve(left), self._resolve(right)
        if not isinstance(left, Expression) and not isinstance(right, Expression):
            return [(Op.CONST, float(_compare_constants(op, left, right)))]
        if self._labels(left) is None and self._labels(right) is not None:
            op, left, right = _MIRROR[op], right, left
        if self._labels(left) is None:
            return [*self._number(left), *self._number(right), (_OPS[op], 0)]
        return [*self._number(left, label=True), *self._label(op, left, right), (_OPS[op], 0)]

    def _label(self, op: str, left: Expression, right: Any) -> Code:
        """Right side of a comparison whose left side is a parameter with labels."""
        name, labels = left.args[0], self._labels(left) or ()
        if self.codecs[name].kind is Kind.CATEGORICAL and op not in {"==", "!="}:
            raise SpaceError(f"{name!r} is a Categorical and has no order: {op} needs an Ordinal")
        if isinstance(right, Expression):
            if self._labels(right) != labels:
                raise SpaceError(f"{name!r} must be compared with one of {some(labels)}, got {right!r}")
            return self._number(right, label=True)
        try:
            return [(Op.CONST, float(labels.index(right)))]
        except ValueError:
            hint = did_you_mean(right, labels)
            raise SpaceError(
                f"{name!r} must be compared with one of {some(labels)}, got {shown(right)}{hint}"
            ) from None

    def _number(self, arg: Any, *, label: bool = False) -> Code:
        code: Code = []
        for node in bottom_up(arg):
            if is_operator(node):
                code.append((_OPS[node.op], 0))
            else:
                code.append(self._operand(self._resolve(node), label=label))
        return code

    def _operand(self, arg: Any, *, label: bool) -> tuple[Op, float]:
        if not isinstance(arg, Expression):
            number = as_real(arg)
            if isinstance(arg, bool | np.bool_):
                number = float(arg)
            if number is None or number != number:
                raise SpaceError(f"{shown(arg)} is compared with a number")
            try:
                return Op.CONST, float(number)
            except OverflowError:
                raise SpaceError(f"{shown(arg)} is beyond all floats") from None
        if self._labels(arg) is not None and not label:
            raise SpaceError(f"{arg.args[0]!r} is not a number; an Ordinal of numbers or an Int is")
        return Op.LOAD, self.rows[arg.args[0]]

    def _labels(self, arg: Any) -> tuple[Any, ...] | None:
        if isinstance(arg, Expression) and arg.op == "param":
            return self.codecs[arg.args[0]].labels
        return None

    def _resolve(self, arg: Any) -> Any:
        """Replace the name of a constant by its value; reject unknown names."""
        if not isinstance(arg, Expression) or arg.op != "param":
            return arg
        name = arg.args[0]
        if name in self.conditional:
            raise SpaceError(f"{name!r} is a constant of a branch; compare the choice that owns it")
        if name in self.constants:
            return self.constants[name]
        if name not in self.rows:
            hint = did_you_mean(name, self.rows)
            raise SpaceError(f"unknown parameter {name!r}; the space has {some(self.rows)}{hint}")
        return arg


def _compare_constants(op: str, left: Any, right: Any) -> bool:
    try:
        return bool(_PYTHON[op](left, right))
    except TypeError:
        raise SpaceError(f"cannot compare {shown(left)} {op} {shown(right)}") from None


def stack_depth(code: Code) -> int:
    """Stack entries the program needs."""
    depth = deepest = 0
    for op, _ in code:
        if op <= Op.CONST:
            depth += 1
        elif op not in {Op.NEG, Op.NOT}:
            depth -= 1
        deepest = max(deepest, depth)
    return deepest


def run(
    program: NDArray[np.int32], constants: NDArray[np.float64], load: Callable[[int], NDArray[np.float64]]
) -> Any:
    """Truth of a program per configuration: 1, 0, or NaN for unknown; ``load`` gives columns of numbers."""
    stack: list[Any] = []
    with np.errstate(all="ignore"):  # x / 0 is inf or unknown, as in C
        for op, argument in program.tolist():
            if op == Op.LOAD:
                stack.append(load(argument))
            elif op == Op.CONST:
                stack.append(constants[argument])
            elif op in _UNARY:
                stack.append(_UNARY[op](stack.pop()))
            else:
                right = stack.pop()
                stack.append(_BINARY[op](stack.pop(), right))
    return stack.pop()


def _known(comparison: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: np.where(np.isnan(a) | np.isnan(b), np.nan, comparison(a, b))


_UNARY: dict[int, Callable[[Any], Any]] = {Op.NEG: np.negative, Op.NOT: lambda a: 1.0 - a}
_BINARY: dict[int, Callable[[Any, Any], Any]] = {
    Op.ADD: np.add, Op.SUB: np.subtract, Op.MUL: np.multiply, Op.DIV: np.divide,
    Op.LT: _known(np.less), Op.LE: _known(np.less_equal), Op.GT: _known(np.greater),
    Op.GE: _known(np.greater_equal), Op.EQ: _known(np.equal), Op.NE: _known(np.not_equal),
    # Kleene: one false settles AND, one true settles OR, whatever the unknown would be
    Op.AND: lambda a, b: np.where((a == 0) | (b == 0), 0.0, a * b),
    Op.OR: lambda a, b: np.where((a == 1) | (b == 1), 1.0, a + b),
}  # fmt: skip
