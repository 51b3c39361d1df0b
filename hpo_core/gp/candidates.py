"""The pool that a suggestion is chosen from: Sobol points, and perturbations of the best trials.

Glossary
--------
stream      number of the suggestion's first trial: with the seed, the key of every random number
template    coordinate of each parameter where it is not active
box         region that candidates stay in, (low, high), (d,) each
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.layout import Kind
from hpo_core.native.domain import random_draws, settle, sobol_draws
from hpo_core.native.normal import ndtri, uniforms_of_trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain

    Array = NDArray[np.float64]

# Of the 64-bit key: the studies' seeds leave it free, the prior's draws use the seed as it is.
KEY = 1 << 63
# Spread of perturbations, as a share of the range: from here down to a hundredth of it.
WIDEST = 0.2
# Parameters that a perturbation moves, on average, where there are more.
FEWEST_MOVED = 4.0


@dataclass(frozen=True, eq=False)
class Box:
    """A region around a configuration: numbers stay in [low, high], few parameters move at once.

    Attributes
    ----------
    low, high : (d,)
    centre : (d,)
        Settled; inactive NaN.
    share : float
        Of the parameters, those that differ from the centre.
    """

    low: Array
    high: Array
    centre: Array
    share: float


def whole(d: int) -> Box:
    """The box of a space of d parameters without a trust region."""
    return Box(np.zeros(d), np.ones(d), np.full(d, np.nan), 1.0)


class Candidates:
    """Draws candidates of one space.

    Parameters
    ----------
    domain : Domain
    seed : int
        The study's.
    """

    def __init__(self, domain: Domain, seed: int) -> None:
        layout = domain.layout
        self._domain, self._seed = domain, seed
        self._numeric = layout.kinds != Kind.CATEGORICAL
        self._levels = np.where(self._numeric, 1, layout.levels).astype(np.float64)[:, None]
        # A move of less than a level would be lost when it is snapped.
        discrete = layout.kinds == Kind.DISCRETE
        self._least = np.where(discrete, 1.0 / np.maximum(layout.levels, 1), 0.0)[:, None]

    def spread(self, stream: int, start: int, m: int, box: Box) -> Array:
        """Sobol points in the box, number ``start`` to ``start + m - 1`` of a suggestion, (d, m)."""
        x = sobol_draws(self._domain, self._seed, (stream * m + start) % 2**32, m)
        return self._placed(x, stream, box) if box.share < 1.0 else x

    def prior(self, stream: int, start: int, m: int, box: Box) -> Array:
        """Draws from the prior in the box, (d, m)."""
        x = random_draws(self._domain, self._seed, stream, start, m)
        return self._placed(x, stream, box) if box.share < 1.0 else x

    def near(self, stream: int, base: Array, m: int, box: Box) -> Array:
        """Perturbations of configurations ``base`` (d, b), in turn: (d, m)."""
        d = base.shape[0]
        u = uniforms_of_trial(self._seed | KEY, stream, 0, (2 * d + 1) * m).reshape(2 * d + 1, m)
        center = base[:, np.arange(m) % base.shape[1]]
        spread = np.maximum(WIDEST * 100.0 ** -u[-1], self._least)
        moved = np.clip(center + spread * ndtri(u[:d]), box.low[:, None], box.high[:, None])
        drawn = np.where(self._numeric[:, None], u[:d], np.floor(u[:d] * self._levels))
        chance = u[d : 2 * d]
        move = (chance < FEWEST_MOVED / d) | (chance == chance.min(axis=0))
        moved = np.where(self._numeric[:, None], moved, drawn)
        x = np.where(np.isnan(center), drawn, np.where(move, moved, center))
        return settle(self._domain, x)

    def _placed(self, x: Array, stream: int, box: Box) -> Array:
        """Draws of the whole space brought into the box, a share of their parameters moved."""
        d, m = x.shape
        u = uniforms_of_trial(self._seed | KEY, stream, 1 << 32, d * m).reshape(d, m)
        low, high, centre = box.low[:, None], box.high[:, None], box.centre[:, None]
        move = (u < box.share) | (u == u.min(axis=0)) | np.isnan(centre)
        inside = np.where(self._numeric[:, None], low + x * (high - low), x)
        placed = np.where(move, inside, centre)
        return settle(self._domain, np.where(np.isnan(placed), self._filler(u), placed))

    def _filler(self, u: Array) -> Array:
        """Values for what is inactive, should it become active."""
        return np.where(self._numeric[:, None], u, np.floor(u * self._levels))
