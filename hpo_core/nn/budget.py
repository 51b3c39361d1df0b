"""What a network costs, and a limit on it that works over columns."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from hpo_core.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Counts(NamedTuple):
    """Parameters, and multiply-accumulates of a forward pass: two ints, or a column (n,) of each."""

    params: Any
    macs: Any


class Costed(Protocol):
    """Something that knows the costs of its configurations."""

    def counts(self, params: Mapping[str, Any], /) -> Counts:
        """Costs per row of a mapping of columns."""


@dataclass(frozen=True)
class Budget:
    """A function of columns for ``feasible=``: where a network costs no more than this.

    Parameters
    ----------
    of : LightNet or Compression
        What counts.
    params, macs : float, optional
        Largest numbers allowed, > 0; None for no limit.

    Raises
    ------
    ArgumentError
        A limit is not a number > 0.

    Examples
    --------
    >>> from hpo_core.nn import Budget, LightNet
    >>> net = LightNet((1, 28, 28), 10)
    >>> net.budget(params=50_000, macs=5e6) == Budget(net, params=50_000, macs=5e6)
    True
    """

    of: Costed
    _: KW_ONLY
    params: float | None = None
    macs: float | None = None

    def __post_init__(self) -> None:
        if not callable(getattr(self.of, "counts", None)):
            raise ArgumentError(f"of must be a LightNet or a Compression, got {self.of!r}")
        for name in ("params", "macs"):
            limit = getattr(self, name)
            if limit is not None and not (_is_number(limit) and limit > 0):
                raise ArgumentError(f"{name} must be a number > 0 or None, got {limit!r}")

    def __call__(self, columns: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Where both limits hold, (n,)."""
        counts = self.of.counts(columns)
        allowed = np.ones(np.shape(counts.params), dtype=np.bool_)
        if self.params is not None:
            allowed &= counts.params <= self.params
        if self.macs is not None:
            allowed &= counts.macs <= self.macs
        return allowed


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return known and not math.isnan(value)
