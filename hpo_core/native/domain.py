"""A layout compiled: prior draws, Sobol points, conditions and the keys of configurations.

Every x is (d, m), C-contiguous, one row per parameter; ``m`` configurations at once.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.layout import MAX_STACK, Kind, Op
from hpo_core.native._backend import module
from hpo_core.native.sobol_table import directions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hpo_core.layout import Layout

MAX_PIECE = 2**20  # coordinates drawn in one call: a tenth of a second
MAX_DRAWS = 2**32  # draws of one stream: the number takes half of a random number's index

_FEWEST_SLOTS = 64


class DomainArrays(NamedTuple):
    """The input of both backends: the layout's arrays, and arrays derived from them."""

    kinds: NDArray[np.uint8]
    log: NDArray[np.uint8]
    regular: NDArray[np.uint8]  # (d,) DISCRETE with all cells of one width
    levels: NDArray[np.int64]
    table_start: NDArray[np.int64]
    centers: NDArray[np.float64]
    edges: NDArray[np.float64]  # (t,) upper edge of each cell
    widths: NDArray[np.float64]
    values: NDArray[np.float64]
    offset: NDArray[np.float64]
    span: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    step: NDArray[np.float64]
    scale: NDArray[np.float64]
    defaults: NDArray[np.float64]
    member_start: NDArray[np.int64]  # (G + 1,) group g owns these entries of members
    members: NDArray[np.int64]  # (d,) parameters, group by group
    program: NDArray[np.int32]  # (2 p,)
    constants: NDArray[np.float64]
    condition_start: NDArray[np.int64]
    forbid_start: NDArray[np.int64]


class Domain:
    """Compiled form of a layout.

    Parameters
    ----------
    layout : Layout

    Attributes
    ----------
    layout : Layout
    size : int
        Number of parameters, d.
    handle
        What the functions of the backend in use take for it.

    Raises
    ------
    ArgumentError
        A program reads outside its tables, or its stack runs empty or past ``MAX_STACK``.
    """

    __slots__ = ("handle", "layout", "size")

    def __init__(self, layout: Layout) -> None:
        _check_programs(layout)
        self.layout = layout
        self.size = layout.size
        self.handle = module("domain").Domain(_arrays(layout))


def _arrays(layout: Layout) -> DomainArrays:
    regular = np.zeros(layout.size, np.uint8)
    edges = np.empty_like(layout.widths)
    for i in np.flatnonzero(layout.kinds == Kind.DISCRETE):
        cells = slice(layout.table_start[i], layout.table_start[i + 1])
        n = layout.levels[i]
        edges[cells] = np.cumsum(layout.widths[cells])
        regular[i] = np.array_equal(layout.centers[cells], (np.arange(n) + 0.5) / n)
    available = vars(layout) | {
        "regular": regular,
        "edges": edges,
        "defaults": layout.default,
        "member_start": np.searchsorted(np.sort(layout.group), np.arange(layout.n_groups + 1)),
        "members": np.argsort(layout.group, kind="stable"),
        "program": layout.program.ravel(),
    }
    return DomainArrays(**{name: available[name] for name in DomainArrays._fields})


def _check_programs(layout: Layout) -> None:
    """Make sure that no program can leave its tables or its stack: the kernels do not look."""
    for starts in (layout.condition_start[1:], layout.forbid_start):  # group 0 has no condition
        for start, stop in pairwise(starts.tolist()):
            _check_program(layout, layout.program[start:stop].tolist())


def _check_program(layout: Layout, program: list[list[int]]) -> None:
    tables = {Op.LOAD: layout.size, Op.CONST: len(layout.constants)}
    depth = 0
    for op, argument in program:
        if op in tables:
            if not 0 <= argument < tables[Op(op)]:
                raise ArgumentError(
                    f"layout.program: {Op(op).name} must have an argument from 0 to {tables[Op(op)] - 1}, "
                    f"got {argument}"
                )
            depth += 1
        elif not Op.ADD <= op <= Op.NOT:
            raise ArgumentError(f"layout.program: operation {op} is unknown")
        else:
            depth -= op not in (Op.NEG, Op.NOT)
        if not 1 <= depth <= MAX_STACK:
            raise ArgumentError(f"layout.program: stack depth must be from 1 to {MAX_STACK}, got {depth}")
    if depth != 1:
        raise ArgumentError(f"layout.program: a condition must leave 1 value on the stack, got {depth}")


