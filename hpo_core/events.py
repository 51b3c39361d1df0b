"""The typed events of a study's log. A study's state is the log applied to ``History``.

Events carry batches: one ``Asked`` for a whole ``ask(256)``. ``x`` is in internal coordinates while
the event lives in memory; a storage decodes it to values as the user knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Trials ``first .. first + n - 1`` started."""

    first: int
    x: NDArray[np.float64]  # (d, n)
    cursor: int  # log position the suggestion had seen
    tier: str  # which sampler answered: "random", "sobol", "tpe", "enqueued", "added", ...


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Trials completed."""

    rows: NDArray[np.int64]  # (k,)
    y: NDArray[np.float64]  # (m, k), minimised
    cost: NDArray[np.float64]  # (k,) seconds since asked


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """Trials failed; they are learnt from, never lost."""

    rows: NDArray[np.int64]
    reason: str
    cost: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stopped:
    """Trials ended early, each with its last reported value."""

    rows: NDArray[np.int64]
    y: NDArray[np.float64]
    cost: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """An intermediate value of running trials at one step."""

    rows: NDArray[np.int64]
    step: int
    y: NDArray[np.float64]  # (k,) minimised


Event: TypeAlias = Asked | Told | Failed | Stopped | Reported
