"""Pictures of a study as Matplotlib axes (needs the ``plots`` extra).

Every function draws into the given axes or into a new figure, and returns the axes; the caller sets limits
and saves the figure. ``hpo_core.analysis`` has the columns behind the pictures.
"""

from typing import TYPE_CHECKING

from hpo_core.plots.fronts import plot_front, plot_hypervolume
from hpo_core.plots.pairs import plot_contour, plot_rank
from hpo_core.plots.parallel import plot_parallel
from hpo_core.plots.parameters import plot_importance, plot_metrics, plot_slice
from hpo_core.plots.parzen import plot_parzen
from hpo_core.plots.progress import plot_edf, plot_history, plot_timeline
from hpo_core.plots.training import plot_curves, plot_steps

__all__ = [
    "plot_contour",
    "plot_curves",
    "plot_edf",
    "plot_front",
    "plot_history",
    "plot_hypervolume",
    "plot_importance",
    "plot_metrics",
    "plot_parallel",
    "plot_parzen",
    "plot_rank",
    "plot_slice",
    "plot_steps",
    "plot_timeline",
]

if not TYPE_CHECKING:  # to a type checker an unknown name stays unknown

    def __getattr__(name: str) -> None:
        from hpo_core.hints import PLOTS, did_you_mean, refuse

        if name in PLOTS:
            refuse(__name__, name, PLOTS[name])
        hint = "" if name.startswith("_") else did_you_mean(name, __all__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