def random_draws(domain: Domain, seed: int, stream: int, start: int, m: int) -> NDArray[np.float64]:
    """Draw from the prior: numbers ``start .. start + m - 1`` of a stream, settled, (d, m).

    Any draw depends on (seed, stream, number) alone.
    """
    x = np.empty((domain.size, m))
    if start + m > MAX_DRAWS:
        raise ArgumentError(f"start + m must be at most {MAX_DRAWS}, got {start + m}")
    draw = module("domain").random_draws
    if x.size <= MAX_PIECE:
        draw(domain.handle, seed, stream, start, x)
        return x
    for first, piece in _pieces(x):
        draw(domain.handle, seed, stream, start + first, piece)
    return x


def sobol_draws(domain: Domain, seed: int, start: int, m: int) -> NDArray[np.float64]:
    """Return the scrambled Sobol points ``start .. start + m - 1``, settled, (d, m).

    Point 0 is the default configuration. Numbers are taken modulo 2**32.
    """
    x = np.empty((domain.size, m))
    draw, numbers = module("domain").sobol_draws, directions(domain.size)
    if x.size <= MAX_PIECE:
        draw(domain.handle, numbers, seed, start, x)
        return x
    for first, piece in _pieces(x):
        draw(domain.handle, numbers, seed, start + first, piece)
    return x


def _pieces(x: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Parts of x (d, m) to be filled, each with its first column: between them Ctrl-C is heard."""
    size = max(1, MAX_PIECE // len(x))
    for first in range(0, x.shape[1], size):
        columns = x[:, first : first + size]
        piece = np.empty(columns.shape)
        yield first, piece
        columns[:] = piece


def settle(domain: Domain, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Snap each coordinate to its grid and make inactive ones NaN, in place; return x.

    Every parameter whose condition may hold must be filled. A settled x stays as it is.
    """
    if x.dtype != np.float64 or not x.flags.c_contiguous or not x.flags.writeable:
        raise ArgumentError(f"x must be a writeable C-contiguous float64 array, got {x.dtype}, {x.strides}")
    _check_rows(domain, x)
    module("domain").settle(domain.handle, x)
    return x


def group_mask(domain: Domain, group: int, x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a group is active, (m,). Reads only parameters of earlier groups."""
    if not 0 <= group < domain.layout.n_groups:
        raise ArgumentError(f"group must be an int from 0 to {domain.layout.n_groups - 1}, got {group}")
    x = _rows(domain, x)
    mask = np.empty(x.shape[1], np.uint8)
    module("domain").group_mask(domain.handle, group, x, mask)
    return mask.view(np.bool_)


def permitted(domain: Domain, x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return False where a forbidden expression is true, (m,)."""
    x = _rows(domain, x)
    mask = np.empty(x.shape[1], np.uint8)
    module("domain").permitted(domain.handle, x, mask)
    return mask.view(np.bool_)


def keys(domain: Domain, x: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each configuration, (m,), never 0: of its levels, and what is inactive.

    Two of 10**6 configurations share a key with probability 3e-8.
    """
    x = _rows(domain, x)
    found = np.empty(x.shape[1], np.uint64)
    module("domain").keys(domain.handle, x, found)
    return found


def _rows(domain: Domain, x: NDArray[np.float64]) -> NDArray[np.float64]:
    _check_rows(domain, x)
    return np.ascontiguousarray(x, np.float64)


def _check_rows(domain: Domain, x: NDArray[np.float64]) -> None:
    if x.ndim != 2 or x.shape[0] != domain.size:
        raise ArgumentError(f"x must have shape ({domain.size}, m), got {x.shape}")


class KeySet:
    """A set of keys (not 0, which marks an empty slot) that grows: open addressing, at most half full."""

    __slots__ = ("_size", "_slots")

    def __init__(self) -> None:
        self._slots = np.zeros(_FEWEST_SLOTS, np.uint64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def insert(self, keys: NDArray[np.uint64]) -> None:
        """Add keys; those already in the set are no error."""
        self._reserve(len(keys))
        self._size += module("domain").keyset_insert(self._slots, keys)

    def fresh(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return where a key is neither in the set nor earlier in ``keys``, (m,)."""
        self._reserve(len(keys))
        mask = np.empty(len(keys), np.uint8)
        module("domain").keyset_fresh(self._slots, keys, np.empty(len(keys), np.int64), mask)
        return mask.view(np.bool_)

    def _reserve(self, m: int) -> None:
        needed = 2 * (self._size + m)
        if needed > len(self._slots):
            old = self._slots
            self._slots = np.zeros(1 << (needed - 1).bit_length(), np.uint64)
            module("domain").keyset_insert(self._slots, old[old != 0])
