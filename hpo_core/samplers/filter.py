"""Drawing until enough configurations are permitted, feasible and new; shared by the samplers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted
from hpo_core.native.domain import Domain, KeySet, keys, permitted
from hpo_core.seeds import GOLDEN
from hpo_core.space.space import MAX_REJECTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.space import Space

    Coordinates: TypeAlias = NDArray[np.float64]
    Draw: TypeAlias = Callable[[int, int], Coordinates]

POOL = 1024
# A finite space up to this size is searched to its last configuration. A larger one counts as used up after
# so many draws without anything new.
MAX_SEARCHED = 50_000
MAX_BARREN = 16 * POOL


class Filter:
    """A space under constraints, and the configurations of it that are used.

    Parameters
    ----------
    space : Space
    seed : int
        Seed of the study; orders the last configurations when a finite space is nearly used up.
    allow_duplicates : bool
        Whether a finite space may propose a configuration again.

    Attributes
    ----------
    domain : Domain
        The compiled layout of the space.
    filters : bool
        Whether ``fill`` may leave out any draw.
    """

    def __init__(self, space: Space, *, seed: int, allow_duplicates: bool) -> None:
        self.domain = Domain(space.layout)
        self._space = space
        self._seed = seed
        self._has_forbid = len(space.layout.forbid_start) > 1
        self._constrained = self._has_forbid or space.feasible is not None
        self._size = space.size
        self._distinct = not (allow_duplicates or self._size == math.inf)
        self.filters = self._constrained or self._distinct
        self._used = KeySet()
        self._rows = 0  # rows of the history in _used
        self._every: tuple[Coordinates, NDArray[np.uint64]] | None = None

    def sync(self, history: History) -> None:
        """Count the new rows of the history as used."""
        n = len(history)
        if self._distinct and n > self._rows:
            x, given = history.x_buffer[:, self._rows : n], history.given
            if given is not None:  # trials outside the space have the coordinates of the nearest point
                x = np.ascontiguousarray(x[:, ~self._space.codec.elsewhere(given[:, self._rows :])])
            self._used.insert(keys(self.domain, x))
            self._rows = n

    def feasible(self, x: Coordinates) -> NDArray[np.bool_]:
        """Return where the constraints hold, (m,)."""
        mask = permitted(self.domain, x)
        if self._space.feasible is not None:
            mask &= self._space.feasible_mask(x)
        return mask

    def fresh(self, x: Coordinates) -> NDArray[np.bool_]:
        """Return where a configuration is not used and not an earlier column of x, (m,).

        Always true in an infinite space and with ``allow_duplicates``.
        """
        if not self._distinct:
            return np.ones(x.shape[1], np.bool_)
        return self._used.fresh(keys(self.domain, x))

    def fill(
        self, draw: Draw, n: int, *, least: int | None = None, earlier: Coordinates | None = None
    ) -> Coordinates:
        """Return the first ``n`` feasible and fresh configurations of a sequence of draws, (d, k).

        ``draw(start, m)`` gives draws number ``start .. start + m - 1``, settled; it is called with
        start = 0, m = n first, then for later draws. k < n only if a finite space runs out. The
        configurations ``earlier`` (d, e) of the same batch count as used. If the constraints reject
        ``MAX_REJECTED`` draws in a row, ``least`` configurations (default ``n``) suffice.

        Raises
        ------
        SpaceExhausted
            Nothing is left.
        InfeasibleSpaceError
            The constraints rejected ``MAX_REJECTED`` draws in a row, and fewer than ``least`` were found.
        """
        x = draw(0, n)
        if not self.filters:
            return x
        before = x[:, :0] if earlier is None else earlier
        e = before.shape[1]
        taken, rejected = self._accept(before, x, e + n)
        if taken.shape[1] < e + n:
            taken = self._redraw(draw, taken, e + n, rejected, e + (n if least is None else least))
        if taken.shape[1] == e:
            raise SpaceExhausted("every configuration of the space has been used")
        return taken[:, e:]

    def _accept(self, taken: Coordinates, x: Coordinates, n: int) -> tuple[Coordinates, int]:
        """Add the first good columns of x to ``taken``, n in all; count the infeasible ones at its end."""
        found, trailing = taken.shape[1], 0
        if self._constrained:
            feasible = self.feasible(x)
            trailing = int(feasible[::-1].argmax()) if feasible.any() else len(feasible)
            x = x if feasible.all() else x[:, feasible]
        both = np.concatenate([taken, x], axis=1) if found else x
        good = self.fresh(both)  # true for ``taken``
        return (both if good.all() else both[:, good])[:, :n], trailing

    def _redraw(self, draw: Draw, taken: Coordinates, n: int, rejected: int, least: int) -> Coordinates:
        """Go on after the first ``n`` draws gave ``taken``, the last ``rejected`` of them infeasible."""
        drawn, barren = n, 0
        while (found := taken.shape[1]) < n:
            if self._distinct and self._size <= MAX_SEARCHED and drawn >= n + POOL:
                return self._remaining(taken, n)
            if self._distinct and barren >= MAX_BARREN and (found or rejected < barren):
                return taken
            if rejected >= MAX_REJECTED:
                if found >= least:
                    return taken
                raise self._infeasible(f"{MAX_REJECTED:,} draws in a row")
            m = min(max(drawn, 2 * (n - found)), max(POOL, n - found), MAX_REJECTED)
            taken, trailing = self._accept(taken, draw(drawn, m), n)
            rejected = rejected + m if trailing == m else trailing
            barren = 0 if taken.shape[1] > found else barren + m
            drawn += m
        return taken

    def _remaining(self, taken: Coordinates, n: int) -> Coordinates:
        """Complete ``taken`` from the enumerated space, in an order that depends on the seed."""
        if self._every is None:
            every = self._space.enumerate()
            self._every = every, keys(self.domain, every)
        every, codes = self._every
        if not len(codes):
            raise self._infeasible("every configuration")
        taken_codes = keys(self.domain, taken)
        fresh = self._used.fresh(np.concatenate([taken_codes, codes]))[len(taken_codes) :]
        left = np.flatnonzero(fresh)
        order = np.argsort((codes[left] ^ np.uint64(self._seed)) * np.uint64(GOLDEN))
        return np.concatenate([taken, every[:, left[order[: n - taken.shape[1]]]]], axis=1)

    def _infeasible(self, what: str) -> InfeasibleSpaceError:
        given = {"forbid": self._has_forbid, "feasible": self._space.feasible is not None}
        names = " and ".join(name for name, there in given.items() if there)
        return InfeasibleSpaceError(f"{names} rejected {what}; loosen the constraints or narrow the ranges")
