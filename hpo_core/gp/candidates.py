"""The pool from which a suggestion is chosen: Sobol points, and perturbations of the best trials.

Glossary
--------
stream      number of the suggestion's first trial; with the seed, the key of every random number
earlier     (d, e) configurations of the same batch, which count as used, like the history
template    coordinate of each parameter where it is not active
box         region that candidates stay in, (low, high), (d,) each
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import SpaceExhausted
from hpo_core.layout import Kind
from hpo_core.native.domain import KeySet, keys, random_draws, settle, sobol_draws
from hpo_core.native.normal import ndtri, uniforms_of_trial
from hpo_core.samplers.filter import Filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.space import Space

    Array = NDArray[np.float64]

# A bit of the 64-bit key that seeds leave free. Draws from the prior use the seed without it.
KEY = 1 << 63
# Largest spread of a perturbation, as a share of the range; the smallest is a hundredth of this.
WIDEST = 0.2
# Parameters that a perturbation moves on average, if there are more.
FEWEST_MOVED = 4.0
# New candidates that suffice if constraints reject most draws.
FEWEST_CANDIDATES = 64
# Configurations of a finite space that are kept in memory.
MAX_LISTED = 2**17


@dataclass(frozen=True, eq=False)
class Box:
    """A region around a configuration: numbers stay in [low, high], few parameters move at once.

    Attributes
    ----------
    low, high : (d,)
    centre : (d,)
        Settled; inactive NaN.
    share : float
        Share of the parameters that differ from the centre.
    """

    low: Array
    high: Array
    centre: Array
    share: float


def whole(d: int) -> Box:
    """Return the box of a space of d parameters without a trust region."""
    return Box(np.zeros(d), np.ones(d), np.full(d, np.nan), 1.0)


class Candidates:
    """Draws candidates of one space, and knows which of them may be proposed.

    Parameters
    ----------
    space : Space
    seed : int
        The study's.
    allow_duplicates : bool
        Whether a finite space may propose a configuration again.

    Attributes
    ----------
    domain : Domain
        The compiled layout of the space.
    may_repeat : bool
        Whether a configuration may be proposed again if nothing else is left: an infinite space may have
        few distinct ones, because of its conditions.
    """

    def __init__(self, space: Space, *, seed: int, allow_duplicates: bool) -> None:
        layout = space.layout
        self._filter = Filter(space, seed=seed, allow_duplicates=allow_duplicates)
        self.domain = self._filter.domain
        self._space, self._seed = space, seed
        self.may_repeat = allow_duplicates or space.size == math.inf
        self._every: Array | None = None
        self._seen, self._n_seen = KeySet(), 0
        self._numeric = layout.kinds != Kind.CATEGORICAL
        self._levels = np.where(self._numeric, 1, layout.levels).astype(np.float64)[:, None]
        # A move of less than a level would be lost when it is snapped.
        discrete = layout.kinds == Kind.DISCRETE
        self._least = np.where(discrete, 1.0 / np.maximum(layout.levels, 1), 0.0)[:, None]

    def sync(self, history: History) -> None:
        """Take all trials as used, in infinite spaces too, where clipping makes equal points."""
        self._filter.sync(history)
        if self._space.size == math.inf and len(history) > self._n_seen:
            self._seen.insert(keys(self.domain, history.x_buffer[:, self._n_seen : len(history)]))
            self._n_seen = len(history)

    def feasible(self, x: Array) -> NDArray[np.bool_]:
        """Return where the constraints hold, (m,)."""
        return self._filter.feasible(x)

    def fresh(self, x: Array, earlier: Array) -> NDArray[np.bool_]:
        """Return where configurations (d, m) are not used, in ``earlier`` or earlier in x, (m,)."""
        both = np.concatenate([earlier, x], axis=1)
        fresh = self._filter.fresh(both) & self._seen.fresh(keys(self.domain, both))
        return fresh[earlier.shape[1] :]

    def new(self, x: Array, earlier: Array) -> Array:
        """Return the fresh ones of the configurations (d, m)."""
        fresh = self.fresh(x, earlier)
        return x if fresh.all() else np.ascontiguousarray(x[:, fresh])

    def listed(self, max_size: float) -> Array | None:
        """Return all permitted configurations of a finite space, (d, k), used ones included.

        None if the space has more than ``max_size`` configurations, permitted or not.
        """
        if self._space.size > min(max_size, MAX_LISTED):
            return None
        if self._every is None:
            self._every = self._space.enumerate()
        return self._every

    def filled(self, stream: int, n: int, x: Array, earlier: Array) -> Array:
        """Return the permitted and fresh ones of x. If they are few, add draws from the prior, to n at least.

        Raises
        ------
        SpaceExhausted
            Nothing is left.
        InfeasibleSpaceError
            The constraints rejected too many draws in a row.
        """
        feasible = self.feasible(x)
        x = self.new(x if feasible.all() else x[:, feasible], earlier)
        found = x.shape[1]
        least, enough = max(n - found, 0 if found else 1), max(n, FEWEST_CANDIDATES) - found
        if enough <= 0:
            return x
        before = np.concatenate([earlier, x], axis=1)
        try:
            more = self._filter.fill(
                lambda start, m: random_draws(self.domain, self._seed, stream, start, m),
                enough,
                least=least,
                earlier=before,
            )
        except SpaceExhausted:
            if not found:
                raise
            return x
        return np.concatenate([x, more], axis=1)

    def spread(self, stream: int, m: int, box: Box) -> Array:
        """Return Sobol points in the box, (d, m)."""
        x = sobol_draws(self.domain, self._seed, stream * m % 2**32, m)
        return self._placed(x, stream, box) if box.share < 1.0 else x

    def near(self, stream: int, base: Array, m: int, box: Box) -> Array:
        """Return perturbations (d, m) of the configurations ``base`` (d, b), in turn."""
        d = base.shape[0]
        u = uniforms_of_trial(self._seed | KEY, stream, 0, (2 * d + 1) * m).reshape(2 * d + 1, m)
        center = base[:, np.arange(m) % base.shape[1]]
        drawn = np.where(self._numeric[:, None], u[:d], np.floor(u[:d] * self._levels))
        chance = u[d : 2 * d]
        move = (chance < FEWEST_MOVED / d) | (chance == chance.min(axis=0))
        x = np.where(np.isnan(center) | move, drawn, center)
        # Few numbers move: the quantiles are what takes long.
        row, column = np.nonzero(move & self._numeric[:, None] & ~np.isnan(center))
        spread = np.maximum(WIDEST * 100.0 ** -u[-1, column], self._least[row, 0])
        moved = center[row, column] + spread * ndtri(u[row, column])
        x[row, column] = np.minimum(np.maximum(moved, box.low[row]), box.high[row])
        return settle(self.domain, x)

    def _placed(self, x: Array, stream: int, box: Box) -> Array:
        """Bring draws of the whole space into the box, with a share of their parameters moved."""
        d, m = x.shape
        u = uniforms_of_trial(self._seed | KEY, stream, 1 << 32, d * m).reshape(d, m)
        low, high, centre = box.low[:, None], box.high[:, None], box.centre[:, None]
        move = (u < box.share) | (u == u.min(axis=0)) | np.isnan(centre)
        inside = np.where(self._numeric[:, None], low + x * (high - low), x)
        placed = np.where(move, inside, centre)
        return settle(self.domain, np.where(np.isnan(placed), self._filler(u), placed))

    def _filler(self, u: Array) -> Array:
        """Return values of inactive parameters, in case they become active."""
        return np.where(self._numeric[:, None], u, np.floor(u * self._levels))
