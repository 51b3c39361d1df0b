"""Ready-made callbacks for ``optimize`` that end a search before its limit.

For a limit in seconds use ``optimize(timeout=...)``, for a number of trials ``n_trials=`` or ``until=``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo_core.checks import check_int, check_number
from hpo_core.errors import StudyError

if TYPE_CHECKING:
    from hpo_core.study import Study
    from hpo_core.trial import Trial

__all__ = ["NoImprovement", "Target"]


class NoImprovement:
    """Stops a search when the last ``trials`` finished trials have brought no new best value.

    Failed trials count, and so do trials of other processes and of earlier calls.

    Parameters
    ----------
    trials : int
        At least 1.

    Raises
    ------
    ArgumentError
        ``trials`` is not an int of at least 1.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: 1.0, n_trials=100, callbacks=[hpo.callbacks.NoImprovement(10)])
    >>> len(study.trials)
    11
    """

    def __init__(self, trials: int) -> None:
        self.trials = check_int("trials", trials, 1)

    def __call__(self, study: Study, trial: Trial) -> None:  # noqa: ARG002 - what optimize calls
        """Stop the study if it is time."""
        best = _best(study)  # first: it reads the trials that other processes have finished
        last = study.history.finish_order[-self.trials :]
        if len(last) == self.trials and (best is None or best.number not in last):
            study.stop()


class Target:
    """Stops a search when a trial is at least as good as ``value``.

    Parameters
    ----------
    value : float
        In the study's direction.

    Raises
    ------
    ArgumentError
        ``value`` is not a finite number.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: abs(trial["x"]), n_trials=1000, callbacks=[hpo.callbacks.Target(0.01)])
    >>> study.best_value <= 0.01, len(study.trials) < 1000
    (True, True)
    """

    def __init__(self, value: float) -> None:
        self.value = check_number("value", value, "a finite number", math.isfinite)

    def __call__(self, study: Study, trial: Trial) -> None:  # noqa: ARG002 - what optimize calls
        """Stop the study if it is time."""
        best = _best(study)
        if best is not None and best.value is not None:
            reached = best.value <= self.value if study.direction == "minimize" else best.value >= self.value
            if reached:
                study.stop()


def _best(study: Study) -> Trial | None:
    try:
        return study.best_trial
    except StudyError:  # none has completed
        return None
