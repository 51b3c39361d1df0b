"""Values against single parameters, and how much each matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpo_core.analysis import importance
from hpo_core.analysis.axes import check_parameter, parameter_axis
from hpo_core.analysis.series import metric_row, slices
from hpo_core.errors import ArgumentError
from hpo_core.metrics import AtMost
from hpo_core.plots.studies import check_study, checked_metrics, chosen
from hpo_core.plots.style import (
    ABOVE,
    AS_IS,
    BELOW,
    CROSS,
    FIRST,
    GREY,
    INFEASIBLE,
    INK,
    MANY,
    OTHER,
    SHORT,
    apart,
    head,
    new_column,
    new_figure,
    new_panels,
    scale_if_wide,
    scale_parameter,
    text,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hpo_core.analysis.series import Slices
    from hpo_core.metrics import Metric
    from hpo_core.plots.studies import Study

    Vector = NDArray[np.float64]

_MOST_PANELS = 9  # of slices, if none are named
_MOST_BARS = 24  # of importances
_PALEST, _BANDS = 0.25, 6  # where the colours of trial numbers begin, and how many there are


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
        Axes to draw into, one for each metric; by default a new figure.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        One for each metric. Large dots are trials on the front, or the best trial; crosses break a bound, and
        values beyond the bound are shaded. Points of the same choice are spread sideways. The horizontal
        scale is that of the parameter; the vertical one is logarithmic if the values are positive and span
        more than a factor of 20.

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
        raise ArgumentError(f"study must hold a completed trial in which {name!r} is active, got none")
    panels = new_column(len(shown)) if axes is None else [*axes]
    if len(panels) != len(shown):
        raise ArgumentError(f"axes must be {len(shown)}, one for each metric, got {len(panels)}")
    first, feasible = np.isin(trials.number, study.best_trials.number), trials.feasible
    axis = parameter_axis(study.space, study.history, name, trials.number)
    x, several = apart(axis, trials.number), study.metrics.n_objectives > 1
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
        scale_parameter(ax.xaxis, axis)
        tidy(ax)
    for ax in panels[:-1]:
        ax.tick_params(labelbottom=False, which="both")
    panels[-1].set_xlabel(text(name), **AS_IS)
    found = [(label, look) for label, mask, look in reversed(kinds) if mask.any()]
    entries = [panels[0].plot([], [], **look)[0] for _, look in found]
    head(panels[0], f"results against {text(name)}", entries, [label for label, _ in found])
    return tuple(panels)


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_slice(
    study: Study,
    names: Sequence[str] | None = None,
    *,
    metric: str | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Draw a metric of the completed trials against each of several parameters.

    Parameters
    ----------
    study : Study
    names : sequence of str, optional
        Parameters of the study's space; by default all, or the nine most important ones.
    metric : str, optional
        By default the first objective.
    axes : sequence of matplotlib.axes.Axes, optional
        Axes to draw into, one for each parameter; by default a new figure.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        One for each parameter, with the trials in which it is active: the later, the darker. Large dots are
        trials on the front, or the best trial; crosses break a bound. Points of the same choice are spread
        sideways. The horizontal scale is that of the parameter; the vertical one is logarithmic if the values
        are positive and span more than a factor of 20.

    Raises
    ------
    ArgumentError
        The space has no such parameter, the study no such metric, no trial has completed, or there are too
        few ``axes``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> space = {"lr": hpo.Float(1e-4, 1, log=True), "kind": hpo.Categorical(["a", "b"])}
    >>> study = hpo.Study(space, sampler="random", seed=0)
    >>> study.optimize(lambda trial: abs(trial["lr"] - 0.01), n_trials=20)
    >>> left, right = plot_slice(study, axes=Figure().subplots(1, 2))
    >>> left.get_xlabel(), left.get_xscale(), right.get_xlabel()
    ('lr', 'log', 'kind')
    """
    check_study("study", study)
    found = slices(study, metric, chosen(study, names, metric, most=_MOST_PANELS))
    if not len(found.number):
        raise ArgumentError("study must hold a completed trial, got none")
    panels = new_panels(len(found.axes), sharey=True) if axes is None else [*axes]
    if len(panels) != len(found.axes):
        raise ArgumentError(f"axes must be {len(found.axes)}, one for each parameter, got {len(panels)}")
    name = study.metrics.rows[metric_row(study, metric)]
    kinds = [found.feasible & ~found.first, ~found.feasible, found.feasible & found.first]
    for ax, axis in zip(panels, found.axes, strict=True):
        _draw_slice(ax, found, apart(axis, found.number), kinds)
        scale_if_wide(ax.yaxis, found.value)
        _mark_bound(ax, study.metrics[name])
        scale_parameter(ax.xaxis, axis)
        ax.set_xlabel(text(axis.name), **AS_IS)
        if axes is not None or ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            ax.set_ylabel(text(name), **AS_IS)
        tidy(ax)
    several = study.metrics.n_objectives > 1
    looks = [
        ("front" if several else "best", {**FIRST, "color": ABOVE}),
        (INFEASIBLE, {**CROSS, "color": GREY}),
        ("other trials, the later the darker", {**FIRST, "color": BELOW, "markersize": 4}),
    ]
    shown = [(label, look) for (label, look), mask in zip(looks, kinds[::-1], strict=False) if mask.any()]
    entries = [panels[0].plot([], [], **look)[0] for _, look in shown]
    head(panels[0], "values against parameters", entries, [label for label, _ in shown])
    return tuple(panels)


