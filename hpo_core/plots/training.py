"""Trainings: learning curves, and the best value against the steps of all trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.analysis.axes import WIDE
from hpo_core.analysis.curves import OUTCOMES, Curves, Path, best_by_steps, curves, measured_metric
from hpo_core.analysis.savings import savings
from hpo_core.analysis.series import STATES
from hpo_core.errors import ArgumentError
from hpo_core.plots.studies import check_study, labelled, objective_label, shared_direction
from hpo_core.plots.style import (
    AS_IS,
    GREY,
    INK,
    OUTCOME_LOOKS,
    curve_style,
    head,
    new_figure,
    scale_if_wide,
    scale_log,
    text,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hpo_core.plots.studies import Studies, Study

    Vector = NDArray[np.float64]

_UNSPENT: Final[dict[str, Any]] = {"linestyle": (0, (2, 2)), "linewidth": 1.4}
_FIRST_STEPS = 50  # the share of all steps after which the picture of them begins


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_curves(study: Study, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the learning curves of a study, coloured by outcome.

    Parameters
    ----------
    study : Study
    metric : str, optional
        A measured metric; by default the first objective.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A curve for each trial that has reported, with a mark where it ends, against the steps done. The best
        trial, or the front, is thick. Dotted lines are the rungs at which trials were stopped or paused. Of
        more than 300 curves a sample is drawn, with equal numbers of each outcome if possible. The horizontal
        axis is logarithmic if the rungs span more than a factor of 20, the vertical one if the values are
        positive and span more than a factor of 20.

    Raises
    ------
    ArgumentError
        The study has no such metric, or holds no report of a finite value.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"rate": hpo.Float(0.5, 1)}, sampler="random", seed=0)
    >>> def train(trial):
    ...     for step in trial.steps(9):
    ...         trial.report(step, trial["rate"] ** step)
    ...     return trial["rate"] ** 8
    >>> study.optimize(train, n_trials=9)
    >>> plot_curves(study, ax=Figure().subplots()).get_xlabel()
    'steps done'
    """
    check_study("study", study)
    metric = measured_metric(study, metric)
    best = study.best_trials.number
    found = curves(study, metric, keep=best.tolist())
    if not len(found.number):
        raise ArgumentError("study must hold a report of a finite value, got none")
    ax = new_figure().subplots() if ax is None else ax
    entries, labels = _draw_outcomes(ax, found, best)
    _mark_rungs(ax, found.rungs, found.step.max())
    scale_if_wide(ax.yaxis, found.value)
    ax.set_xlabel("steps done")
    ax.set_ylabel(text(metric) if len(study.metrics) > 1 else objective_label({"": study}), **AS_IS)
    tidy(ax)
    head(ax, "learning curves", entries, labels)
    return ax


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_steps(studies: Studies, *, ax: Axes | None = None) -> Axes:
    """Draw the best value seen so far against the steps that all trials have done together.

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
        A line for each study, over all reports and results that keep the bounds. A step that is repeated
        counts once. If trials were stopped or paused, a dotted line continues to the number of steps of the
        same trials without stopping. The horizontal axis is logarithmic, and begins at a fiftieth of the
        steps done.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, its directions differ, a study has several objectives, or none has a report.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"rate": hpo.Float(0.5, 1)}, sampler="random", seed=0)
    >>> for trial in study.ask(9):
    ...     for step in range(4):
    ...         trial.report(step, trial["rate"] ** step)
    >>> plot_steps(study, ax=Figure().subplots()).get_xlabel()
    'steps of all trials'
    """
    shown = labelled("best so far", studies)
    shared_direction(shown)
    paths = [best_by_steps(study) for study in shown.values()]
    saved = [savings(study.history) for study in shown.values()]
    longest = float(max(max(each.steps, each.whole) for each in saved))
    first = max(1.0, min(each.steps for each in saved) / _FIRST_STEPS)
    paths = [_from(path, first) for path in paths]
    seen = np.concatenate([best for _, best in paths])
    seen = seen[np.isfinite(seen)]
    if not seen.size or not longest:
        raise ArgumentError("studies must hold a report of a finite value that keeps all bounds, got none")
    ax = new_figure().subplots() if ax is None else ax
    entries, labels = [], [*map(text, shown)]
    for k, ((spent, best), each) in enumerate(zip(paths, saved, strict=True)):
        colour, style = curve_style(k)
        entries += ax.plot(spent, best, style, color=colour, linewidth=2.2, drawstyle="steps-post")
        if each.whole > each.steps:
            ax.plot([each.steps, each.whole], [best[-1]] * 2, **_UNSPENT, color=colour)
            ax.plot(each.whole, best[-1], "|", color=colour, markersize=12, markeredgewidth=2)
            labels[k] += f", {each.share:.0%} of {each.whole:,} steps saved"
    scale_if_wide(ax.yaxis, seen)
    scale_log(ax.xaxis)
    ax.set(xlim=(first, 1.1 * longest), xlabel="steps of all trials")
    ax.set_ylabel(objective_label(shown), **AS_IS)
    tidy(ax)
    head(ax, "best value seen so far", entries, labels)
    return ax


