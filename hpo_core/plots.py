"""Pictures of a study as Matplotlib axes (needs the ``plots`` extra).

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes,
so that titles, limits and saving stay with the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.printable import printable
from hpo_core.samplers import TPESampler
from hpo_core.samplers.ranking import objective
from hpo_core.space import Categorical
from hpo_core.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Okabe and Ito's colours, told apart with any colour vision; line styles tell the curves apart in
# grey, and where more than five meet.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_STYLES = ("-", "--", "-.", ":")
_BELOW, _ABOVE = _COLOURS[:2]
_INK, _PALE = "#404040", "#E0E0E0"
_AS_IS: Final[dict[str, Any]] = {"parse_math": False, "usetex": False}  # names are no formulas
_L_LABEL, _G_LABEL = "l(x), good trials", "g(x), the rest"

_GRID = 513  # points along a curve: more than a panel has pixels in the README
_MAX_BARS = 20  # an ordered parameter with more levels is drawn as a curve
_LONGEST = 40  # characters of a user's text, so that it leaves room for the picture
_WIDE = 20.0  # largest / smallest objective from which a logarithmic axis reads better


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_history(studies: Study | Mapping[str, Study], *, ax: Axes | None = None) -> Axes:
    """Draw the best value so far against the number of finished trials.

    Parameters
    ----------
    studies : Study or mapping of str to Study
        One study, or several under the labels of the legend. All must share a direction.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        Dots are single trials, lines the best so far. Failed trials count on the horizontal axis
        and leave no dot. The vertical axis is logarithmic where the values are positive and span
        more than a factor of 20.

    Raises
    ------
    ArgumentError
        ``studies`` is empty, its directions differ, or no trial has completed.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from matplotlib.figure import Figure
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> plot_history(study, ax=Figure().subplots()).get_xlabel()
    'finished trials'
    """
    curves = studies if isinstance(studies, Mapping) else {"best so far": studies}
    for study in curves.values():
        _check_study("studies", study)
    directions = {study.direction for study in curves.values()}
    if len(directions) != 1:
        found = " and ".join(sorted(directions)) or "no study"
        raise ArgumentError(f"studies must be one or more of the same direction, got {found}")
    values = {label: _finished_values(study) for label, study in curves.items()}
    seen = np.concatenate(list(values.values()))
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        raise ArgumentError("studies must hold a completed trial; got none")
    ax = _new_figure().subplots() if ax is None else ax
    best = np.fmin if directions == {"minimize"} else np.fmax
    lines = []
    for k, (label, y) in enumerate(values.items()):
        trials = np.arange(1, len(y) + 1)
        colour, style = _COLOURS[k % len(_COLOURS)], _STYLES[k % len(_STYLES)]
        ax.plot(trials, y, "o", color=colour, markersize=4, alpha=0.3, markeredgewidth=0)
        lines += ax.plot(
            trials,
            best.accumulate(y),
            style,
            color=colour,
            linewidth=2.2,
            drawstyle="steps-post",
            label=_text(label),
        )
    if seen.min() > 0 and seen.max() > _WIDE * seen.min():
        _scale_log(ax)
    ax.set(xlim=(0, max(map(len, values.values())) + 1), xlabel="finished trials", ylabel="objective")
    _style(ax)
    _head(ax, "best value so far", lines, [_text(label) for label in values])
    return ax


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
        Where to draw the densities and their ratio; a new figure without it.

    Returns
    -------
    densities, ratio : matplotlib.axes.Axes
        Densities over the search range, its length (on the parameter's own scale) taken as 1;
        probabilities for discrete parameters. Ticks at the foot mark the trials. TPE proposes where
        the ratio is high.

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
    _check_study("study", study)
    names = study.space.names
    if name not in names:
        hint = did_you_mean(name, names)
        raise ArgumentError(f"name must be one of {', '.join(names)}, got {name!r}{hint}")
    x, widths = _cells(study, name)
    l, g = (widths * np.exp(log_ratio) for log_ratio in _tpe(study).marginals(study.history, name, x))  # noqa: E741
    shown = study.space.codec.column(name, x)
    upper, lower = _new_figure().subplots(2, sharex=True, height_ratios=(2, 1)) if axes is None else axes
    if _is_listed(study, name):
        _draw_bars(upper, lower, [_text(value) for value in shown], l, g)
    else:
        _draw_curves(upper, lower, shown, l, g)
        if getattr(study.space.parameters[name], "log", False):
            upper.set_xscale("log")
            lower.set_xscale("log")
        trials = study.trials
        _mark_trials(upper, trials[name][trials.active(name)])
    lower.set_xlabel(_text(name), **_AS_IS)
    lower.set_ylabel("l / g")
    _scale_log(lower)
    for ax in (upper, lower):
        _style(ax)
    _head(upper, f"what TPE believes about {_text(name)}", *upper.get_legend_handles_labels())
    upper.tick_params(labelbottom=False, which="both")
    return upper, lower


def _check_study(argument: str, study: object) -> None:
    if not isinstance(study, Study):
        raise ArgumentError(f"{argument} must be a Study, got {study!r}")


def _finished_values(study: Study) -> Vector:
    """Values in the order the trials finished, as the user gave them; NaN unless complete."""
    history = study.history
    rows = history.finish_order
    y = np.where(np.isposinf(history.fidelity[rows]), objective(history)[rows], np.nan)
    return -y if study.direction == "maximize" else y


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
    for density, colour, style, label in ((l, _BELOW, "-", _L_LABEL), (g, _ABOVE, "--", _G_LABEL)):
        upper.plot(shown, density, style, color=colour, linewidth=2.2, label=label)
        upper.fill_between(shown, density, color=colour, alpha=0.12, linewidth=0)
    upper.set(ylim=(0, None), ylabel="density")
    ratio = l / g
    lower.axhline(1, color=_INK, linewidth=0.8)
    lower.fill_between(shown, ratio, 1, where=list(ratio >= 1), color=_BELOW, alpha=0.25, linewidth=0)
    lower.fill_between(shown, ratio, 1, where=list(ratio <= 1), color=_ABOVE, alpha=0.25, linewidth=0)
    lower.plot(shown, ratio, color=_INK, linewidth=1.6)
    for ax in (upper, lower):
        ax.set_xlim(shown[0], shown[-1])


def _draw_bars(upper: Axes, lower: Axes, labels: list[str], l: Vector, g: Vector) -> None:  # noqa: E741
    at = np.arange(len(labels))
    upper.bar(at - 0.2, l, 0.38, color=_BELOW, label=_L_LABEL)
    upper.bar(at + 0.2, g, 0.38, color=_ABOVE, hatch="//", edgecolor="white", label=_G_LABEL)
    upper.set(ylim=(0, None), ylabel="probability")
    ratio = l / g
    lower.axhline(1, color=_INK, linewidth=0.8)
    lower.bar(at, ratio - 1, 0.6, bottom=1, color=np.where(ratio >= 1, _BELOW, _ABOVE).tolist(), alpha=0.6)
    for ax in (upper, lower):
        ax.set_xticks(at, labels, **_AS_IS)
        ax.tick_params(axis="x", length=0)


def _mark_trials(ax: Axes, shown: Vector) -> None:
    """Put a tick at the foot for each trial."""
    foot = ax.get_xaxis_transform()
    ax.plot(shown, np.full(len(shown), 0.02), "|", color=_INK, markersize=7, alpha=0.6, transform=foot)


def _new_figure() -> Figure:
    try:
        from matplotlib import pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need Matplotlib: pip install 'hpo-core[plots]'") from error
    return plt.figure(layout="constrained")


def _scale_log(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _style(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=_PALE, linewidth=0.7)
    ax.set_axisbelow(True)


def _text(value: object) -> str:
    """Return a name or a choice as a label: one line, and not too long."""
    text = printable(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


def _head(ax: Axes, title: str, entries: list[Any], labels: list[str]) -> None:
    """Put the title and below it the legend above the axes, where they hide no data."""
    ax.set_title(title, loc="left", pad=24, fontweight="bold", **_AS_IS)
    # Labels are put in afterwards: Matplotlib leaves out those that begin with an underscore.
    legend = ax.legend(
        entries, [" "] * len(entries), frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1),
        ncols=len(_COLOURS), borderaxespad=0,
    )  # fmt: skip
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, **_AS_IS)
