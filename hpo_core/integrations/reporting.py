"""The common part of the reporting callbacks of all training frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.trial import Trial

Monitor: TypeAlias = str | Mapping[str, str] | Callable[[Mapping[str, Any]], Any]


class Reporter:
    """Reports values that a framework has measured to a trial, and says if the training is to stop.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        The framework's name of the value to report. For a study of several metrics, a mapping of each metric
        to such a name. Or a function of all values by name, which returns what ``trial.report`` takes.

    Raises
    ------
    ArgumentError
        ``trial`` is not a ``Trial``, or ``monitor`` does not name each metric of the study.
    """

    def __init__(self, trial: Trial, monitor: Monitor) -> None:
        if not isinstance(trial, Trial):
            raise ArgumentError(f"trial must be the Trial that the objective got, got {shown(trial)}")
        self._trial = trial
        self._names, self._read = _reader(monitor, trial._study.metrics.reader.measured)
        self._last = -1

    def plan(self, steps: float) -> None:
        """Tell the study the number of steps of the training if it is known, an int above 0."""
        if isinstance(steps, int) and steps > 0:
            self._trial.steps(steps)

    def knows(self, found: Iterable[str]) -> bool:
        """Return whether every monitored name is among these."""
        return set(self._names) <= set(found)

    def report(self, step: int, found: Mapping[str, Any]) -> bool:
        """Report the monitored values, and return whether the training is to stop.

        A step that is not above the last one is not reported again.

        Raises
        ------
        ArgumentError
            A monitored name is not there.
        """
        if step > self._last:
            self._trial.report(step, self._read(found))
            self._last = step
        return self._trial.should_stop()


def _reader(
    monitor: Any, measured: tuple[str, ...]
) -> tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Any]]:
    """Return the names to monitor, and the function that makes a report of all values by name."""
    if isinstance(monitor, str) and len(measured) == 1:
        return (monitor,), partial(_value, monitor)
    if isinstance(monitor, Mapping) and set(monitor) == set(measured):
        names = dict(monitor)
        for name in names.values():
            if not isinstance(name, str):
                raise ArgumentError(f"monitor must map metrics to names of values, got {shown(name)}")
        return tuple(names.values()), lambda found: {
            metric: _value(name, found) for metric, name in names.items()
        }
    if callable(monitor):
        return (), monitor
    if len(measured) == 1:
        rule = "the name of a value that the framework logs"
    else:
        rule = f"a mapping of the metrics {some(measured)} to names of values that the framework logs"
    raise ArgumentError(f"monitor must be {rule}, or a function of all of them, got {shown(monitor)}")


def _value(name: str, found: Mapping[str, Any]) -> Any:
    if name not in found:
        there = f"one of {some(sorted(found))}" if found else "a value that is logged, and none is"
        raise ArgumentError(f"monitor must be {there}, got {name!r}{did_you_mean(name, found)}")
    value = found[name]
    return value.item() if hasattr(value, "item") else value  # a tensor, say