def _draw_outcomes(ax: Axes, found: Curves, best: NDArray[np.int64]) -> tuple[list[Any], list[str]]:
    """Draw curves, and return what their legend shows, and its labels."""
    from matplotlib.collections import LineCollection

    points = np.split(np.column_stack([found.step, found.value]), found.start[1:-1])
    alpha = min(0.8, 5 / len(points) ** 0.5)
    entries: list[Any] = []
    labels: list[str] = []
    for kind in OUTCOMES:
        shown = np.flatnonzero(found.state == STATES.index(kind)).tolist()
        if not shown:
            continue
        look = OUTCOME_LOOKS[kind]
        lines = LineCollection([points[k] for k in shown], colors=look["color"], alpha=alpha, linewidths=1)
        lines.set_label(kind)
        ax.add_collection(lines)
        ends = np.array([points[k][-1] for k in shown]).T
        ax.plot(*ends, **look, linestyle="", alpha=min(1.0, 1.5 * alpha), markersize=4)
        entries += ax.plot([], [], **look, linestyle="-", markersize=4)
        n, of = len(shown), found.counts[kind]
        labels.append(f"{kind} ({n:,} of {of:,})" if n < of else f"{kind} ({n:,})")
    thick = [
        ax.plot(*points[k].T, color=INK, linewidth=2.2) for k in np.flatnonzero(np.isin(found.number, best))
    ]
    if thick:
        entries += thick[0]
        labels.append("best" if len(best) == 1 else "front")
    ax.autoscale_view()
    return entries, labels


def _mark_rungs(ax: Axes, depths: NDArray[np.int64], deepest: float) -> None:
    """Draw a line at each rung; if they span much, make the horizontal axis logarithmic, with ticks there."""
    for depth in depths.tolist():
        ax.axvline(depth, color=GREY, linewidth=1, linestyle=":", zorder=0.5)
    if len(depths) > 1 and deepest > WIDE * depths[0]:
        ax.set_xscale("log")
        ticks = [*depths.tolist(), deepest]
        ax.set_xticks(ticks, [f"{depth:,.0f}" for depth in ticks])
        ax.set_xticks([], minor=True)


def _from(path: Path, first: float) -> Path:
    """Return a path from a number of steps on: the points at which the best value changes, and the last."""
    start = max(0, int(np.searchsorted(path.spent, first, side="right")) - 1)
    spent, best = np.maximum(path.spent[start:], first), path.best[start:]
    kept = np.append(True, (np.diff(best) != 0) | np.isnan(best[1:]))[: len(best)]
    kept[-1:] = True
    return Path(spent[kept], best[kept])
