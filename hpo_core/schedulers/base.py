"""The contract of every scheduler: decisions about running trials, as pure functions of the history.

Glossary
--------
step        of a report, counted from 0, as ``trial.steps(n)`` counts
depth       steps done: a report of step s has the depth s + 1. ``min_steps`` and ``max_steps`` are depths
rung        a depth at which trials are compared; rung 0 is the shallowest
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from hpo_core.log import History, Move


class Verdict(NamedTuple):
    """What is to happen to a trial that has reported.

    Attributes
    ----------
    move : Move or None
        ``Move.STOP``, ``Move.PAUSE``, or None to go on.
    rung : int
        Rung at which this was decided; -1 if the rule has no rungs.
    reason : str
        Why, in a line; "" to go on.
    """

    move: Move | None = None
    rung: int = -1
    reason: str = ""


GO_ON = Verdict()


class Scheduler(ABC):
    """Decides which running trials stop or pause, and which paused trials go on.

    A scheduler object holds its options and, once started, a cache that can be rebuilt from the history at
    any time. If the class defines ``options``, a copy has these only. A decision is a function of the
    history, the seed of the study and the trial's number: neither clocks nor generators are read, so that a
    replay decides the same.
    """

    name: ClassVar[str]
    # Whether trials may pause, so that every ask looks for one that goes on.
    pauses: bool = False
    # Whether the sampler, if it can, chooses between paused trials and new ones.
    asks_sampler: bool = False
    # Steps of a full trial, if the scheduler knows.
    max_steps: int | None = None

    # Arguments of the constructor, each kept in an attribute of its name.
    _options: ClassVar[tuple[str, ...]] = ()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that make this scheduler again."""
        return {name: getattr(self, name) for name in self._options}

    def __reduce__(self) -> str | tuple[Any, ...]:
        if not self._options and type(self).options is Scheduler.options:
            return super().__reduce__()
        return partial(type(self), **self.options()), ()

    @abstractmethod
    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache."""

    @abstractmethod
    def decide(self, history: History, row: int) -> Verdict:
        """Decide about a running trial whose newest report has just been applied.

        It is asked once for each report with finite values, of a trial with no decision yet.
        """

    def resume(self, history: History, n: int) -> list[int]:  # noqa: ARG002
        """Return up to ``n`` paused trials that go on now, the most urgent first."""
        return []

    def rungs(self, steps: int) -> list[int]:  # noqa: ARG002
        """Return the depths below ``steps`` at which trials of so many steps are compared, ascending."""
        return []
