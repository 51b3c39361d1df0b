"""Parameters and conditions to a ``Layout``: groups in topological order, programs, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.errors import SpaceError
from hpo_core.layout import Kind, Layout, Op
from hpo_core.space.conditions import Expression, fold, is_operator
from hpo_core.space.program import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.space.codec import Codec
    from hpo_core.space.program import Code, Compiler
    from hpo_core.space.tree import Entry


def build_layout(parameters: Mapping[str, Entry], compiler: Compiler, forbid: Sequence[Expression]) -> Layout:
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
        [compiler.codecs[name] for name in names],
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
    codecs: Sequence[Codec],
    *,
    group: NDArray[np.int32],
    context: NDArray[np.bool_],
    conditions: Sequence[Code],
    forbidden: Sequence[Code],
) -> Layout:
    discrete = [codec if codec.kind is Kind.DISCRETE else None for codec in codecs]
    lengths = [0 if codec is None else codec.levels for codec in discrete]
    program, constants = _pack([*conditions, *forbidden])
    starts = _starts(map(len, [*conditions, *forbidden]))

    def table(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.empty(0), *(getattr(codec, name) for codec in discrete if codec)])

    def each(name: str, dtype: type = np.float64) -> NDArray[Any]:
        return np.array([getattr(codec, name) for codec in codecs], dtype=dtype)

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
