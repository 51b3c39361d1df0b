"""Pictures of a study as Matplotlib axes (needs the ``plots`` extra).

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes,
so that titles, limits and saving stay with the caller. ``hpo_core.analysis`` has the columns behind them.
"""

from hpo_core.plots.fronts import plot_front, plot_hypervolume
from hpo_core.plots.parameters import plot_metrics
from hpo_core.plots.parzen import plot_parzen
from hpo_core.plots.progress import plot_history
from hpo_core.plots.training import plot_curves, plot_steps

__all__ = [
    "plot_curves",
    "plot_front",
    "plot_history",
    "plot_hypervolume",
    "plot_metrics",
    "plot_parzen",
    "plot_steps",
]
