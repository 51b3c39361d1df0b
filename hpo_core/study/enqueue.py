"""Completion of enqueued configurations: the sampler chooses the values that the user left open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hpo_core.log.events import ENQUEUED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.events import Enqueued
    from hpo_core.samplers.base import Sampler
    from hpo_core.space import Space

# Proposals drawn to complete an enqueued configuration. The first that the constraints permit is taken. A
# sampler already avoids forbidden configurations, so only the fixed values can make a proposal forbidden.
_PROPOSALS: Final = 32


def complete(
    space: Space, sampler: Sampler, history: History, enqueued: Enqueued
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, bool]:
    """Complete an enqueued configuration with the sampler's choice for the next trial.

    Returns
    -------
    x : (d, 1) array
    given : (d, 1) array or None
    permitted : bool
        False if the constraints reject every proposal; ``x`` then has the defaults.
    """
    fixed = enqueued.fixed
    x, given = fill_with_defaults(space, enqueued)
    if not is_complete(x, fixed):
        drawn = sampler.ask_again(history, len(history), _PROPOSALS, ENQUEUED).x
        proposals = space.impose(drawn, fixed, enqueued.given)
        exact = _active(proposals, enqueued.given)
        good = np.flatnonzero(space.permits(proposals, exact))[:1]
        if len(good) == 0:
            return x, given, False
        x, given = proposals[:, good], None if exact is None else exact[:, good]
    return x, given, True


def fill_with_defaults(
    space: Space, enqueued: Enqueued
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return an enqueued configuration, its open parameters at their defaults, and its ``given``, (d, 1)."""
    x = space.impose(np.full((len(enqueued.fixed), 1), np.nan), enqueued.fixed, enqueued.given)
    return x, _active(x, enqueued.given)


def _active(x: NDArray[np.float64], given: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Return ``given`` (d,) for each column of x (d, k), NaN where a parameter is inactive."""
    return None if given is None else np.where(np.isnan(x), np.nan, given[:, np.newaxis])


def is_complete(x: NDArray[np.float64], fixed: NDArray[np.float64]) -> bool:
    """Whether every parameter active in ``x`` (d, 1) was fixed."""
    return not bool((~np.isnan(x[:, 0]) & np.isnan(fixed)).any())
