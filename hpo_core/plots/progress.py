"""Values as the search went on: the best so far, how values are distributed, and when trials ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.analysis.axes import linear_ticks
from hpo_core.analysis.series import STATES, distribution, progress, timeline
from hpo_core.errors import ArgumentError
from hpo_core.plots.studies import check_study, labelled, objective_label, shared_direction
from hpo_core.plots.style import (
    AS_IS,
    BEST,
    CROSS,
    GREY,
    INFEASIBLE,
    INK,
    MANY,
    OTHER,
    OUTCOME_LOOKS,
    curve_style,
    head,
    new_figure,
    scale_if_wide,
    text,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hpo_core.analysis.series import Timeline
    from hpo_core.plots.studies import Studies, Study

_UNITS: Final = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0))  # from twice each on
_THIN, _BAR = 1.2, 6.0  # points that the bar of a trial is thick, at least and at most
_SHORTEST = 0.003  # length of a bar, as a share of the axis, so that it is seen


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_history(studies: Studies, *, ax: Axes | None = None) -> Axes:
    """Draw the best value so far against the number of finished trials.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend. All must have one objective, of the same
        direction.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Dots are single trials, lines the best so far. Failed trials count on the horizontal axis
        and leave no dot. Crosses are trials that break a bound of the metrics; they do not count for the
        best so far. The vertical axis is logarithmic if the values are positive and span more than a factor
        of 20.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, its directions differ, a study has several objectives, or no trial has
        completed.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> plot_history(study, ax=Figure().subplots()).get_xlabel()
    'finished trials'
    """
    curves = labelled("best so far", studies)
    shared_direction(curves)
    found = {label: progress(study) for label, study in curves.items()}
    seen = np.concatenate([each.value for each in found.values()])
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        raise ArgumentError("studies must hold a completed trial, got none")
    ax = new_figure().subplots() if ax is None else ax
    lines, labels = [], [text(label) for label in found]
    for k, (label, (_, y, best, feasible, _)) in enumerate(found.items()):
        trials, (colour, style) = np.arange(1, len(y) + 1), curve_style(k)
        many = len(y) > MANY
        ax.plot(trials, np.where(feasible, y, np.nan), **OTHER, color=colour, rasterized=many)
        ax.plot(trials, np.where(feasible, np.nan, y), **CROSS, color=colour, alpha=0.5, rasterized=many)
        lines += ax.plot(trials, best, style, **BEST, color=colour, label=text(label))
    if any((np.isfinite(each.value) & ~each.feasible).any() for each in found.values()):
        lines += ax.plot([], [], **CROSS, color=GREY)
        labels.append(INFEASIBLE)
    scale_if_wide(ax.yaxis, seen)
    longest = max(len(each.value) for each in found.values())
    ax.set(xlim=(0, longest + 1), xlabel="finished trials")
    ax.set_ylabel(objective_label(curves), **AS_IS)
    tidy(ax)
    head(ax, "best value so far", lines, labels)
    return ax


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_edf(studies: Studies, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the empirical distribution function of values: the share of trials with at most each value.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend.
    metric : str, optional
        A metric of all studies; by default the first objective of each.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each study, over its complete trials that keep all bounds. If the studies minimise, a
        higher line means more good values; if they maximise, a lower one. The horizontal
        axis is logarithmic if the values are positive and span more than a factor of 20.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, a study has no such metric, or no complete trial keeps all bounds.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> plot_edf(study, ax=Figure().subplots()).get_ylabel()
    'share of trials'
    """
    shown = labelled("trials", studies)
    if not shown:
        raise ArgumentError("studies must be one or more, got no study")
    found = [distribution(study, metric) for study in shown.values()]
    seen = np.concatenate([each.value for each in found])
    if not seen.size:
        raise ArgumentError("studies must hold a completed trial that keeps all bounds, got none")
    ax = new_figure().subplots() if ax is None else ax
    low, high = seen.min(), seen.max()
    lines: list[Any] = []
    for k, each in enumerate(found):
        colour, style = curve_style(k)
        value = np.concatenate([[low], each.value, [high]])
        lines += ax.plot(value, np.concatenate([[0.0], each.share, [1.0]]), style, **BEST, color=colour)
    scale_if_wide(ax.xaxis, seen)
    ax.set(ylim=(0, 1.02), ylabel="share of trials")
    ax.set_xlabel(objective_label(shown) if metric is None else text(metric), **AS_IS)
    tidy(ax)
    head(ax, "distribution of values", lines, [*map(text, shown)])
    return ax


def plot_timeline(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw when each trial ran, coloured by outcome.

    Parameters
    ----------
    study : Study
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A bar for each trial, at its number, from its start to its end; the bar of a running trial ends at the
        last known event. If a trial was resumed after a pause or given to another worker, its last run is
        shown; a ring marks the start if it was given to another worker. A trial that was added without a
        start begins when it was added.

    Raises
    ------
    ArgumentError
        No trial has a start.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> plot_timeline(study, ax=Figure().subplots()).get_ylabel()
    'trial'
    """
    check_study("study", study)
    found = timeline(study)
    if not len(found.number):
        raise ArgumentError("study must hold a trial whose start is known, got none")
    ax = new_figure().subplots() if ax is None else ax
    last = float(np.fmax(np.nanmax(found.start), np.nanmax(np.append(found.end, 0.0))))
    unit, seconds = next(((name, each) for name, each in _UNITS if last >= 2.0 * each), ("seconds", 1.0))
    entries, labels = _draw_bars(ax, found, last, seconds)
    again = found.retries > 0
    if again.any():
        ring: dict[str, Any] = {"marker": "o", "linestyle": "", "markerfacecolor": "none", "color": INK}
        entries += ax.plot(found.start[again] / seconds, found.number[again], **ring, markersize=4)
        labels.append(f"given out again ({again.sum():,})")
    n = int(found.number.max()) + 1
    ax.set(xlim=(0.0, 1.02 * last / seconds or 1.0), ylim=(n - 0.4, -0.6), xlabel=unit, ylabel="trial")
    ax.set_yticks(np.unique(np.rint(linear_ticks(0.0, n - 1.0))))
    tidy(ax)
    head(ax, "when trials ran", entries, labels)
    return ax


def _draw_bars(ax: Axes, found: Timeline, last: float, seconds: float) -> tuple[list[Any], list[str]]:
    """Draw the bars of a timeline, and return what its legend shows, and its labels."""
    from matplotlib.collections import LineCollection

    height = ax.get_window_extent().height * 72.0 / ax.figure.dpi
    thickness = float(np.clip(0.8 * height / (int(found.number.max()) + 1), _THIN, _BAR))
    end = np.where(np.isnan(found.end), last, found.end)
    end = np.maximum(end, found.start + _SHORTEST * last)
    bars = np.stack([np.column_stack([x / seconds, found.number]) for x in (found.start, end)], axis=1)
    entries: list[Any] = []
    labels: list[str] = []
    for kind, look in OUTCOME_LOOKS.items():
        mask = found.state == STATES.index(kind)
        if not mask.any():
            continue
        lines = LineCollection(
            bars[mask],
            colors=look["color"],
            linewidths=thickness,
            capstyle="projecting",
            rasterized=len(mask) > MANY,
        )
        ax.add_collection(lines, autolim=False)
        entries += ax.plot([], [], color=look["color"], linewidth=_BAR)
        labels.append(f"{kind} ({mask.sum():,})")
    return entries, labels
