"""The two densities of TPE for one parameter, and their ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.analysis.axes import check_parameter
from hpo_core.plots.studies import check_study
from hpo_core.plots.style import ABOVE, AS_IS, BELOW, INK, head, new_figure, scale_log, text, tidy
from hpo_core.samplers import TPESampler
from hpo_core.space import Categorical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hpo_core.plots.studies import Study

    Vector = NDArray[np.float64]

_L_LABEL, _G_LABEL = "l(x), good trials", "g(x), the rest"
_GRID = 513  # points along a curve: more than a panel has pixels in the README
_MAX_BARS = 20  # an ordered parameter with more levels is drawn as a curve


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_parzen(study: Study, name: str, *, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """Draw TPE's densities for one parameter of a study: l(x), g(x) and their ratio.

    Parameters
    ----------
    study : Study
        With any sampler. If it is not a ``TPESampler``, the densities are those of one with default options.
    name : str
        A parameter of the study's space.
    axes : pair of matplotlib.axes.Axes, optional
        Axes to draw the densities and their ratio into; by default a new figure.

    Returns
    -------
    densities, ratio : matplotlib.axes.Axes
        Densities over the search range, whose length on the parameter's own scale counts as 1, or
        probabilities for discrete parameters. Ticks at the bottom mark the trials. TPE proposes values with
        a high ratio.

    Raises
    ------
    ArgumentError
        The space has no such parameter, or no trial has completed.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"lr": hpo.Float(1e-5, 1e-1, log=True)}, sampler="tpe", seed=0)
    >>> study.optimize(lambda trial: abs(trial["lr"] - 1e-3), n_trials=20)
    >>> densities, ratio = plot_parzen(study, "lr", axes=Figure().subplots(2))
    >>> ratio.get_xlabel(), ratio.get_xscale()
    ('lr', 'log')
    """
    check_study("study", study)
    check_parameter("name", name, study.space)
    x, widths = _cells(study, name)
    l, g = (widths * np.exp(log_ratio) for log_ratio in _tpe(study).marginals(study.history, name, x))  # noqa: E741
    shown = study.space.codec.column(name, x)
    upper, lower = new_figure().subplots(2, sharex=True, height_ratios=(2, 1)) if axes is None else axes
    if _is_listed(study, name):
        _draw_bars(upper, lower, [text(value) for value in shown], l, g)
    else:
        _draw_curves(upper, lower, shown, l, g)
        if getattr(study.space.parameters[name], "log", False):
            upper.set_xscale("log")
            lower.set_xscale("log")
        trials = study.trials
        _mark_trials(upper, trials[name][trials.active(name)])
    lower.set_xlabel(text(name), **AS_IS)
    lower.set_ylabel("l / g")
    scale_log(lower.yaxis)
    for ax in (upper, lower):
        tidy(ax)
    head(upper, f"what TPE believes about {text(name)}", *upper.get_legend_handles_labels())
    upper.tick_params(labelbottom=False, which="both")
    return upper, lower


def _tpe(study: Study) -> TPESampler:
    if isinstance(study.sampler, TPESampler):
        return study.sampler
    sampler = TPESampler()
    sampler.start(study.space, seed=study.seed)
    return sampler


def _is_listed(study: Study, name: str) -> bool:
    """Whether a parameter has so few values that each gets a bar."""
    levels = study.space.layout.levels[study.space.names.index(name)]
    return isinstance(study.space.parameters[name], Categorical) or 0 < levels <= _MAX_BARS


def _cells(study: Study, name: str) -> tuple[Vector, Vector]:
    """Internal coordinates to evaluate a parameter at, and their prior probabilities (1 along a curve)."""
    layout = study.space.layout
    row = layout.names.index(name)
    if not _is_listed(study, name):
        return np.linspace(0.0, 1.0, _GRID), np.ones(_GRID)
    if isinstance(study.space.parameters[name], Categorical):
        levels = int(layout.levels[row])
        return np.arange(levels, dtype=np.float64), np.full(levels, 1.0 / levels)
    cells = slice(layout.table_start[row], layout.table_start[row + 1])
    return layout.centers[cells], layout.widths[cells]


def _draw_curves(upper: Axes, lower: Axes, shown: Vector, l: Vector, g: Vector) -> None:  # noqa: E741
    for density, colour, style, label in ((l, BELOW, "-", _L_LABEL), (g, ABOVE, "--", _G_LABEL)):
        upper.plot(shown, density, style, color=colour, linewidth=2.2, label=label)
        upper.fill_between(shown, density, color=colour, alpha=0.12, linewidth=0)
    upper.set(ylim=(0, None), ylabel="density")
    ratio = l / g
    lower.axhline(1, color=INK, linewidth=0.8)
    lower.fill_between(shown, ratio, 1, where=list(ratio >= 1), color=BELOW, alpha=0.25, linewidth=0)
    lower.fill_between(shown, ratio, 1, where=list(ratio <= 1), color=ABOVE, alpha=0.25, linewidth=0)
    lower.plot(shown, ratio, color=INK, linewidth=1.6)
    for ax in (upper, lower):
        ax.set_xlim(shown[0], shown[-1])


def _draw_bars(upper: Axes, lower: Axes, labels: list[str], l: Vector, g: Vector) -> None:  # noqa: E741
    at = np.arange(len(labels))
    upper.bar(at - 0.2, l, 0.38, color=BELOW, label=_L_LABEL)
    upper.bar(at + 0.2, g, 0.38, color=ABOVE, hatch="//", edgecolor="white", label=_G_LABEL)
    upper.set(ylim=(0, None), ylabel="probability")
    ratio = l / g
    lower.axhline(1, color=INK, linewidth=0.8)
    lower.bar(at, ratio - 1, 0.6, bottom=1, color=np.where(ratio >= 1, BELOW, ABOVE).tolist(), alpha=0.6)
    for ax in (upper, lower):
        ax.set_xticks(at, labels, **AS_IS)
        ax.tick_params(axis="x", length=0)


def _mark_trials(ax: Axes, shown: Vector) -> None:
    """Put a tick at the foot for each trial."""
    foot = ax.get_xaxis_transform()
    ax.plot(shown, np.full(len(shown), 0.02), "|", color=INK, markersize=7, alpha=0.6, transform=foot)
