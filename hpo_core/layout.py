"""A space as numerics see it: kinds, levels and condition groups, as frozen arrays.

Glossary
--------
d           number of parameters (constants are not parameters)
x           internal coordinate, (d, n) float64, one row per parameter: numeric kinds in [0, 1],
            CATEGORICAL the choice's index, inactive NaN
group       parameters that share one activity condition; group 0 is always active. Groups are in
            topological order: the condition of group g reads parameters of groups < g only
context     groups that are certainly active whenever a group is (group 0 and its ancestors)
program     a condition in postfix form, evaluated per configuration on *values* (see ``Op``)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Ordered kinds with more levels are STEPPED: modelled as continuous, snapped to the grid. A table
# of 1,024 cells already resolves 0.1 % of the range, less than any bandwidth floor.
MAX_TABLE_LEVELS = 1024


class Kind(IntEnum):
    """The kind of a parameter's coordinate."""

    CONTINUOUS = 0
    DISCRETE = 1  # ordered levels, centres and values in tables
    CATEGORICAL = 2  # coordinate is the choice's index
    STEPPED = 3  # ordered, too many levels for a table: continuous coordinate, snapped to the grid


class Op(IntEnum):
    """Instructions of a condition program: (op, argument) pairs over a stack of float64.

    Truth is 1.0, falsehood 0.0 and unknown NaN. A comparison with NaN is unknown; AND, OR and NOT
    follow Kleene's three-valued logic. Arithmetic propagates NaN.
    """

    LOAD = 0  # push the value of parameter `argument`: number, or index for categories and labels
    CONST = 1  # push constants[argument]
    ADD = 2
    SUB = 3
    MUL = 4
    DIV = 5
    NEG = 6
    LT = 7
    LE = 8
    GT = 9
    GE = 10
    EQ = 11
    NE = 12
    AND = 13
    OR = 14
    NOT = 15


# exp(span x) overflows if a logarithmic range is wider than this. Also in csrc/domain.c.
WIDE = 700.0

MAX_STACK = 32  # depth of a program's stack; the space compiler rejects deeper expressions


@dataclass(frozen=True, eq=False)
class Layout:
    """The numeric description of a search space. Arrays are C-contiguous and read-only.

    Attributes
    ----------
    names : tuple of str, length d
    kinds : (d,) uint8
        A ``Kind`` per parameter.
    levels : (d,) int64
        Number of levels or choices; 0 for CONTINUOUS.
    table_start : (d + 1,) int64
        Parameter i owns entries ``table_start[i]:table_start[i + 1]`` of the three tables below;
        the range is empty unless its kind is DISCRETE.
    centers, widths : (t,) float64
        Cell centres (strictly increasing within a parameter) and cell widths in [0, 1]; the widths
        of one parameter sum to 1.
    values : (t,) float64
        What ``LOAD`` pushes for the level: its number, or its index when levels are labels.
    log : (d,) uint8
        1 where the value is exp of an affine function of x.
    offset, span : (d,) float64
        CONTINUOUS and STEPPED: value = offset + span·x, or exp of it. Zero elsewhere.
    low, high, step, scale : (d,) float64
        CONTINUOUS and STEPPED: the value is clipped to [low, high], and is ``high`` where x is 1 or at the
        last level; STEPPED values are low + step·k for integer k, computed from integers over ``scale``
        unless that is 1. ``step`` is 0 for CONTINUOUS.
    default : (d,) float64
        Coordinate of the default configuration, as if every parameter were active.
    group : (d,) int32
        Group of each parameter.
    context : (G, G) bool
        ``context[g, h]``: group h is certainly active whenever g is (h < g). ``context[g, 0]`` is
        True for g > 0; ``context[0]`` is all False.
    program : (p, 2) int32, constants : (c,) float64
        All programs, one after another.
    condition_start : (G + 1,) int64
        Condition of group g is ``program[condition_start[g]:condition_start[g + 1]]``; that of
        group 0 is empty.
    forbid_start : (F + 1,) int64
        Likewise for the F forbidden expressions; a configuration for which any is true is
        rejected, an unknown one permits.
    """

    names: tuple[str, ...]
    kinds: NDArray[np.uint8]
    levels: NDArray[np.int64]
    table_start: NDArray[np.int64]
    centers: NDArray[np.float64]
    widths: NDArray[np.float64]
    values: NDArray[np.float64]
    log: NDArray[np.uint8]
    offset: NDArray[np.float64]
    span: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    step: NDArray[np.float64]
    scale: NDArray[np.float64]
    default: NDArray[np.float64]
    group: NDArray[np.int32]
    context: NDArray[np.bool_]
    program: NDArray[np.int32]
    constants: NDArray[np.float64]
    condition_start: NDArray[np.int64]
    forbid_start: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of parameters, d."""
        return len(self.names)

    @property
    def n_groups(self) -> int:
        """Number of groups, G, at least 1."""
        return len(self.condition_start) - 1
