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
    """A decision about a trial that has reported.

    Attributes
    ----------
    move : Move or None
        ``Move.STOP``, ``Move.PAUSE``, or None to continue.
    rung : int
        Rung at which the decision was made; -1 if the rule has no rungs.
    reason : str
        Reason for stopping or pausing, in one line; "" to continue.
    """

    move: Move | None = None
    rung: int = -1
    reason: str = ""


GO_ON = Verdict()


class Scheduler(ABC):
    """Decides which running trials stop or pause, and which paused trials continue.

    This is the base class of all schedulers, and of your own. A scheduler object holds its options and, once
    started, a cache that can be rebuilt from the history at any time. If the class defines ``options``, a
    copy keeps only these. A decision must be a function of the history, the seed of the study and the trial's
    number, without clocks and random generators, so that a replay makes the same decisions.
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
        """Return the keyword arguments that recreate this scheduler."""
        return {name: getattr(self, name) for name in self._options}

    def __reduce__(self) -> str | tuple[Any, ...]:
        if not self._options and type(self).options is Scheduler.options:
            return super().__reduce__()
        return partial(type(self), **self.options()), ()

    @abstractmethod
    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache.

        Parameters
        ----------
        seed : int
            Seed of the study.
        """

    @abstractmethod
    def decide(self, history: History, row: int) -> Verdict:
        """Decide about a running trial whose newest report has just been applied.

        It is called once for each report with finite values, if the trial has no decision yet.

        Parameters
        ----------
        history : History
        row : int
            Number of the trial.

        Returns
        -------
        Verdict
        """

    def resume(self, history: History, n: int) -> list[int]:  # noqa: ARG002
        """Return paused trials that continue now, the most urgent first.

        Parameters
        ----------
        history : History
        n : int
            Largest number of trials to return.

        Returns
        -------
        list of int
            Trial numbers; by default none.
        """
        return []

    def rungs(self, steps: int) -> list[int]:  # noqa: ARG002
        """Return the depths at which trials are compared.

        Parameters
        ----------
        steps : int
            Number of steps of a trial.

        Returns
        -------
        list of int
            Numbers of steps below ``steps``, ascending; by default none.
        """
        return []
