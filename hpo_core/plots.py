"""Pictures of a study as Matplotlib axes (needs the ``plots`` extra).

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes,
so that titles, limits and saving stay with the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.checks import some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.metrics import AtMost
from hpo_core.printable import printable
from hpo_core.samplers import TPESampler
from hpo_core.samplers.ranking import objective
from hpo_core.space import Categorical, Ordinal
from hpo_core.study import Study
from hpo_core.study.front import check_reference, growth, reference_point
from hpo_core.study.savings import rung_depths, savings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hpo_core.metrics import Metric
    from hpo_core.trial import TrialBatch

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Studies = Study | Mapping[str, Study]

# Okabe and Ito's colours, told apart with any colour vision; line styles tell the curves apart in
# grey, and where more than five meet.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_STYLES = ("-", "--", "-.", ":")
_BELOW, _ABOVE = _COLOURS[:2]
_INK, _GREY, _PALE = "#404040", "#808080", "#E0E0E0"
_AS_IS: Final[dict[str, Any]] = {"parse_math": False, "usetex": False}  # names are no formulas
_L_LABEL, _G_LABEL = "l(x), good trials", "g(x), the rest"
_INFEASIBLE: Final = "infeasible"
_GOALS: Final = {"minimize": "minimised", "maximize": "maximised"}
_DOT: Final[dict[str, Any]] = {"marker": "o", "linestyle": "", "markeredgewidth": 0}
_CORNER: Final[dict[str, Any]] = {**_DOT, "marker": "P", "color": _INK, "markersize": 8}
_FIRST: Final[dict[str, Any]] = {**_DOT, "markersize": 6.5}
_OTHER: Final[dict[str, Any]] = {**_DOT, "markersize": 4, "alpha": 0.3}
_CROSS: Final[dict[str, Any]] = {"marker": "x", "linestyle": "", "markersize": 4.5, "markeredgewidth": 0.9}

# What becomes of a trial, in the order in which curves are drawn over each other.
_OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "stopped": {"color": _COLOURS[1], "marker": "o"},
    "paused": {"color": _COLOURS[4], "marker": "s"},
    "failed": {"color": _COLOURS[3], "marker": "x"},
    "running": {"color": _COLOURS[2], "marker": ">"},
    "complete": {"color": _COLOURS[0], "marker": "o"},
}
_UNSPENT: Final[dict[str, Any]] = {"linestyle": (0, (2, 2)), "linewidth": 1.4}
_BETTER: Final = {"minimize": np.fmin, "maximize": np.fmax}

_MOST_CURVES = 300  # in one picture
_FIRST_STEPS = 50  # the share of all steps after which the picture of them begins
_GRID = 513  # points along a curve: more than a panel has pixels in the README
_MAX_BARS = 20  # an ordered parameter with more levels is drawn as a curve
_LONGEST = 40  # characters of a user's text, so that it leaves room for the picture
_WIDE = 20.0  # largest / smallest objective from which a logarithmic axis reads better
_DECADES = 3.0  # of a logarithmic axis, from which 2 and 5 of each are too many ticks
_MAX_TICKS = 12  # names of choices along an axis
_HEAD_WIDTH, _SYMBOL_WIDTH = 66, 6  # characters above the axes, and those that the symbol of a label takes
_GOLDEN = 0.6180339887498949  # steps by this fraction spread points evenly, however many there are


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
    curves = _labelled("best so far", studies)
    direction = _shared_direction(curves)
    values = {label: _finished_values(study) for label, study in curves.items()}
    seen = np.concatenate([y for y, _ in values.values()])
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        raise ArgumentError("studies must hold a completed trial; got none")
    ax = _new_figure().subplots() if ax is None else ax
    best = _BETTER[direction]
    lines, labels = [], [_text(label) for label in values]
    for k, (label, (y, feasible)) in enumerate(values.items()):
        trials, kept = np.arange(1, len(y) + 1), np.where(feasible, y, np.nan)
        colour, style = _look(k)
        ax.plot(trials, kept, **_OTHER, color=colour)
        ax.plot(trials, np.where(feasible, np.nan, y), **_CROSS, color=colour, alpha=0.5)
        lines += ax.plot(
            trials,
            best.accumulate(kept),
            style,
            color=colour,
            linewidth=2.2,
            drawstyle="steps-post",
            label=_text(label),
        )
    if not all(feasible.all() for _, feasible in values.values()):
        lines += ax.plot([], [], **_CROSS, color=_GREY)
        labels.append(_INFEASIBLE)
    _scale_if_wide(ax.yaxis, seen)
    longest = max(len(y) for y, _ in values.values())
    ax.set(xlim=(0, longest + 1), xlabel="finished trials")
    ax.set_ylabel(_objective_label(curves), **_AS_IS)
    _style(ax)
    _head(ax, "best value so far", lines, labels)
    return ax


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
        Where to draw, one for each pair of objectives; a new figure without it.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        One for two objectives, three for three. Large dots are trials on the front, pale ones are
        dominated, crosses are infeasible. The shaded side, up to the reference point, is dominated in these
        two objectives. An axis is logarithmic where the values are positive and span more than a factor of
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
    curves = _with_shared_objectives(_labelled("front", studies))
    metrics = next(iter(curves.values())).metrics
    point = _common_reference(curves, reference)
    pairs = [*combinations(range(metrics.n_objectives), 2)]
    panels = _new_panels(len(pairs)) if axes is None else [*axes]
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
            _scale_if_wide(axis, row)
            name = metrics.objectives[i]
            axis.set_label_text(f"{_text(name)} ({_GOALS[metrics[name].kind]})", **_AS_IS)
        _style(ax)
    _head(panels[0], "front", *_front_entries(panels[0], [*map(_text, curves)], parts))
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
        The reference point, as for ``Study.hypervolume``; by default that of all fronts together. Give it to
        compare pictures.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

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
    curves = _with_shared_objectives(_labelled("hypervolume", studies))
    metrics = next(iter(curves.values())).metrics
    point = _common_reference(curves, reference)
    check_reference(metrics, np.hstack([_front_of(study) for study in curves.values()]), point)
    ax = _new_figure().subplots() if ax is None else ax
    lines, longest = [], 0
    for k, study in enumerate(curves.values()):
        grown, (colour, style) = growth(study.history, point), _look(k)
        longest = max(longest, len(grown))
        lines += ax.plot(
            np.arange(len(grown) + 1), np.append(0.0, grown), style, color=colour, linewidth=2.2,
            drawstyle="steps-post",
        )  # fmt: skip
    ax.set(xlim=(0, longest + 1), ylim=(0, None), xlabel="finished trials", ylabel="hypervolume")
    _style(ax)
    _head(ax, "hypervolume so far", lines, [*map(_text, curves)])
    return ax


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
    _check_study("study", study)
    _check_parameter(study, name)
    shown = _checked_metrics(study, metrics)
    trials = study.trials.where("complete")
    trials = trials[trials.active(name)]
    if not len(trials):
        raise ArgumentError(f"study must hold a completed trial in which {name!r} is active; got none")
    panels = _new_column(len(shown)) if axes is None else [*axes]
    if len(panels) != len(shown):
        raise ArgumentError(f"axes must be {len(shown)}, one for each metric, got {len(panels)}")
    first, feasible = np.isin(trials.number, study.best_trials.number), trials.feasible
    x, several = _places(study, name, trials), study.metrics.n_objectives > 1
    kinds = [
        ("other trials", feasible & ~first, {**_OTHER, "color": _BELOW}),
        (_INFEASIBLE, ~feasible, {**_CROSS, "color": _GREY}),
        ("front" if several else "best", feasible & first, {**_FIRST, "color": _ABOVE}),
    ]
    for ax, metric in zip(panels, shown, strict=True):
        values = trials.values[metric]
        for _, mask, look in kinds:
            ax.plot(x[mask], values[mask], **look)
        _scale_if_wide(ax.yaxis, values)
        _mark_bound(ax, study.metrics[metric])
        ax.set_ylabel(_text(metric), **_AS_IS)
        _scale_parameter(ax, study, name)
        _style(ax)
    for ax in panels[:-1]:
        ax.tick_params(labelbottom=False, which="both")
    panels[-1].set_xlabel(_text(name), **_AS_IS)
    found = [(label, look) for label, mask, look in reversed(kinds) if mask.any()]
    entries = [panels[0].plot([], [], **look)[0] for _, look in found]
    _head(panels[0], f"results against {_text(name)}", entries, [label for label, _ in found])
    return tuple(panels)


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def plot_curves(study: Study, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the learning curves of a study, coloured by what became of each trial.

    Parameters
    ----------
    study : Study
    metric : str, optional
        A measured metric; by default the first objective.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A curve for each trial that has reported, with a mark where it ends, against the steps done. The best
        trial, or the front, is thick. Dotted lines are the rungs at which trials were stopped or paused. Of
        more than 300 curves some are drawn, of each outcome as many as of any other, if there are. The
        horizontal axis is logarithmic where the rungs span more than a factor of 20, the vertical one where
        the values are positive and do.

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
    _check_study("study", study)
    metric = _checked_measured(study, metric)
    best = study.best_trials.number  # reads what other processes have reported, too
    curves = _curves(study, metric)
    if not curves:
        raise ArgumentError("study must hold a report of a finite value; got none")
    ax = _new_figure().subplots() if ax is None else ax
    entries, labels = _draw_outcomes(ax, study.trials, curves, best)
    points = np.hstack([*curves.values()])
    _mark_rungs(ax, rung_depths(study.history), points[0].max())
    _scale_if_wide(ax.yaxis, points[1])
    ax.set_xlabel("steps done")
    ax.set_ylabel(_text(metric) if len(study.metrics) > 1 else _objective_label({"": study}), **_AS_IS)
    _style(ax)
    _head(ax, "learning curves", entries, labels)
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
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each study, over all reports and results that keep the bounds. A step that is repeated
        counts once. If trials were stopped or paused, a dotted line goes on to the steps that the same trials
        would have taken as whole trainings. The horizontal axis is logarithmic, and begins at a fiftieth of
        the steps done.

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
    curves = _labelled("best so far", studies)
    _shared_direction(curves)
    paths = [_path(study) for study in curves.values()]
    saved = [savings(study.history) for study in curves.values()]
    longest = float(max(max(each.steps, each.whole) for each in saved))
    first = max(1.0, min(each.steps for each in saved) / _FIRST_STEPS)
    paths = [_from(spent, best, first) for spent, best in paths]
    seen = np.concatenate([best for _, best in paths])
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        raise ArgumentError("studies must hold a report of a finite value that keeps all bounds; got none")
    ax = _new_figure().subplots() if ax is None else ax
    entries, labels = [], [*map(_text, curves)]
    for k, ((spent, best), each) in enumerate(zip(paths, saved, strict=True)):
        colour, style = _look(k)
        entries += ax.plot(spent, best, style, color=colour, linewidth=2.2, drawstyle="steps-post")
        if each.whole > each.steps:
            ax.plot([each.steps, each.whole], [best[-1]] * 2, **_UNSPENT, color=colour)
            ax.plot(each.whole, best[-1], "|", color=colour, markersize=12, markeredgewidth=2)
            labels[k] += f", {each.share:.0%} of {each.whole:,} steps saved"
    _scale_if_wide(ax.yaxis, seen)
    _scale_log(ax.xaxis)
    ax.set(xlim=(first, 1.1 * longest), xlabel="steps of all trials")
    ax.set_ylabel(_objective_label(curves), **_AS_IS)
    _style(ax)
    _head(ax, "best value seen so far", entries, labels)
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
    _check_parameter(study, name)
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
    _scale_log(lower.yaxis)
    for ax in (upper, lower):
        _style(ax)
    _head(upper, f"what TPE believes about {_text(name)}", *upper.get_legend_handles_labels())
    upper.tick_params(labelbottom=False, which="both")
    return upper, lower


def _check_study(argument: str, study: object) -> None:
    if not isinstance(study, Study):
        raise ArgumentError(f"{argument} must be a Study, got {study!r}")


def _check_parameter(study: Study, name: str) -> None:
    names = study.space.names
    if name not in names:
        hint = did_you_mean(name, names)
        raise ArgumentError(f"name must be one of {', '.join(names)}, got {name!r}{hint}")


def _checked_metrics(study: Study, metrics: Sequence[str] | None) -> Sequence[str]:
    if metrics is None:
        return study.metrics.names
    if isinstance(metrics, str) or not isinstance(metrics, Sequence) or not len(metrics):
        raise ArgumentError(f"metrics must be a list of names of metrics, got {metrics!r}")
    for metric in metrics:
        if metric not in study.metrics:
            names = ", ".join(study.metrics)
            raise ArgumentError(
                f"metrics must be among {names}, got {metric!r}{did_you_mean(metric, study.metrics)}"
            )
    return metrics


def _checked_measured(study: Study, metric: str | None) -> str:
    measured = study.metrics.reader.measured
    if metric is None:
        metric = next((name for name in study.metrics.objectives if name in measured), measured[0])
    if metric not in measured:
        hint = did_you_mean(metric, measured)
        raise ArgumentError(f"metric must be one of {', '.join(measured)}, got {metric!r}{hint}")
    return metric


def _labelled(label: str, studies: Studies) -> Mapping[str, Study]:
    """Return studies by their labels; a single one gets ``label``."""
    found = studies if isinstance(studies, Mapping) else {label: studies}
    for study in found.values():
        _check_study("studies", study)
    return found


def _shared_direction(studies: Mapping[str, Study]) -> str:
    """Return the direction of studies, all of which must have one objective, of the same direction."""
    for study in studies.values():
        if study.metrics.n_objectives > 1:
            raise ArgumentError(
                f"studies must have one objective each, got {some(study.metrics.objectives)}; "
                "for several see plot_front and plot_hypervolume"
            )
    directions = {study.direction for study in studies.values()}
    if len(directions) != 1:
        found = " and ".join(sorted(directions)) or "no study"
        raise ArgumentError(f"studies must be one or more of the same direction, got {found}")
    return directions.pop()


def _with_shared_objectives(studies: Mapping[str, Study]) -> Mapping[str, Study]:
    """Return studies, all of which must have the same objectives, several, in the same order."""
    found = {
        tuple(f"{study.metrics[name].kind} {name}" for name in study.metrics.objectives)
        for study in studies.values()
    }
    if len(found) != 1:
        got = " and ".join(sorted(some(each) for each in found)) or "no study"
        raise ArgumentError(f"studies must be one or more with the same objectives, got {got}")
    (objectives,) = found
    if len(objectives) == 1:
        raise ArgumentError(f"studies must have several objectives, got {some(objectives)}; see plot_history")
    return studies


def _common_reference(studies: Mapping[str, Study], given: Mapping[str, float] | None) -> Vector:
    """Return the reference (m,) of all fronts, signed: given, of the first study, or beyond the worst."""
    y = np.hstack([_front_of(study) for study in studies.values()])
    if not y.shape[1]:
        raise ArgumentError("studies must hold a completed trial that keeps all bounds; got none")
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
    """Draw the parts of study ``k`` in two objectives (2, n), signed like the corner of what is shaded."""
    colour, style = _look(k)
    sign = sign[:, np.newaxis]
    ax.plot(*sign * parts.broken, **_CROSS, color=colour, alpha=0.5)
    ax.plot(*sign * parts.dominated, **_OTHER, color=colour)
    if parts.front.size:
        line = _staircase(parts.front, corner)
        shade = np.column_stack([np.minimum(line, corner[:, np.newaxis]), corner])
        ax.fill(*sign * shade, color=colour, alpha=0.08, linewidth=0)
        ax.plot(*sign * line, style, color=colour, linewidth=1.6)
        ax.plot(*sign * parts.front, **_FIRST, color=colour)


def _staircase(y: Matrix, corner: Vector) -> Matrix:
    """Return the line (2, n) that bounds what points (2, k) dominate, at least up to a corner."""
    first, second = y[:, np.lexsort(y[::-1])]
    kept = np.append(True, second[1:] < np.minimum.accumulate(second)[:-1])
    first, second = np.repeat(first[kept], 2), np.repeat(second[kept], 2)
    return np.array(
        [np.append(first, max(corner[0], first[-1])), np.append(max(corner[1], second[0]), second)]
    )


def _front_entries(ax: Axes, labels: list[str], parts: list[_Parts]) -> tuple[list[Any], list[str]]:
    """Return what the legend of fronts shows, and its labels."""
    entries = []
    for k in range(len(labels)):
        colour, style = _look(k)
        entries += ax.plot([], [], **_FIRST | {"color": colour, "linestyle": style, "linewidth": 1.6})
    colour = _look(0)[0] if len(labels) == 1 else _GREY
    if any(part.dominated.size for part in parts):
        entries += ax.plot([], [], **_OTHER, color=colour)
        labels = [*labels, "dominated"]
    if any(part.broken.size for part in parts):
        entries += ax.plot([], [], **_CROSS, color=colour)
        labels = [*labels, _INFEASIBLE]
    entries += ax.plot([], [], **_CORNER)
    return entries, [*labels, "reference"]


def _objective_label(studies: Mapping[str, Study]) -> str:
    """Return the name of the objective, if all studies gave it the same one."""
    names = {study.metrics.objectives for study in studies.values() if not study.metrics.direction}
    return _text(*names.pop()) if len(names) == 1 else "objective"


def _look(k: int) -> tuple[str, str]:
    """Return the colour and the line style of the k-th of several studies."""
    return _COLOURS[k % len(_COLOURS)], _STYLES[k % len(_STYLES)]


def _finished_values(study: Study) -> tuple[Vector, NDArray[np.bool_]]:
    """Values in the order the trials finished, NaN unless complete, and which trials break no bound."""
    history = study.history
    rows = history.finish_order
    y = np.where(np.isposinf(history.fidelity[rows]), objective(history)[rows], np.nan)
    return study.metrics.sign[0] * y, np.all(~(history.violation[:, rows] > 0.0), axis=0)


def _curves(study: Study, metric: str) -> dict[int, Matrix]:
    """Return steps done and finite values (2, k) of every trial that has reported any, by row.

    Of a step that was reported again the last value counts.
    """
    reports, metrics = study.history.reports, study.metrics
    row = metrics.places[metrics.names.index(metric)]
    value = metrics.sign[row] * np.atleast_2d(reports.value)[row]
    order = np.lexsort((reports.step, reports.row))  # stable: the last one comes last
    rows, steps, value = reports.row[order], reports.step[order], value[order]
    last = np.append((np.diff(rows) != 0) | (np.diff(steps) != 0), True)[: len(rows)]
    kept = last & np.isfinite(value)
    rows, points = rows[kept], np.array([steps[kept] + 1.0, value[kept]])
    found, starts = np.unique(rows, return_index=True)
    return dict(zip(found.tolist(), np.split(points, starts[1:], axis=1), strict=True)) if len(rows) else {}


def _spread(counts: Sequence[int], most: int) -> list[int]:
    """Return how many of each kind to draw: all of the rare ones, and as many of each of the others."""
    drawn, left = [0] * len(counts), most
    for place, k in enumerate(order := sorted(range(len(counts)), key=counts.__getitem__)):
        drawn[k] = min(counts[k], left // (len(order) - place))
        left -= drawn[k]
    return drawn


def _draw_outcomes(
    ax: Axes, trials: TrialBatch, curves: Mapping[int, Matrix], best: NDArray[np.int64]
) -> tuple[list[Any], list[str]]:
    """Draw curves, and return what their legend shows, and its labels."""
    from matplotlib.collections import LineCollection

    of = [[row for row in trials.where(kind).number.tolist() if row in curves] for kind in _OUTCOMES]
    drawn = _spread([*map(len, of)], _MOST_CURVES)
    alpha = min(0.8, 5 / max(sum(drawn), 1) ** 0.5)
    entries, labels = [], []
    for rows, n, (kind, look) in zip(of, drawn, _OUTCOMES.items(), strict=True):
        if not n:
            continue
        shown = [curves[rows[k]] for k in np.linspace(0, len(rows) - 1, n).astype(int).tolist()]
        lines = LineCollection([curve.T for curve in shown], colors=look["color"], alpha=alpha, linewidths=1)
        lines.set_label(kind)
        ax.add_collection(lines)
        ends = np.array([curve[:, -1] for curve in shown]).T
        ax.plot(*ends, **look, linestyle="", alpha=min(1.0, 1.5 * alpha), markersize=4)
        entries += ax.plot([], [], **look, linestyle="-", markersize=4)
        number = f"{n:,} of {len(rows):,}" if n < len(rows) else f"{n:,}"
        labels.append(f"{kind} ({number})")
    for row in [row for row in best.tolist() if row in curves]:
        thick = ax.plot(*curves[row], color=_INK, linewidth=2.2)
        if len(labels) == len(entries) and (not labels or labels[-1] not in ("best", "front")):
            entries += thick
            labels.append("best" if len(best) == 1 else "front")
    ax.autoscale_view()
    return entries, labels


def _mark_rungs(ax: Axes, depths: NDArray[np.int64], deepest: float) -> None:
    """Draw a line at each rung; if they span much, make the horizontal axis logarithmic, with ticks there."""
    for depth in depths.tolist():
        ax.axvline(depth, color=_GREY, linewidth=1, linestyle=":", zorder=0.5)
    if len(depths) > 1 and deepest > _WIDE * depths[0]:
        ax.set_xscale("log")
        ticks = [*depths.tolist(), deepest]
        ax.set_xticks(ticks, [f"{depth:,.0f}" for depth in ticks])
        ax.set_xticks([], minor=True)


def _from(spent: Vector, best: Vector, first: float) -> tuple[Vector, Vector]:
    """Return a path from a number of steps on: the points at which the best value changes, and the last."""
    start = max(0, int(np.searchsorted(spent, first, side="right")) - 1)
    spent, best = np.maximum(spent[start:], first), best[start:]
    kept = np.append(True, (np.diff(best) != 0) | np.isnan(best[1:]))[: len(best)]
    kept[-1:] = True
    return spent[kept], best[kept]


def _path(study: Study) -> tuple[Vector, Vector]:
    """Return the steps of all trials after each report and result, and the best value seen until then."""
    history, sign = study.trials._study.history, study.metrics.sign.item(0)
    reports, finished = history.reports, history.finish_order
    depth = reports.step + 1
    order = np.argsort(reports.row, kind="stable")
    # The deepest of each trial so far: trials are set so far apart that each begins above all before it.
    floor = np.cumsum(np.append(False, np.diff(reports.row[order]) != 0)[: len(order)]) * (
        depth.max(initial=0) + 1
    )
    deepest = np.maximum.accumulate(depth[order] + floor) - floor
    new = deepest - np.where(np.append(False, np.diff(floor) == 0)[: len(order)], np.roll(deepest, 1), 0)
    steps = np.zeros(len(order), np.int64)
    steps[order] = new
    outcomes = np.hstack([np.atleast_2d(reports.value), history.outcomes[:, finished]])
    m = history.metrics.n_objectives
    kept = (outcomes[m:] <= history.metrics.limit[:, np.newaxis]).all(axis=0) & np.isfinite(outcomes[0])
    value = np.where(kept, outcomes[0], np.nan)
    order = np.argsort(np.concatenate([reports.position, history.finish_position]), kind="stable")
    spent = np.append(steps, np.zeros(len(finished), np.int64))[order].cumsum()
    return spent.astype(np.float64), sign * np.fmin.accumulate(value[order])


def _places(study: Study, name: str, trials: TrialBatch) -> Vector:
    """Return where trials are along an axis of a parameter: its values, or numbers of its choices."""
    declared, values = study.space.parameters[name], trials[name]
    if not isinstance(declared, Categorical | Ordinal):
        return np.asarray(values, np.float64)
    row, layout = study.space.names.index(name), study.space.layout
    x: Vector = study.history.configurations(trials.number)[0][row]
    if isinstance(declared, Ordinal):
        centers = layout.centers[layout.table_start[row] : layout.table_start[row + 1]]
        x = np.abs(x[:, np.newaxis] - centers).argmin(axis=1).astype(np.float64)
    return x + 0.5 * (trials.number * _GOLDEN % 1.0 - 0.5)


def _scale_parameter(ax: Axes, study: Study, name: str) -> None:
    """Make the horizontal axis one of a parameter."""
    declared = study.space.parameters[name]
    if getattr(declared, "log", False):
        ax.set_xscale("log")
    if isinstance(declared, Categorical | Ordinal):
        listed = [*(declared.choices if isinstance(declared, Categorical) else declared.values)]
        ticks = np.arange(0, len(listed), -(-len(listed) // _MAX_TICKS))
        labels = [_text(listed[k]) for k in ticks]
        look = _AS_IS | ({"rotation": 30, "ha": "right"} if sum(map(len, labels)) > _HEAD_WIDTH else {})
        ax.set_xticks(ticks, labels, **look)
        ax.set_xlim(-0.5, len(listed) - 0.5)


def _mark_bound(ax: Axes, metric: Metric) -> None:
    """Draw the bound of a metric, if it has one, and shade what it forbids."""
    if isinstance(metric, AtMost):
        low, high = ax.get_ylim()
        low, high = min(low, metric.bound), max(high, metric.bound)
        far = high if metric.kind == "at_most" else low
        ax.axhspan(metric.bound, far, color=_GREY, alpha=0.12, linewidth=0)
        ax.axhline(metric.bound, color=_INK, linewidth=1.2, linestyle="--")
        ax.set_ylim(low, high)


def _new_panels(n: int) -> list[Axes]:
    """Return axes for pictures side by side, three in a row."""
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = _new_figure()
    if n > 1:
        figure.set_size_inches(4.4 * columns, 4.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[n:]:
        ax.remove()
    return [*panels[:n]]


def _new_column(n: int) -> list[Axes]:
    """Return axes for pictures below each other that share the horizontal axis."""
    figure = _new_figure()
    figure.set_size_inches(6.4, max(4.8, 1.0 + 2.2 * n))
    return [*figure.subplots(n, sharex=True, squeeze=False)[:, 0]]


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


def _scale_if_wide(axis: Axis, values: Vector) -> None:
    """Make an axis logarithmic if it reads better."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    if low > 0 and high > _WIDE * low:
        _scale_log(axis, sparse=bool(high > 10**_DECADES * low))


def _scale_log(axis: Axis, *, sparse: bool = False) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 of each decade; ``sparse``: with powers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    (axis.axes.set_yscale if axis is axis.axes.yaxis else axis.axes.set_xscale)("log")
    if not sparse:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


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
    columns = max((n for n in range(1, len(_COLOURS) + 1) if _width(labels, n) <= _HEAD_WIDTH), default=1)
    ax.set_title(title, loc="left", pad=6 + 18 * -(-len(labels) // columns), fontweight="bold", **_AS_IS)
    # Labels are put in afterwards: Matplotlib leaves out those that begin with an underscore.
    legend = ax.legend(
        entries, [" "] * len(entries), frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1),
        ncols=columns, borderaxespad=0,
    )  # fmt: skip
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, **_AS_IS)


def _width(labels: list[str], columns: int) -> int:
    """Return about how many characters wide a legend is; it fills its columns one after the other."""
    lengths = np.array_split([*map(len, labels)], columns)
    return sum(_SYMBOL_WIDTH + int(column.max(initial=0)) for column in lengths)
