"""Values over two parameters: as a surface, and by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.analysis.axes import value_axis
from hpo_core.analysis.contour import contour
from hpo_core.analysis.series import evenly, metric_row, ranks
from hpo_core.plots.studies import check_study, pair
from hpo_core.plots.style import (
    ABOVE,
    AS_IS,
    BEST_FIRST,
    CROSS,
    FIRST,
    INFEASIBLE,
    INK,
    MANY,
    apart,
    head,
    new_figure,
    scale_parameter,
    text,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from hpo_core.analysis.contour import Contour
    from hpo_core.analysis.series import Ranks
    from hpo_core.plots.studies import Study

_LEVELS = 14  # of a surface
_MOST_DOTS = 400  # on a surface: more would hide it
_SURE, _UNSURE = 0.35, 0.95  # doubt at which a surface begins to fade, and at which it is nearly gone


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_contour(
    study: Study, names: Sequence[str] | None = None, *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the expected value over two parameters.

    Parameters
    ----------
    study : Study
    names : pair of str, optional
        Parameters of the study's space; by default the two most important ones that are active together.
    metric : str, optional
        By default the first objective.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The mean of a Gaussian process of these two parameters, which treats the effects of other parameters
        as noise. Darker colours are better. Colours fade far from all trials, where the mean is a guess. Dots
        are completed trials, at most 400 of them; crosses break a bound.

    Raises
    ------
    ArgumentError
        ``names`` are not two parameters of the space, the study has no such metric, or no trial has completed
        in which both are active.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1), "y": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2 + trial["y"], n_trials=20)
    >>> plot_contour(study, ["x", "y"], ax=Figure().subplots()).get_xlabel()
    'x'
    """
    check_study("study", study)
    found = contour(study, *pair(study, names, metric), metric)
    row = metric_row(study, metric)
    ax = new_figure().subplots() if ax is None else ax
    _draw_surface(ax, found, text(study.metrics.rows[row]), maximised=study.metrics.sign[row] < 0.0)
    trials = found.trials
    x, y = apart(trials.x, trials.number), apart(trials.y, trials.number, up=True)
    some = evenly(len(x), _MOST_DOTS)
    kept, broken = some[trials.feasible[some]], some[~trials.feasible[some]]
    dots = {**FIRST, "markersize": 4, "color": "white", "markeredgecolor": INK, "markeredgewidth": 0.7}
    entries = ax.plot(x[kept], y[kept], **dots)
    labels = [f"trials ({len(some):,} of {len(x):,})" if len(some) < len(x) else "trials"]
    if len(broken):
        entries += ax.plot(x[broken], y[broken], **CROSS, color=ABOVE)
        labels.append(INFEASIBLE)
    _finish(ax, trials)
    head(ax, "expected value", entries, labels)
    return ax


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_rank(
    study: Study, names: Sequence[str] | None = None, *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw completed trials over two parameters, coloured by the rank of their value.

    Parameters
    ----------
    study : Study
    names : pair of str, optional
        As for ``plot_contour``.
    metric : str, optional
        By default the first objective.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The better a trial is among those drawn, the darker its dot; better ones lie on top. Crosses break a
        bound.

    Raises
    ------
    ArgumentError
        As for ``plot_contour``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1), "y": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2 + trial["y"], n_trials=20)
    >>> plot_rank(study, ["x", "y"], ax=Figure().subplots()).get_ylabel()
    'y'
    """
    check_study("study", study)
    found = ranks(study, *pair(study, names, metric), metric)
    ax = new_figure().subplots() if ax is None else ax
    order = np.argsort(-found.rank, kind="stable")
    x, y = apart(found.x, found.number)[order], apart(found.y, found.number, up=True)[order]
    rank, feasible = found.rank[order], found.feasible[order]
    entries, labels = [], []
    for mask, marker, label in ((~feasible, "x", INFEASIBLE), (feasible, "o", "trials")):
        if mask.any():
            look: dict[str, Any] = {"marker": marker, "cmap": BEST_FIRST, "vmin": 0.0, "vmax": 1.0}
            dots = ax.scatter(
                x[mask],
                y[mask],
                18,
                rank[mask],
                **look,
                linewidths=0.9 if marker == "x" else 0,
                rasterized=len(x) > MANY,
            )
            entries += ax.plot([], [], marker, color=INK, markersize=4.5)
            labels.append(label)
    bar = ax.figure.colorbar(dots, ax=ax)
    bar.set_ticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["best", "25 %", "50 %", "75 %", "worst"])
    name = text(study.metrics.rows[metric_row(study, metric)])
    bar.set_label(f"rank of {name}", **AS_IS)
    _finish(ax, found)
    head(ax, "trials by rank", entries, labels)
    return ax


def _draw_surface(ax: Axes, found: Contour, label: str, *, maximised: bool) -> None:
    """Draw a surface, and fade it where it is a guess."""
    from matplotlib.colors import LogNorm

    seen = found.mean.ravel()
    look: dict[str, Any] = {"cmap": f"{BEST_FIRST}_r" if maximised else BEST_FIRST}
    if value_axis(label, seen).log:
        look["norm"] = LogNorm(seen.min(), seen.max())
    smooth = not (found.trials.x.is_listed or found.trials.y.is_listed) and np.ptp(seen) > 0.0
    if smooth:
        space = np.geomspace if "norm" in look else np.linspace
        levels = np.unique(space(seen.min(), seen.max(), _LEVELS))
        surface: Any = ax.contourf(found.x, found.y, found.mean, levels, **look)
        ax.contour(found.x, found.y, found.mean, levels, colors=INK, linewidths=0.3, alpha=0.5)
    else:
        surface = ax.pcolormesh(found.x, found.y, found.mean, shading="nearest", rasterized=True, **look)
    fade = np.clip((found.doubt - _SURE) / (_UNSURE - _SURE), 0.0, 0.9)
    veil = np.ones((*fade.shape, 4))
    veil[..., 3] = fade
    ax.pcolormesh(found.x, found.y, veil, shading="gouraud" if smooth else "nearest", rasterized=True)
    bar = ax.figure.colorbar(surface, ax=ax)
    bar.set_label(label, **AS_IS)
    ticks, names = value_axis(label, seen).ticks()
    bar.set_ticks(ticks.tolist(), labels=names)
    bar.minorticks_off()


def _finish(ax: Axes, trials: Ranks) -> None:
    """Scale and name the axes of two parameters."""
    for axis, shown in ((ax.xaxis, trials.x), (ax.yaxis, trials.y)):
        scale_parameter(axis, shown)
        axis.set_label_text(text(shown.name), **AS_IS)
    tidy(ax)
