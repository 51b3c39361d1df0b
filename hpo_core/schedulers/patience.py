"""Stop trials that no longer improve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hpo_core.checks import check_int, check_number
from hpo_core.hints import hinting_class
from hpo_core.log.columns import Move
from hpo_core.schedulers.base import GO_ON, Verdict
from hpo_core.schedulers.metric import MetricRule

if TYPE_CHECKING:
    from hpo_core.log import History


@hinting_class
class Patience(MetricRule):
    """Stops a trial that has not improved for ``steps`` steps.

    Only the trial's own curve counts. A trial that stops is not complete, so ``best_trial`` ignores it. If
    trainings should end early and count as complete, end the loop in the objective.

    Parameters
    ----------
    steps : int
        Number of steps without an improvement.
    min_delta : float
        Least difference that counts as an improvement: it must be exceeded.
    metric : str, optional
        By default the objective. A study with several objectives needs a name.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler=hpo.Patience(2), seed=0)
    >>> trial = study.ask()
    >>> for step, loss in enumerate([0.5, 0.4, 0.45, 0.41]):
    ...     trial.report(step, loss)
    >>> trial.should_stop()
    True
    """

    name: ClassVar[str] = "patience"
    _options: ClassVar[tuple[str, ...]] = ("steps", "min_delta", "metric")

    def __init__(self, steps: int = 10, *, min_delta: float = 0.0, metric: str | None = None) -> None:
        super().__init__(metric=metric)
        self.steps = check_int("steps", steps, 1)
        rule = "a finite number >= 0"
        self.min_delta = check_number("min_delta", min_delta, rule, lambda x: 0 <= x < math.inf)

    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache."""
        super().start(seed=seed)
        self._best: dict[int, tuple[int, float]] = {}  # by row: depth of the last improvement, value

    def _judge(self, history: History, row: int, depth: int) -> Verdict:
        for each, at, value in self._new_reports(history):
            if each not in self._best or value < self._best[each][1] - self.min_delta:
                self._best[each] = at, value
        since, best = self._best.get(row, (depth, 0.0))
        if depth - since < self.steps:
            return GO_ON
        return Verdict(
            Move.STOP,
            -1,
            f"step {depth - 1:,}: no better than {self._shown(history.metrics, best)} for {depth - since:,} "
            f"step{'s'[: depth - since > 1]}",
        )
