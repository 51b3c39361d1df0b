"""Seconds of trials in a storage, the same steps for every library."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench import timing

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 5


class Side(Protocol):
    """A study in a storage."""

    def cycles(self, n: int) -> None:
        """Ask, evaluate a trivial objective and tell, n times."""

    def ask(self, n: int) -> None:
        """Start n trials with all their parameters."""

    def tell(self) -> None:
        """Tell those one by one."""

    def tells(self) -> None:
        """Tell those 1,000 at once."""


def blocks(case: str, n: int, make: Callable[[Path], Side]) -> dict[str, Any]:
    """Spread over blocks of n trials, each in a new storage."""
    return {"seconds": timing.spread([_block(case, n, make) for _ in range(REPEATS)])}


def _block(case: str, n: int, make: Callable[[Path], Side]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        side = make(Path(folder))
        if case == "cycle":
            return timing.clock(lambda: side.cycles(n))
        side.ask(n)
        return timing.clock(side.tell if case == "tell" else side.tells)
