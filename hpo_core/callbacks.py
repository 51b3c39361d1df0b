"""Callbacks for ``optimize``: the base class ``Callback``, and two that end a search before its limit.

For a limit in seconds use ``optimize(timeout=...)``, for a number of trials ``n_trials=`` or ``until=``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.checks import check_int, check_number, shown, some
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.hints import did_you_mean
from hpo_core.run.callbacks import Callback

if TYPE_CHECKING:
    from hpo_core.study import Study
    from hpo_core.trial import Trial

__all__ = ["Callback", "NoImprovement", "Target"]


class NoImprovement:
    """Stops a search when the last ``trials`` finished trials have brought no new best value.

    With several objectives, it stops the search when none of these trials has reached the front; a trial with
    the same values as an earlier one has not. Failed trials count, and so do trials of other processes and
    of earlier calls. Paused trials count once they have ended.

    Parameters
    ----------
    trials : int
        Number of trials without an improvement, at least 1.

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
        improved = _front_has if study.metrics.n_objectives > 1 else _best_is
        if not improved(study, self.trials):
            study.stop()


def _best_is(study: Study, trials: int) -> bool:
    """Whether the best trial is among the last ``trials``, or there are fewer."""
    best = _best(study)  # first: it reads the trials that other processes have finished
    last = study.history.finish_order[-trials:]
    return len(last) < trials or (best is not None and best.number in last)


def _front_has(study: Study, trials: int) -> bool:
    """Whether one of the last ``trials`` has come to the front with values of its own, or there are fewer."""
    front = study.best_trials  # first, as above
    last = study.history.finish_order[-trials:]
    points = zip(*(front.values[name].tolist() for name in study.metrics.objectives), strict=True)
    new: set[Any] = set()
    old: set[Any] = set()
    for number, point in zip(front.number.tolist(), points, strict=True):
        (new if number in last else old).add(point)
    return len(last) < trials or bool(new - old)


class Target:
    """Stops a search when a trial that keeps all bounds is at least as good as ``value``.

    Parameters
    ----------
    value : float, or mapping of objectives to float
        The value to reach, as the objective returns it. With several objectives, a mapping: one trial must
        reach all of its values.

    Raises
    ------
    ArgumentError
        ``value`` is not a finite number or a mapping of names to such numbers; in ``optimize``, if it does
        not fit the objectives of the study.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: abs(trial["x"]), n_trials=1000, callbacks=[hpo.callbacks.Target(0.01)])
    >>> study.best_value <= 0.01, len(study.trials) < 1000
    (True, True)
    """

    def __init__(self, value: float | Mapping[str, float]) -> None:
        self.value: float | dict[str, float]
        rule = "a finite number"
        if not isinstance(value, Mapping):
            self.value = check_number("value", value, f"{rule}, or a mapping of names to them", math.isfinite)
            return
        if not value:
            raise ArgumentError("value must name an objective, got {}")
        self.value = {
            name: check_number(f"value[{name!r}]", each, rule, math.isfinite) for name, each in value.items()
        }

    def __call__(self, study: Study, trial: Trial) -> None:  # noqa: ARG002 - what optimize calls
        """Stop the study if it is time."""
        wanted = self._by_objective(study)
        several = study.metrics.n_objectives > 1
        found = study.trials.where("complete") if several else _best(study)
        values = None if found is None else found.values
        if found is None or values is None:
            return
        reached = np.asarray(found.feasible)
        for name, value in wanted.items():
            sign = -1.0 if study.metrics[name].kind == "maximize" else 1.0
            reached = reached & (sign * np.asarray(values[name]) <= sign * value)
        if reached.any():
            study.stop()

    def _by_objective(self, study: Study) -> dict[str, float]:
        names = study.metrics.objectives
        if isinstance(self.value, dict):
            for name in self.value:
                if name not in names:
                    hint = did_you_mean(name, names)
                    raise ArgumentError(
                        f"value must name objectives ({some(names)}), got {shown(name)}{hint}"
                    )
            return self.value
        if len(names) > 1:
            raise ArgumentError(
                f"value must be a mapping, because the study has {len(names)} objectives ({some(names)}), "
                f"got {self.value!r}; write Target({{{names[0]!r}: {self.value!r}}})"
            )
        return {names[0]: self.value}


def _best(study: Study) -> Trial | None:
    try:
        return study.best_trial
    except StudyError:  # none has completed
        return None
