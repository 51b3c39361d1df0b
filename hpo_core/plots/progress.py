"""Values as the search went on: the best so far, how values are distributed, and when trials ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.analysis.series import progress
from hpo_core.errors import ArgumentError
from hpo_core.plots.studies import labelled, objective_label, shared_direction
from hpo_core.plots.style import (
    AS_IS,
    BEST,
    CROSS,
    GREY,
    INFEASIBLE,
    OTHER,
    curve_style,
    head,
    new_figure,
    scale_if_wide,
    text,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hpo_core.plots.studies import Studies


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_history(studies: Studies, *, ax: Axes | None = None) -> Axes:
    """Draw the best value so far against the number of finished trials.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend. All must have one objective, of the same
        direction.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        Dots are single trials, lines the best so far. Failed trials count on the horizontal axis
        and leave no dot. Crosses are trials that break a bound of the metrics; the best so far is of the
        others. The vertical axis is logarithmic where the values are positive and span more than a factor
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
        raise ArgumentError("studies must hold a completed trial; got none")
    ax = new_figure().subplots() if ax is None else ax
    lines, labels = [], [text(label) for label in found]
    for k, (label, (_, y, best, feasible, _)) in enumerate(found.items()):
        trials, (colour, style) = np.arange(1, len(y) + 1), curve_style(k)
        ax.plot(trials, np.where(feasible, y, np.nan), **OTHER, color=colour)
        ax.plot(trials, np.where(feasible, np.nan, y), **CROSS, color=colour, alpha=0.5)
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