def _draw_slice(ax: Axes, found: Slices, x: Vector, kinds: list[NDArray[np.bool_]]) -> None:
    """Draw trials against positions: feasible ones that are not first, infeasible ones, and the first."""
    from matplotlib import colormaps

    others, broken, first = (mask & ~np.isnan(x) for mask in kinds)
    # A colour for each band of numbers, not for each dot: it is drawn ten times as fast.
    band = np.digitize(found.number, np.linspace(0, int(found.number.max()) + 1, _BANDS + 1)[1:-1])
    for k, shade in enumerate(np.linspace(_PALEST, 1.0, _BANDS).tolist()):
        dots = others & (band == k)
        look: dict[str, Any] = {**OTHER, "color": colormaps["Blues"](shade), "alpha": 0.7}
        ax.plot(x[dots], found.value[dots], **look, rasterized=len(x) > MANY)
    ax.plot(x[broken], found.value[broken], **CROSS, color=GREY, rasterized=len(x) > MANY)
    ax.plot(x[first], found.value[first], **FIRST, color=ABOVE)


def plot_importance(
    study: Study,
    *,
    metric: str | None = None,
    evaluator: Literal["ped-anova", "fanova"] = "ped-anova",
    ax: Axes | None = None,
) -> Axes:
    """Draw how much each parameter matters.

    Parameters
    ----------
    study : Study
    metric : str, optional
        As for ``Study.importance``.
    evaluator : {"ped-anova", "fanova"}, default "ped-anova"
        As for ``Study.importance``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A bar for each parameter, the most important one at the top. With more than 24 parameters, the least
        important ones share one bar.

    Raises
    ------
    ArgumentError
        As for ``Study.importance``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1), "idle": hpo.Float(0, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=50)
    >>> [label.get_text() for label in plot_importance(study, ax=Figure().subplots()).get_yticklabels()]
    ['x', 'idle']
    """
    from matplotlib.ticker import PercentFormatter

    check_study("study", study)
    found = importance(study, metric, evaluator=evaluator)
    shares = [*found.values()][:_MOST_BARS]
    labels = [text(name, longest=SHORT) for name in found][:_MOST_BARS]
    if rest := [*found.values()][_MOST_BARS:]:
        shares.append(sum(rest))
        labels.append(f"{len(rest)} others")
    if ax is None:
        figure = new_figure()
        figure.set_size_inches(6.4, max(2.4, 1.2 + 0.3 * len(shares)))
        ax = figure.subplots()
    at = np.arange(len(shares))
    ax.barh(at, shares, 0.7, color=BELOW)
    for y, share in zip(at.tolist(), shares, strict=True):
        ax.annotate(f"{share:.0%}", (share, y), (4, 0), textcoords="offset points", va="center", color=INK)
    ax.set_yticks(at, labels, **AS_IS)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(ylim=(len(shares) - 0.5, -0.5), xlim=(0, 1.12 * max(shares)))
    ax.set_xlabel("importance" if metric is None else f"importance for {text(metric)}", **AS_IS)
    tidy(ax)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    head(ax, "importance of parameters", [], [])
    return ax


def _mark_bound(ax: Axes, metric: Metric) -> None:
    """Draw the bound of a metric, if it has one, and shade the forbidden side."""
    if isinstance(metric, AtMost):
        low, high = ax.get_ylim()
        low, high = min(low, metric.bound), max(high, metric.bound)
        far = high if metric.kind == "at_most" else low
        ax.axhspan(metric.bound, far, color=GREY, alpha=0.12, linewidth=0)
        ax.axhline(metric.bound, color=INK, linewidth=1.2, linestyle="--")
        ax.set_ylim(low, high)
