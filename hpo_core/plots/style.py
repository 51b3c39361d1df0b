"""The style of pictures: colours, marks, scales, texts and legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.analysis.axes import reads_better_log, sideways
from hpo_core.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hpo_core.analysis.axes import Axis as ShownAxis

    Vector = NDArray[np.float64]

# Okabe and Ito's colours, told apart with any colour vision; line styles tell the curves apart in
# grey, and where more than five meet.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
STYLES = ("-", "--", "-.", ":")
BELOW, ABOVE = COLOURS[:2]
INK, GREY, PALE = "#404040", "#808080", "#E0E0E0"
AS_IS: Final[dict[str, Any]] = {"parse_math": False, "usetex": False}  # names are no formulas
INFEASIBLE: Final = "infeasible"
DOT: Final[dict[str, Any]] = {"marker": "o", "linestyle": "", "markeredgewidth": 0}
FIRST: Final[dict[str, Any]] = {**DOT, "markersize": 6.5}
OTHER: Final[dict[str, Any]] = {**DOT, "markersize": 4, "alpha": 0.3}
CROSS: Final[dict[str, Any]] = {"marker": "x", "linestyle": "", "markersize": 4.5, "markeredgewidth": 0.9}
BEST: Final[dict[str, Any]] = {"linewidth": 2.2, "drawstyle": "steps-post"}
# By outcome of a trial.
OUTCOME_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "stopped": {"color": COLOURS[1], "marker": "o"},
    "paused": {"color": COLOURS[4], "marker": "s"},
    "failed": {"color": COLOURS[3], "marker": "x"},
    "running": {"color": COLOURS[2], "marker": ">"},
    "complete": {"color": COLOURS[0], "marker": "o"},
}

MANY = 2000  # marks from which they are drawn as pixels, so that a PDF or SVG stays small
BEST_FIRST = "cividis"  # dark blue for the best, yellow for the worst, with any colour vision
_MARGIN = 0.03  # beyond the range of a parameter, as a share of it
_LONGEST = 40  # characters of a name or label
_DECADES = 3.0  # longer logarithmic axes have ticks at powers of 10 only
SHORT = 24  # characters of a choice at a tick, or of a name beside a bar
_PER_INCH = 13.0  # characters along a horizontal axis
_HEAD_WIDTH, _SYMBOL_WIDTH = 66, 6  # characters above the axes, and those that the symbol of a label takes


def tidy(ax: Axes) -> None:
    """Draw a pale grid, and no box."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=PALE, linewidth=0.7)
    ax.set_axisbelow(True)


def text(value: object, *, longest: int = _LONGEST) -> str:
    """Return a name or a choice as a label: one line, cut in the middle, for long names differ at the end."""
    text = printable(str(value))
    kept = longest // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - kept]}\u2026{text[-kept:]}"


def head(ax: Axes, title: str, entries: list[Any], labels: list[str]) -> None:
    """Put the title and below it the legend above the axes, where they hide no data."""
    columns = max((n for n in range(1, len(COLOURS) + 1) if _width(labels, n) <= _HEAD_WIDTH), default=1)
    ax.set_title(title, loc="left", pad=6 + 18 * -(-len(labels) // columns), fontweight="bold", **AS_IS)
    # Labels are put in afterwards: Matplotlib leaves out those that begin with an underscore.
    legend = ax.legend(
        entries, [" "] * len(entries), frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1),
        ncols=columns, borderaxespad=0,
    )  # fmt: skip
    for shown, label in zip(legend.get_texts(), labels, strict=True):
        shown.set(text=label, **AS_IS)


def _width(labels: list[str], columns: int) -> int:
    """Return about how many characters wide a legend is; it fills its columns one after the other."""
    lengths = np.array_split([*map(len, labels)], columns)
    return sum(_SYMBOL_WIDTH + int(column.max(initial=0)) for column in lengths)


def curve_style(k: int) -> tuple[str, str]:
    """Return the colour and the line style of the k-th of several studies."""
    return COLOURS[k % len(COLOURS)], STYLES[k % len(STYLES)]


def apart(axis: ShownAxis, number: NDArray[np.int64], *, up: bool = False) -> Vector:
    """Return positions along an axis, spread sideways if the parameter has few values."""
    return axis.position + sideways(number, up=up) if axis.is_listed else axis.position


def scale_parameter(axis: Axis, shown: ShownAxis) -> None:
    """Make an axis of a picture one of a parameter, over its whole range."""
    from matplotlib.ticker import NullLocator

    across = axis is axis.axes.xaxis
    low, high = shown.low, shown.high
    if shown.log:
        (axis.axes.set_xscale if across else axis.axes.set_yscale)("log")
        margin = (high / low) ** _MARGIN
        low, high = low / margin, high * margin
    elif shown.labels is None:
        margin = 0.5 if shown.is_listed else _MARGIN * (high - low)
        low, high = low - margin, high + margin
    if shown.is_listed or shown.log:
        axis.set_minor_locator(NullLocator())  # drawing the small ticks of many panels takes a second
        ticks, names = shown.ticks()
        labels = [text(name, longest=SHORT) for name in names]
        look: dict[str, Any] = {}
        room = axis.axes.get_window_extent().width / axis.axes.figure.dpi * _PER_INCH
        if across and sum(map(len, labels)) > room:
            look = {"rotation": 30, "ha": "right"}
        axis.set_ticks(ticks, labels=labels, **AS_IS, **look)
    if 0.0 < high - low < np.inf:
        (axis.axes.set_xlim if across else axis.axes.set_ylim)(low, high)


def scale_if_wide(axis: Axis, values: Vector) -> None:
    """Make an axis logarithmic if it reads better."""
    if reads_better_log(values):
        scale_log(axis, sparse=bool(values.max() > 10**_DECADES * values.min()))


def scale_log(axis: Axis, *, sparse: bool = False) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 of each decade; ``sparse``: with powers."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    (axis.axes.set_yscale if axis is axis.axes.yaxis else axis.axes.set_xscale)("log")
    if not sparse:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())  # see scale_parameter


def new_figure() -> Figure:
    """Return an empty figure of pyplot's."""
    try:
        from matplotlib import pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need Matplotlib: pip install 'hpo-core[plots]'") from error
    return plt.figure(layout="constrained")


def new_panels(n: int, *, sharey: bool = False) -> list[Axes]:
    """Return axes for pictures side by side, two, three or four in a row: few places stay empty."""
    columns = 2 if n == 4 else min(n, 4 if n > 9 or n % 3 == 1 else 3)
    rows = -(-n // columns)
    figure = new_figure()
    if n > 1:
        figure.set_size_inches(4.4 * columns, 4.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for ax in panels[n:]:
        ax.remove()
    return [*panels[:n]]


def new_column(n: int) -> list[Axes]:
    """Return axes for pictures below each other that share the horizontal axis."""
    figure = new_figure()
    figure.set_size_inches(6.4, max(4.8, 1.0 + 2.2 * n))
    return [*figure.subplots(n, sharex=True, squeeze=False)[:, 0]]
