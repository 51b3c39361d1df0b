"""A study in a notebook: a short table, and a picture of how far it has come."""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.analysis.savings import savings
from hpo_core.log import State
from hpo_core.printable import displayed
from hpo_core.report.recommendation import recommendation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.study.study import Study

_MOST_PARAMS: Final = 16
_LONGEST: Final = 80  # characters of a value
_INCHES: Final = (5.6, 2.8)


def page(study: Study) -> str:
    """Return HTML in which names, choices and values are text, whatever they contain."""
    import html  # not before it is needed: any file html.py beside a user's script takes its place

    rows = ([html.escape(displayed(text)) for text in row] for row in _facts(study))
    table = "".join(f"<tr><th>{name}</th><td>{fact}</td></tr>" for name, fact in rows)
    return f"<table>{table}</table>{_picture(study)}"


def _facts(study: Study) -> Iterator[tuple[str, str]]:
    history = study.history
    yield "study", repr(study)
    if study.metrics.n_objectives == 1 and history.count(State.COMPLETE):
        best = study.best_trial
        yield "best trial", str(best.number)
        yield "best value", f"{best.value:.6g}"
        if (expected := recommendation(study, best.number)) is not None:
            recommended, observed = expected
            yield "expected of it", str(observed)
            yield "recommended", f"trial {recommended.number}: expected {recommended}"
        params = best.params
        for name, value in islice(params.items(), _MOST_PARAMS):
            yield name, _shortened(repr(value))
        if (more := len(params) - _MOST_PARAMS) > 0:
            yield "more parameters", str(more)
    if history.count(State.STOPPED) or history.count(State.PAUSED):
        yield "steps", str(savings(history))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


@np.errstate(all="ignore")  # margins and ticks of values at the ends of float64
def _picture(study: Study) -> str:
    """Return the best value so far, or the hypervolume, as an image; nothing without Matplotlib or results.

    It is an SVG in a data URI: as an element of the notebook its styles would apply to other pictures too,
    and notebooks that are not trusted would leave it out.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return ""
    from hpo_core.plots import plot_history, plot_hypervolume

    draw = plot_history if study.metrics.n_objectives == 1 else plot_hypervolume
    figure, file = Figure(_INCHES, layout="constrained"), io.StringIO()
    options: Any = {"text.usetex": False, "svg.fonttype": "none", "svg.hashsalt": "hpo_core"}
    with mpl.rc_context(options), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # characters that Matplotlib's font lacks
        try:
            draw(study, ax=figure.subplots())
            figure.savefig(file, format="svg", metadata={"Date": None})
        except (ValueError, ArithmeticError):  # nothing to draw yet, or too wide a range for Matplotlib
            return ""
    data = b64encode(file.getvalue().encode("utf-8", "backslashreplace")).decode()
    title = "best value so far" if draw is plot_history else "hypervolume so far"
    return f'<img alt="{title}" src="data:image/svg+xml;base64,{data}">'
