"""Which parameters are active, evaluated group by group over whole columns with numpy.

The reference for what native ``Domain`` does on the hot path; used where a user waits for one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.layout import Kind, Op

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.space.encoding import Encoding

    Coordinates: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Owner:
    """The condition of a group, where it is just "parameter ``row`` is at ``level``"."""

    row: int
    level: int


class Activity:
    """A layout's conditions, evaluated on coordinates x (d, n).

    Where there is a ``given`` (d, n) or (d, 1), conditions read its finite entries instead of the
    coordinate's value; what is infinite there is unknown to them.
    """

    def __init__(self, layout: Layout, encodings: Sequence[Encoding]) -> None:
        self.layout = layout
        self.encodings = encodings
        self.groups = [np.flatnonzero(layout.group == g).tolist() for g in range(layout.n_groups)]

    def truth(self, group: int, x: Coordinates, given: Coordinates | None = None) -> Coordinates:
        """Condition of a group per configuration: 1, 0, or NaN for unknown."""
        if group == 0:
            return np.ones(x.shape[1])
        begin, end = self.layout.condition_start[group : group + 2].tolist()
        return self._run(begin, end, x, given)

    def active(self, group: int, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations in which a group is active, (n,)."""
        return np.equal(self.truth(group, x, given), 1.0)

    def forbidden(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations in which a forbidden expression is true, (n,)."""
        mask = np.zeros(x.shape[1], dtype=np.bool_)
        starts = self.layout.forbid_start.tolist()
        for begin, end in pairwise(starts):
            mask |= self._run(begin, end, x, given) == 1.0
        return mask

    def settle(self, x: Coordinates, given: Coordinates | None = None) -> Coordinates:
        """In place: inactive parameters to NaN, active ones that are NaN to their default."""
        for group, rows in enumerate(self.groups):
            active = self.active(group, x, given)
            for row in rows:
                present = np.where(np.isnan(x[row]), self.layout.default[row], x[row])
                x[row] = np.where(active, present, np.nan)
        return x

    def draw(self, n: int, rng: np.random.Generator) -> Coordinates:
        """Draw ``n`` configurations from the prior, (d, n)."""
        x = rng.random((len(self.encodings), n))
        for encoding, row in zip(self.encodings, x, strict=True):
            row[:] = encoding.draw(row)
        return self.settle(x)

    def expand(self, rows: Iterable[int], limit: int) -> Coordinates | None:
        """Every combination of the levels of ``rows``, as (d, n) with all other rows NaN; None if n > limit.

        With a parameter, ``rows`` must hold all that its condition reads.
        """
        chosen = set(rows)
        x = np.full((len(self.encodings), 1), np.nan)
        for group, members in enumerate(self.groups):
            active = self.active(group, x)
            for row in filter(chosen.__contains__, members):
                if active.any() and self.encodings[row].levels > limit:
                    return None
                levels = self.encodings[row].every()
                repeats = np.where(active, len(levels), 1)
                total = int(repeats.sum())
                if total > limit:
                    return None
                x, active = np.repeat(x, repeats, axis=1), np.repeat(active, repeats)
                # place of each copy among the copies of its column: the level it takes
                place = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
                x[row] = np.where(active, levels[place], np.nan)
        return x

    def owner(self, group: int) -> Owner | None:
        """Level whose choice alone decides a group; None if more is to its condition."""
        layout = self.layout
        begin, end = layout.condition_start[group : group + 2].tolist()
        steps = layout.program[begin:end].tolist()
        if [op for op, _ in steps] != [Op.LOAD, Op.CONST, Op.EQ]:
            return None
        row = steps[0][1]
        if layout.kinds[row] not in {Kind.DISCRETE, Kind.CATEGORICAL}:
            return None
        levels = np.flatnonzero(self.encodings[row].numbers == layout.constants[steps[1][1]])
        return Owner(row, int(levels[0])) if len(levels) else None

    def reads(self, group: int) -> set[int]:
        """Parameters that the condition of a group reads."""
        begin, end = self.layout.condition_start[group : group + 2].tolist()
        return {row for op, row in self.layout.program[begin:end].tolist() if op == Op.LOAD}

    def number(self, row: int, x: Coordinates, given: Coordinates | None = None) -> Coordinates:
        """Numbers of a parameter for conditions, (n,): a value, the index of a label, NaN for unknown."""
        own = self.encodings[row].read(x[row])
        if given is None:
            return own
        known = np.where(np.isinf(given[row]), np.nan, given[row])
        return np.where(np.isnan(given[row]), own, known)

    def _run(self, begin: int, end: int, x: Coordinates, given: Coordinates | None) -> Coordinates:
        layout = self.layout
        truth = run(layout.program[begin:end], layout.constants, lambda row: self.number(row, x, given))
        return np.broadcast_to(truth, x.shape[1])


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
