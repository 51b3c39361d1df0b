"""Stop trials whose values leave a range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hpo_core.checks import check_int, check_number
from hpo_core.errors import ArgumentError
from hpo_core.hints import hinting_class
from hpo_core.log.columns import Move
from hpo_core.schedulers.base import GO_ON, Verdict
from hpo_core.schedulers.metric import MetricRule

if TYPE_CHECKING:
    from hpo_core.log import History


@hinting_class
class Threshold(MetricRule):
    """Stops a trial that reports a value above ``upper`` or below ``lower``.

    Parameters
    ----------
    upper, lower : float, optional
        Limits in the units of the metric, whatever the direction. At least one is needed.
    after : int
        Number of first steps of a trial during which nothing is decided.
    metric : str, optional
        By default the objective. A study with several objectives needs a name.

    Raises
    ------
    ArgumentError
        Both limits are missing, or an option is outside its range.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler=hpo.Threshold(upper=10.0), seed=0)
    >>> trial = study.ask()
    >>> trial.report(0, 11.0)
    >>> trial.should_stop()
    True
    """

    name: ClassVar[str] = "threshold"
    _options: ClassVar[tuple[str, ...]] = ("upper", "lower", "after", "metric")

    def __init__(
        self,
        *,
        upper: float | None = None,
        lower: float | None = None,
        after: int = 0,
        metric: str | None = None,
    ) -> None:
        super().__init__(metric=metric)
        if upper is None and lower is None:
            raise ArgumentError(
                "upper or lower must be a number, got None for both; write Threshold(upper=10.0), for example"
            )
        rule = "a finite number or None"
        self.upper = None if upper is None else check_number("upper", upper, rule, math.isfinite)
        self.lower = None if lower is None else check_number("lower", lower, rule, math.isfinite)
        if upper is not None and lower is not None and not lower <= upper:
            raise ArgumentError(f"lower must be a number <= upper, {upper}, got {lower}")
        self.after = check_int("after", after, 0)

    def _judge(self, history: History, row: int, depth: int) -> Verdict:
        if depth <= self.after:
            return GO_ON
        place = self._row(history.metrics)
        values = history.reports.value
        signed = values.item(*([place] * (values.ndim - 1)), history.last_report.item(row))
        value = history.metrics.sign.item(place) * signed
        if self.upper is not None and value > self.upper:
            broken = f"above {self.upper:g}"
        elif self.lower is not None and value < self.lower:
            broken = f"below {self.lower:g}"
        else:
            return GO_ON
        return Verdict(
            Move.STOP, -1, f"step {depth - 1:,}: {self._shown(history.metrics, signed)} is {broken}"
        )
