"""The study as the loop sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hpo_core.trial.handles import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.trial import Trial, TrialBatch


class ClaimsLike(Protocol):
    """Asks for the trials of one call of ``optimize``."""

    def claim(self, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        """Ask for one trial, or up to ``n``; None if the study holds ``until``, finished or claimed."""

    def wait_until(self, latest: float) -> None:
        """Wait for others, for a lock say, until this time of ``time.monotonic`` at the latest."""

    @property
    def is_waiting(self) -> bool:
        """Whether others are waited for, and nothing of a change has been done."""

    def running(self) -> TrialBatch:
        """Return the trials of this call that run."""

    def waits(self, until: int) -> bool:
        """Whether trials that others have claimed may still come to this worker."""

    def close(self) -> None:
        """Nothing is running any more."""


class StudyLike(Owner, Protocol):
    """What the loop needs of a study, beside what its trials need."""

    _stops: int  # calls of study.stop()

    @property
    def allow_duplicates(self) -> bool:
        """Whether a finite space is never exhausted."""

    @property
    def suggest_seconds(self) -> float:
        """Time spent inside ``ask`` so far."""

    @property
    def n_finished(self) -> int:
        """Trials that are complete, stopped or failed."""

    @property
    def best_value(self) -> float:
        """Value of the best trial; an ``HpoError`` while none is complete."""

    @property
    def trials(self) -> Any:
        """Every trial, by its number."""

    def in_new_space(self) -> StudyLike | None:
        """Return the study in the space that another process gave it; None if that has not happened."""

    def _claims(self) -> ClaimsLike:
        """Who asks; an ``ArgumentError`` where a setting of the study is wrong."""

    def _transact(self, change: Callable[[], object]) -> None:
        """Call what changes the study several times; all of it is written, or nothing."""

    def _is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where a trial no longer runs here: it has ended, or another process has taken it over, (k,)."""

    def tell(self, trials: Any, values: Any) -> None:
        """Complete trials."""

    def fail(self, trials: Any, *, reason: str, traceback: str | None = None) -> None:
        """Fail trials."""

    def stop_trials(self, trials: Any) -> None:
        """End running trials as stopped, each with its last report; one without fails."""
