"""Several objectives: the front, and how the volume that it dominates has grown."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.analysis.front import check_reference, growth, reference_point
from hpo_core.errors import ArgumentError
from hpo_core.plots.studies import labelled, with_shared_objectives
from hpo_core.plots.style import (
    AS_IS,
    CROSS,
    DOT,
    FIRST,
    GREY,
    INFEASIBLE,
    INK,
    OTHER,
    curve_style,
    head,
    new_figure,
    new_panels,
    scale_if_wide,
    text,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hpo_core.plots.studies import Studies, Study

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

_GOALS: Final = {"minimize": "minimised", "maximize": "maximised"}
_CORNER: Final[dict[str, Any]] = {**DOT, "marker": "P", "color": INK, "markersize": 8}


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_front(
    studies: Studies, *, reference: Mapping[str, float] | None = None, axes: Sequence[Axes] | None = None
) -> tuple[Axes, ...]:
    """Draw the front of a study with several objectives, for each pair of them.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend. All must have the same objectives.
    reference : mapping of objectives to float, optional
        The reference point, as for ``Study.hypervolume``; by default that of all fronts together.
    axes : sequence of matplotlib.axes.Axes, optional
        Axes to draw into, one for each pair of objectives; by default a new figure.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        One for two objectives, three for three. Large dots are trials on the front, pale ones are
        dominated, crosses are infeasible. The shaded area, up to the reference point, is dominated in these
        two objectives. An axis is logarithmic if the values are positive and span more than a factor of
        20.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, its objectives differ, there is only one of them, no completed trial keeps all
        bounds, ``reference`` is not a mapping of objectives to numbers, or there are too few ``axes``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> metrics = {"error": hpo.Minimize(), "size": hpo.Minimize(known=lambda columns: columns["width"])}
    >>> study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, sampler="random", seed=0)
    >>> study.optimize(lambda trial: 1 / trial["width"], n_trials=20)
    >>> (ax,) = plot_front(study, axes=[Figure().subplots()])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('error (minimised)', 'size (minimised)')
    """
    curves = with_shared_objectives(labelled("front", studies))
    metrics = next(iter(curves.values())).metrics
    point = _common_reference(curves, reference)
    pairs = [*combinations(range(metrics.n_objectives), 2)]
    panels = new_panels(len(pairs)) if axes is None else [*axes]
    if len(panels) != len(pairs):
        raise ArgumentError(f"axes must be {len(pairs)}, one for each pair of objectives, got {len(panels)}")
    parts = [_parted(study) for study in curves.values()]
    for ax, pair in zip(panels, map(list, pairs), strict=True):
        sign, corner = metrics.sign[pair], point[pair]
        seen = [corner[:, np.newaxis]]
        for k, study_parts in enumerate(parts):
            of_pair = _Parts(*(y[pair] for y in study_parts))
            _draw_front(ax, k, of_pair, sign, corner)
            seen += of_pair
        ax.plot(*sign * corner, **_CORNER)
        values = sign[:, np.newaxis] * np.hstack(seen)
        for axis, row, i in zip((ax.xaxis, ax.yaxis), values, pair, strict=True):
            scale_if_wide(axis, row)
            name = metrics.objectives[i]
            axis.set_label_text(f"{text(name)} ({_GOALS[metrics[name].kind]})", **AS_IS)
        tidy(ax)
    head(panels[0], "front", *_front_entries(panels[0], [*map(text, curves)], parts))
    return tuple(panels)


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_hypervolume(
    studies: Studies, *, reference: Mapping[str, float] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the hypervolume so far against the number of finished trials.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend. All must have the same objectives.
    reference : mapping of objectives to float, optional
        The reference point, as for ``Study.hypervolume``; by default that of all fronts together. To compare
        several pictures, give all of them the same point.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each study. Failed and stopped trials count on the horizontal axis.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, its objectives differ, there is only one of them, no completed trial keeps all
        bounds, or ``reference`` is not a mapping of objectives to numbers or better than every trial.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> metrics = {"error": hpo.Minimize(reference=1.0), "size": hpo.Minimize(reference=101.0)}
    >>> study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, sampler="random", seed=0)
    >>> study.optimize(lambda trial: (1 / trial["width"], trial["width"]), n_trials=20)
    >>> plot_hypervolume(study, ax=Figure().subplots()).get_ylabel()
    'hypervolume'
    """
    curves = with_shared_objectives(labelled("hypervolume", studies))
    metrics = next(iter(curves.values())).metrics
    point = _common_reference(curves, reference)
    check_reference(metrics, np.hstack([_front_of(study) for study in curves.values()]), point)
    ax = new_figure().subplots() if ax is None else ax
    lines, longest = [], 0
    for k, study in enumerate(curves.values()):
        grown, (colour, style) = growth(study.history, point), curve_style(k)
        longest = max(longest, len(grown))
        lines += ax.plot(
            np.arange(len(grown) + 1), np.append(0.0, grown), style, color=colour, linewidth=2.2,
            drawstyle="steps-post",
        )  # fmt: skip
    ax.set(xlim=(0, longest + 1), ylim=(0, None), xlabel="finished trials", ylabel="hypervolume")
    tidy(ax)
    head(ax, "hypervolume so far", lines, [*map(text, curves)])
    return ax


