"""The progress bar of ``optimize``: best value or size of the front, paused trials, trials/s and the share of
time spent suggesting.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpo_core.errors import ArgumentError, HpoError
from hpo_core.log import State

if TYPE_CHECKING:
    from hpo_core.run.protocol import StudyLike

# Seconds between looks at the study: the eye needs no more, and a look is not free.
REFRESH_SECONDS = 0.1


class ProgressBar:
    """A tqdm bar over the trials that finish.

    Parameters
    ----------
    study : StudyLike
    total : int or None
        Trials expected, if that is known.

    Raises
    ------
    ArgumentError
        tqdm is not installed.
    """

    def __init__(self, study: StudyLike, total: int | None) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ArgumentError("progress=True needs tqdm: pip install 'hpo-core[progress]'") from error
        self._study = study
        self._suggested_before = study.suggest_seconds
        self._bar = tqdm(total=total, unit=" trials", dynamic_ncols=True)
        self._started = self._shown = time.monotonic()

    def update(self, n: int) -> None:
        """Count ``n`` more trials."""
        if time.monotonic() - self._shown >= REFRESH_SECONDS:
            self._describe()
        self._bar.update(n)

    def close(self) -> None:
        """Leave the last line standing."""
        self._describe()
        self._bar.close()

    def _describe(self) -> None:
        self._shown = time.monotonic()
        share = (self._study.suggest_seconds - self._suggested_before) / max(
            self._shown - self._started, 1e-9
        )
        n = self._study.history.count(State.PAUSED)
        paused = f", {n} paused" if n else ""
        self._bar.set_postfix_str(f"{self._found()}{paused}, suggesting {min(share, 1.0):.1%}", refresh=False)

    def _found(self) -> str:
        metrics = self._study.metrics
        # With bounds the best value may be of a trial that breaks them.
        if metrics.n_objectives > 1 or metrics.constraints:
            n = len(self._study.front())
            if metrics.n_objectives > 1 or not n:
                return f"{n} on the front" if n else "none feasible"
        try:
            return f"best {self._study.best_value:.6g}"
        except HpoError:
            return "best none"
