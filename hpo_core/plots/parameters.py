"""Values against parameters: one, two, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.analysis.axes import check_parameter, parameter_axis, sideways
from hpo_core.errors import ArgumentError
from hpo_core.metrics import AtMost
from hpo_core.plots.studies import check_study, checked_metrics
from hpo_core.plots.style import (
    ABOVE,
    AS_IS,
    BELOW,
    CROSS,
    FIRST,
    GREY,
    HEAD_WIDTH,
    INFEASIBLE,
    INK,
    OTHER,
    head,
    new_column,
    scale_if_wide,
    text,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis as MplAxis
    from numpy.typing import NDArray

    from hpo_core.analysis.axes import Axis
    from hpo_core.metrics import Metric
    from hpo_core.study import Study

    Vector = NDArray[np.float64]


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_metrics(
    study: Study, name: str, *, metrics: Sequence[str] | None = None, axes: Sequence[Axes] | None = None
) -> tuple[Axes, ...]:
    """Draw metrics of the completed trials against one parameter.

    Parameters
    ----------
    study : Study
    name : str
        A parameter of the study's space. Trials in which it is inactive are left out.
    metrics : sequence of str, optional
        Which metrics; by default all of them.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each metric; a new figure without it.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        One for each metric. Large dots are trials on the front, or the best trial; crosses break a bound, the
        far side of which is shaded. Points of the same choice are spread sideways. Scales are logarithmic
        where the parameter's is, or where values are positive and span more than a factor of 20.

    Raises
    ------
    ArgumentError
        The space has no such parameter, the study no such metric, no trial in which the parameter is active
        has completed, or there are too few ``axes``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> metrics = {"error": hpo.Minimize(), "ms": hpo.AtMost(50.0)}
    >>> study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, sampler="random", seed=0)
    >>> study.optimize(lambda trial: (1 / trial["width"], trial["width"]), n_trials=20)
    >>> upper, lower = plot_metrics(study, "width", axes=Figure().subplots(2))
    >>> upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()
    ('error', 'ms', 'width')
    """
    check_study("study", study)
    check_parameter("name", name, study.space)
    shown = checked_metrics(study, metrics)
    trials = study.trials.where("complete")
    trials = trials[trials.active(name)]
    if not len(trials):
        raise ArgumentError(f"study must hold a completed trial in which {name!r} is active; got none")
    panels = new_column(len(shown)) if axes is None else [*axes]
    if len(panels) != len(shown):
        raise ArgumentError(f"axes must be {len(shown)}, one for each metric, got {len(panels)}")
    first, feasible = np.isin(trials.number, study.best_trials.number), trials.feasible
    axis = parameter_axis(study.space, study.history, name, trials.number)
    x, several = _apart(axis, trials.number), study.metrics.n_objectives > 1
    kinds = [
        ("other trials", feasible & ~first, {**OTHER, "color": BELOW}),
        (INFEASIBLE, ~feasible, {**CROSS, "color": GREY}),
        ("front" if several else "best", feasible & first, {**FIRST, "color": ABOVE}),
    ]
    for ax, metric in zip(panels, shown, strict=True):
        values = trials.values[metric]
        for _, mask, look in kinds:
            ax.plot(x[mask], values[mask], **look)
        scale_if_wide(ax.yaxis, values)
        _mark_bound(ax, study.metrics[metric])
        ax.set_ylabel(text(metric), **AS_IS)
        _scale_parameter(ax.xaxis, axis)
        tidy(ax)
    for ax in panels[:-1]:
        ax.tick_params(labelbottom=False, which="both")
    panels[-1].set_xlabel(text(name), **AS_IS)
    found = [(label, look) for label, mask, look in reversed(kinds) if mask.any()]
    entries = [panels[0].plot([], [], **look)[0] for _, look in found]
    head(panels[0], f"results against {text(name)}", entries, [label for label, _ in found])
    return tuple(panels)


def _apart(axis: Axis, number: NDArray[np.int64]) -> Vector:
    """Return positions along an axis; those of the same choice are spread."""
    return axis.position if axis.labels is None else axis.position + sideways(number)


def _scale_parameter(axis: MplAxis, shown: Axis) -> None:
    """Make an axis of a picture one of a parameter."""
    if shown.log:
        (axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale)("log")
    if shown.labels is None:
        return
    ticks, names = shown.ticks()
    labels = [text(name) for name in names]
    look: dict[str, Any] = {}
    if axis is axis.axes.xaxis and sum(map(len, labels)) > HEAD_WIDTH:
        look = {"rotation": 30, "ha": "right"}
    axis.set_ticks(ticks, labels=labels, **AS_IS, **look)
    (axis.axes.set_xlim if axis is axis.axes.xaxis else axis.axes.set_ylim)(shown.low, shown.high)


def _mark_bound(ax: Axes, metric: Metric) -> None:
    """Draw the bound of a metric, if it has one, and shade what it forbids."""
    if isinstance(metric, AtMost):
        low, high = ax.get_ylim()
        low, high = min(low, metric.bound), max(high, metric.bound)
        far = high if metric.kind == "at_most" else low
        ax.axhspan(metric.bound, far, color=GREY, alpha=0.12, linewidth=0)
        ax.axhline(metric.bound, color=INK, linewidth=1.2, linestyle="--")
        ax.set_ylim(low, high)