def _common_reference(studies: Mapping[str, Study], given: Mapping[str, float] | None) -> Vector:
    """Return the reference (m,) of all fronts, signed: given, of the first study, or beyond the worst."""
    y = np.hstack([_front_of(study) for study in studies.values()])
    if not y.shape[1]:
        raise ArgumentError("studies must hold a completed trial that keeps all bounds, got none")
    return reference_point(next(iter(studies.values())).metrics, y, given)


def _front_of(study: Study) -> Matrix:
    """Return the objectives (m, k) of the front, signed."""
    return study.history.y[:, study.front().number]


class _Parts(NamedTuple):
    """Objectives (m, k) of completed trials, signed."""

    broken: Matrix
    dominated: Matrix
    front: Matrix


def _parted(study: Study) -> _Parts:
    trials, first = study.trials.where("complete"), study.front().number
    y, feasible = study.history.y[:, trials.number], trials.feasible
    on_front = np.isin(trials.number, first)
    return _Parts(y[:, ~feasible], y[:, feasible & ~on_front], y[:, on_front])


def _draw_front(ax: Axes, k: int, parts: _Parts, sign: Vector, corner: Vector) -> None:
    """Draw the parts of study ``k`` in two objectives (2, n), signed like the corner of the shaded area."""
    colour, style = curve_style(k)
    sign = sign[:, np.newaxis]
    ax.plot(*sign * parts.broken, **CROSS, color=colour, alpha=0.5)
    ax.plot(*sign * parts.dominated, **OTHER, color=colour)
    if parts.front.size:
        line = _staircase(parts.front, corner)
        shade = np.column_stack([np.minimum(line, corner[:, np.newaxis]), corner])
        ax.fill(*sign * shade, color=colour, alpha=0.08, linewidth=0)
        ax.plot(*sign * line, style, color=colour, linewidth=1.6)
        ax.plot(*sign * parts.front, **FIRST, color=colour)


def _staircase(y: Matrix, corner: Vector) -> Matrix:
    """Return the line (2, n) that bounds what points (2, k) dominate, at least up to a corner."""
    first, second = y[:, np.lexsort(y[::-1])]
    kept = np.append(True, second[1:] < np.minimum.accumulate(second)[:-1])
    first, second = np.repeat(first[kept], 2), np.repeat(second[kept], 2)
    return np.array(
        [np.append(first, max(corner[0], first[-1])), np.append(max(corner[1], second[0]), second)]
    )


def _front_entries(ax: Axes, labels: list[str], parts: list[_Parts]) -> tuple[list[Any], list[str]]:
    """Return the entries of the legend of fronts, and their labels."""
    entries = []
    for k in range(len(labels)):
        colour, style = curve_style(k)
        entries += ax.plot([], [], **FIRST | {"color": colour, "linestyle": style, "linewidth": 1.6})
    colour = curve_style(0)[0] if len(labels) == 1 else GREY
    if any(part.dominated.size for part in parts):
        entries += ax.plot([], [], **OTHER, color=colour)
        labels = [*labels, "dominated"]
    if any(part.broken.size for part in parts):
        entries += ax.plot([], [], **CROSS, color=colour)
        labels = [*labels, INFEASIBLE]
    entries += ax.plot([], [], **_CORNER)
    return entries, [*labels, "reference"]
