"""The common part of the rules that look at one metric's curve."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.schedulers.base import GO_ON, Scheduler, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.log import History
    from hpo_core.metrics import Metrics


class MetricRule(Scheduler):
    """Decides by the reports of one metric. Nothing is decided at the last planned step of a trial.

    Parameters
    ----------
    metric : str, optional
        By default the objective. A study with several objectives needs a name.

    Raises
    ------
    ArgumentError
        ``metric`` is not a name.
    """

    def __init__(self, *, metric: str | None = None) -> None:
        if metric is not None and not isinstance(metric, str):
            raise ArgumentError(f"metric must be the name of a metric or None, got {shown(metric)}")
        self.metric = metric

    def start(self, *, seed: int) -> None:  # noqa: ARG002
        """Bind to a study with an empty cache."""
        self._n_reports = 0

    def decide(self, history: History, row: int) -> Verdict:
        """Decide about a running trial whose newest report has just been applied."""
        depth, planned = history.last_step(row) + 1, history.planned.item(row)
        return GO_ON if 0 < planned <= depth else self._judge(history, row, depth)

    @abstractmethod
    def _judge(self, history: History, row: int, depth: int) -> Verdict:
        """Decide about a trial that has taken ``depth`` steps, not all it planned."""

    def _row(self, metrics: Metrics) -> int:
        """Return the row of the metric."""
        if self.metric in metrics.rows:
            return metrics.rows.index(self.metric)
        if self.metric is not None:
            raise StudyError(f"metric must be one of {some(metrics.rows)}, got {self.metric!r}")
        if metrics.n_objectives > 1:
            raise StudyError(
                f"metric must be the name of a metric in a study with {metrics.n_objectives} objectives, got "
                f"None; write metric={metrics.objectives[0]!r}, say, or use ASHA, which compares fronts"
            )
        return 0

    def _new_reports(self, history: History) -> Iterator[tuple[int, int, float]]:
        """Yield the reports that the cache has not seen and that are finite: row, depth, signed value."""
        first, reports = self._n_reports, history.reports
        values = np.atleast_2d(reports.value)[self._row(history.metrics), first:]
        new = reports.row[first:].tolist(), reports.step[first:].tolist(), values.tolist()
        self._n_reports += len(values)
        for row, step, value in zip(*new, strict=True):
            if -np.inf < value < np.inf:
                yield row, step + 1, value

    def _shown(self, metrics: Metrics, value: float) -> str:
        """Return a signed value as a reason shows it, in the user's sign."""
        return f"{metrics.sign.item(self._row(metrics)) * value + 0.0:.6g}"  # no -0
