"""The study as the loop sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hpo_core.trial.handles import OwningStudy

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.trial import Trial, TrialBatch


class ClaimsLike(Protocol):
    """Asks for the trials of one call of ``optimize``."""

    def claim(
        self, n: int | None, until: int | None, new: int | None = None, *, aside: bool = False
    ) -> Trial | TrialBatch | None:
        """Start one trial, or up to ``n`` at once, of which at most ``new`` were never asked before.

        None if nothing may start: ``until`` trials are finished, paused or claimed, and none goes on. With
        ``aside``, other threads may change the study while the sampler is at work.
        """

    def wait_until(self, latest: float) -> None:
        """Let waits for others, for example for a lock, end at this time of ``time.monotonic``."""

    @property
    def is_waiting(self) -> bool:
        """Whether this waits for others and has not begun to change anything."""

    def running(self) -> TrialBatch:
        """Return the running trials of this call."""

    def waits(self, until: int) -> bool:
        """Whether this worker may still be given trials that others have claimed."""

    def close(self) -> None:
        """Let the lease end: nothing is running any more."""


class StudyLike(OwningStudy, Protocol):
    """The part of a study that the loop needs, beyond the part that its trials need."""

    _stops: int  # calls of study.stop()

    @property
    def pauses(self) -> bool:
        """Whether trials may pause, and go on later."""

    @property
    def allow_duplicates(self) -> bool:
        """Whether a finite space is never exhausted."""

    @property
    def suggest_seconds(self) -> float:
        """Seconds spent computing suggestions."""

    @property
    def _suggests_slowly(self) -> bool:
        """Whether a suggestion may take longer than a write."""

    @property
    def n_finished(self) -> int:
        """Trials that are complete, stopped or failed."""

    @property
    def best_value(self) -> float:
        """Value of the best trial; an ``HpoError`` while none is complete."""

    def front(self) -> TrialBatch:
        """Return the trials that keep all bounds and that no other one dominates."""

    @property
    def trials(self) -> Any:
        """Every trial, by its number."""

    def in_new_space(self) -> StudyLike | None:
        """Return the study in the space that another process gave it; None if that has not happened."""

    def _pause_running(self, trials: Any) -> None:
        """Pause trials that count as running but have no worker any more."""

    def _on_clock(self, clock: Callable[[], float] | None) -> AbstractContextManager[None]:
        """Let times and costs of trials come from this clock inside the context; None: the machine's."""

    def _on_report(self, hear: Callable[[], None]) -> AbstractContextManager[None]:
        """Call a function after each report that is made in this process, inside the context."""

    def _claims(self) -> ClaimsLike:
        """Return the claims of a new call; an ``ArgumentError`` if a setting of the study is wrong."""

    def _transact(self, change: Callable[[], object]) -> None:
        """Call a function that changes the study several times; all changes are written, or none."""

    def _is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each trial is to stop or pause, has ended, or was taken over elsewhere, (k,)."""

    def tell(self, trials: Any, values: Any) -> None:
        """Complete trials."""

    def fail(self, trials: Any, *, reason: str, traceback: str | None = None) -> None:
        """Fail trials."""

    def _end_early(self, trials: Any) -> None:
        """Stop running trials, or pause them if that was decided; one that stops without a report fails."""

    def _complete(self, trials: Any, values: Any) -> None:
        """Complete trials, whatever was decided."""
