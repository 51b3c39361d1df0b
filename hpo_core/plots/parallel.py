"""All parameters of many trials at once: parallel coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.analysis.axes import Axis, share, sideways, value_axis
from hpo_core.analysis.series import evenly, metric_row, ranks_of, slices
from hpo_core.errors import ArgumentError
from hpo_core.plots.studies import check_study, chosen
from hpo_core.plots.style import AS_IS, BEST_FIRST, GREY, INK, MANY, SHORT, head, new_figure, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hpo_core.plots.studies import Study

    Vector = NDArray[np.float64]

_MOST_LINES, _MOST_POINTS = 500, 12_000  # more would hide each other
_MOST_AXES = 40
_INACTIVE = -0.09  # height at which a line passes the axis of an inactive parameter
_SHORTEST = 12  # characters of a tick, which must not reach the next axis


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_parallel(
    study: Study, names: Sequence[str] | None = None, *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw completed trials as lines across one vertical axis for each parameter.

    Parameters
    ----------
    study : Study
    names : sequence of str, optional
        Parameters of the study's space, in the order of the axes; by default all, or the 40 most important.
    metric : str, optional
        By default the first objective.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The first axis is the metric's; the better a trial's value ranks, the darker its line. A line passes
        below an axis whose parameter is inactive. At most 500 trials are drawn, fewer if there are many axes:
        an even sample by rank that includes the best. Infeasible trials are left out unless all are.

    Raises
    ------
    ArgumentError
        The space has no such parameter, the study no such metric, or no trial has completed.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1), "n": hpo.Int(1, 9)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2 + trial["n"], n_trials=20)
    >>> [label.get_text() for label in plot_parallel(study, ax=Figure().subplots()).get_xticklabels()]
    ['value', 'x', 'n']
    """
    check_study("study", study)
    found = slices(study, metric, chosen(study, names, metric, most=_MOST_AXES))
    if not len(found.number):
        raise ArgumentError("study must hold a completed trial, got none")
    row = metric_row(study, metric)
    kept = found.feasible if found.feasible.any() else ~found.feasible
    rank = ranks_of(study.metrics.sign[row] * found.value[kept])
    most = min(_MOST_LINES, _MOST_POINTS // (1 + len(found.axes)))
    worst_first = np.argsort(-rank, kind="stable")
    drawn = worst_first[evenly(len(rank), most)]
    places = np.flatnonzero(kept)[drawn]
    axes = [value_axis(study.metrics.rows[row], found.value[kept]), *map(_with_room, found.axes)]
    heights = [_heights(axes[0]._replace(position=found.value), found.number, places)]
    heights += [_heights(axis, found.number, places) for axis in axes[1:]]
    ax = _new_axes(len(axes)) if ax is None else ax
    _draw_lines(ax, np.array(heights), rank[drawn])
    _draw_axes(ax, axes)
    count = f"{len(places):,} of {len(rank):,}" if len(places) < len(rank) else f"{len(rank):,}"
    head(
        ax,
        "parameters and value",
        [ax.plot([], [], color=INK)[0]],
        [f"trials ({count}), the better the darker"],
    )
    return ax


def _with_room(axis: Axis) -> Axis:
    """Return an axis with room beside its ends for trials that are spread."""
    if axis.labels is not None or not axis.is_listed:
        return axis
    return axis._replace(low=axis.low - 0.5, high=axis.high + 0.5)


def _heights(axis: Axis, number: NDArray[np.int64], places: NDArray[np.int64]) -> Vector:
    """Return how high up an axis the lines of some trials cross it."""
    if axis.is_listed:  # of the same choice some way apart
        axis = axis._replace(position=axis.position + sideways(number))
    height = axis.share[places]
    return np.where(np.isnan(height), _INACTIVE, np.clip(height, 0.0, 1.0))


def _draw_lines(ax: Axes, heights: NDArray[np.float64], rank: Vector) -> None:
    """Draw the lines of trials, heights (a, k)."""
    from matplotlib.collections import LineCollection

    n_axes, n = heights.shape
    points = np.stack([np.broadcast_to(np.arange(n_axes), (n, n_axes)), heights.T], axis=2)
    alpha = min(0.9, max(0.25, 6 / n**0.5))
    look: dict[str, Any] = {"cmap": BEST_FIRST, "alpha": alpha, "linewidths": 1.0}
    lines = LineCollection([*points], array=rank, **look, rasterized=n * n_axes > MANY)
    lines.set_clim(0.0, 1.0)
    ax.add_collection(lines)


def _draw_axes(ax: Axes, axes: list[Axis]) -> None:
    """Draw the vertical axes with their ticks, and their names below."""
    beside: dict[str, Any] = {**AS_IS, "fontsize": 7, "va": "center", "color": INK}
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    for k, axis in enumerate(axes):
        ax.axvline(k, color=INK, linewidth=0.9)
        at, labels = axis.ticks()
        for height, label in zip(share(at, axis), labels, strict=True):
            ax.text(k + 0.04, height, text(label, longest=_SHORTEST), bbox=halo, **beside)
    names = [text(axis.name, longest=SHORT) for axis in axes]
    crowded = max(map(len, names)) > _SHORTEST or len(axes) > 12
    turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if crowded else {}
    ax.set_xticks(range(len(axes)), names, **AS_IS, **turned)
    ax.set(xlim=(-0.1, len(axes) - 1 + 0.6), ylim=(_INACTIVE - 0.04, 1.04), yticks=[])
    if any(np.isnan(axis.position).any() for axis in axes):
        ax.axhline(_INACTIVE, color=GREY, linewidth=0.7, linestyle=":")
        ax.text(-0.02, _INACTIVE, "inactive", fontsize=7, va="center", ha="right", color=GREY)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _new_axes(n: int) -> Axes:
    """Return axes as wide as n vertical ones need."""
    figure = new_figure()
    figure.set_size_inches(float(np.clip(1.15 * n, 6.4, 30.0)), 4.8)
    return figure.subplots()
