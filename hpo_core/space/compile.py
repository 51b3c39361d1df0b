"""Parameters and conditions to a ``Layout``: groups in topological order, postfix programs, tables."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import as_real, shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import MAX_STACK, Kind, Layout, Op
from hpo_core.space.activity import run
from hpo_core.space.expressions import COMPARISONS, Expression, bottom_up, fold, is_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.space.encoding import Encoding
    from hpo_core.space.tree import Entry

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
    encodings: Mapping[str, Encoding]
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
            labels = self.encodings[name].labels
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
        if self.encodings[name].kind is Kind.CATEGORICAL and op not in {"==", "!="}:
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
                raise SpaceError(f"{shown(arg)} cannot be compared with a number")
            try:
                return Op.CONST, float(number)
            except OverflowError:
                raise SpaceError(f"{shown(arg)} is beyond all floats") from None
        if self._labels(arg) is not None and not label:
            raise SpaceError(f"{arg.args[0]!r} is not numeric; use an Int, or an Ordinal of numbers")
        return Op.LOAD, self.rows[arg.args[0]]

    def _labels(self, arg: Any) -> tuple[Any, ...] | None:
        if isinstance(arg, Expression) and arg.op == "param":
            return self.encodings[arg.args[0]].labels
        return None

    def _resolve(self, arg: Any) -> Any:
        """Replace the name of a constant by its value; reject unknown names."""
        if not isinstance(arg, Expression) or arg.op != "param":
            return arg
        name = arg.args[0]
        if name in self.conditional:
            raise SpaceError(
                f"{name!r} is a constant of a sub-space; compare the choice that owns the sub-space"
            )
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


def compile_layout(
    parameters: Mapping[str, Entry], compiler: Compiler, forbid: Sequence[Expression]
) -> Layout:
    """Compile checked parameters; raises ``SpaceError`` for conditions that cannot be evaluated."""
    names = tuple(parameters)
    conditions = [entry.condition for entry in parameters.values()]
    codes = [_condition_code(compiler, *pair) for pair in zip(names, conditions, strict=True)]
    forbidden = [compiler.compile(condition, f"forbid[{k}]") for k, condition in enumerate(forbid)]

    depths = _depths(names, codes)
    first: dict[tuple[Any, ...], int] = {(): -1}  # a row of each group; a group shares one program
    for row, code in enumerate(codes):
        first.setdefault(tuple(code), row)
    ordered = sorted(first, key=lambda code: (depths[first[code]] if code else -1, first[code]))
    group = [ordered.index(tuple(code)) for code in codes]
    chosen = [conditions[first[code]] for code in ordered if code]
    certain = [_certain(condition, compiler.rows) for condition in chosen if condition is not None]
    return _assemble(
        names,
        [compiler.encodings[name] for name in names],
        group=np.array(group, dtype=np.int32),
        context=_context(certain, group),
        conditions=[list(code) for code in ordered],
        forbidden=forbidden,
    )


def _condition_code(compiler: Compiler, name: str, condition: Expression | None) -> Code:
    if condition is None:
        return []
    code = compiler.compile(condition, f"when of {name!r}")
    if _reads(code):
        return code
    program, constants = _pack([code])
    return [] if run(program, constants, _no_parameter) == 1.0 else code  # constants decide it


def _no_parameter(row: int) -> Any:
    raise AssertionError(row)


def _reads(code: Code) -> list[int]:
    return [int(operand) for op, operand in code if op is Op.LOAD]


def _depths(names: Sequence[str], codes: Sequence[Code]) -> list[int]:
    """Length of the longest chain of conditions that leads to each parameter."""
    parents = [_reads(code) for code in codes]
    depths: dict[int, int] = {}
    path: dict[int, None] = {}  # parameters whose parents are being looked at, in that order
    ahead = list(range(len(codes)))[::-1]
    while ahead:
        row = ahead[-1]
        unknown = [parent for parent in parents[row] if parent not in depths]
        if row in depths or not unknown:
            depths.setdefault(row, max((1 + depths[parent] for parent in parents[row]), default=0))
            path.pop(row, None)
            ahead.pop()
            continue
        path[row] = None
        for parent in unknown:
            if parent in path:
                chain = list(path)
                cycle = " -> ".join(repr(names[r]) for r in [*chain[chain.index(parent) :], parent])
                raise SpaceError(f"conditions form a cycle: {cycle} (each exists only if the next one does)")
        ahead.append(unknown[0])
    return [depths[row] for row in range(len(codes))]


def _certain(condition: Expression, rows: Mapping[str, int]) -> set[int]:
    """Parameters that must be active for ``condition`` to be known and true."""

    def visit(node: Any, parts: list[tuple[set[int], set[int]]]) -> tuple[set[int], set[int]]:
        """For it to be true, and for it to be false."""
        if not is_operator(node):
            read = {rows[node.args[0]]} if isinstance(node, Expression) and node.args[0] in rows else set()
            return read, read
        true, false = zip(*parts, strict=True)
        if node.op == "~":
            return false[0], true[0]
        if node.op == "&":
            return set().union(*true), set.intersection(*false)
        if node.op == "|":
            return set.intersection(*true), set().union(*false)
        read = set().union(*true)
        return read, read

    certain: set[int] = fold(condition, visit)[0]
    return certain


def _context(certain: Sequence[Iterable[int]], group: Sequence[int]) -> NDArray[np.bool_]:
    context = np.zeros((len(certain) + 1, len(certain) + 1), dtype=np.bool_)
    for g, rows in enumerate(certain, start=1):
        context[g, 0] = True
        for parent in {group[row] for row in rows}:
            context[g] |= context[parent]
            context[g, parent] = True
    return context


def _pack(codes: Sequence[Code]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Programs one after another, and the table of their constants."""
    table: dict[float, int] = {}
    rows = [
        (op, table.setdefault(operand, len(table)) if op is Op.CONST else int(operand))
        for code in codes
        for op, operand in code
    ]
    return np.array(rows, dtype=np.int32).reshape(-1, 2), np.array(list(table), dtype=np.float64)


def _starts(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _assemble(
    names: tuple[str, ...],
    encodings: Sequence[Encoding],
    *,
    group: NDArray[np.int32],
    context: NDArray[np.bool_],
    conditions: Sequence[Code],
    forbidden: Sequence[Code],
) -> Layout:
    discrete = [encoding if encoding.kind is Kind.DISCRETE else None for encoding in encodings]
    lengths = [0 if encoding is None else encoding.levels for encoding in discrete]
    program, constants = _pack([*conditions, *forbidden])
    starts = _starts(map(len, [*conditions, *forbidden]))

    def table(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.empty(0), *(getattr(encoding, name) for encoding in discrete if encoding)])

    def each(name: str, dtype: type = np.float64) -> NDArray[Any]:
        return np.array([getattr(encoding, name) for encoding in encodings], dtype=dtype)

    return _frozen(
        Layout(
            names=names,
            kinds=each("kind", np.uint8),
            levels=each("levels", np.int64),
            table_start=_starts(lengths),
            centers=table("centers"),
            widths=table("widths"),
            values=table("numbers"),
            log=each("log", np.uint8),
            offset=each("offset"),
            span=each("span"),
            low=each("low"),
            high=each("high"),
            step=each("step"),
            scale=each("scale"),
            default=each("default"),
            group=group,
            context=context,
            program=program,
            constants=constants,
            condition_start=starts[: len(conditions) + 1],
            forbid_start=starts[len(conditions) :],
        )
    )


def _frozen(layout: Layout) -> Layout:
    for array in vars(layout).values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return layout
