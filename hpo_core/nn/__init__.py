"""The PyTorch side: trainings as objectives, light architectures under a budget, compression of models.

Names are loaded on first use, and PyTorch with the first name that needs it.

>>> from hpo_core import nn
>>> nn.Training(optimizer="sgd", lr=0.1).momentum
0.0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_core.nn.budget import Budget, Counts
    from hpo_core.nn.compress import Compression, decompose, prune
    from hpo_core.nn.light import LightNet
    from hpo_core.nn.measure import measure_counts, measure_latency
    from hpo_core.nn.objective import TrainingObjective, train_cohort
    from hpo_core.nn.trained import Trained
    from hpo_core.nn.training import Training

__all__ = [
    "Budget",
    "Compression",
    "Counts",
    "LightNet",
    "Trained",
    "Training",
    "TrainingObjective",
    "decompose",
    "measure_counts",
    "measure_latency",
    "prune",
    "train_cohort",
]

_ROOMS = {
    "budget": ("Budget", "Counts"),
    "compress": ("Compression", "decompose", "prune"),
    "light": ("LightNet",),
    "measure": ("measure_counts", "measure_latency"),
    "objective": ("TrainingObjective", "train_cohort"),
    "trained": ("Trained",),
    "training": ("Training",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = f"{__name__}.{name} needs PyTorch: pip install 'hpo-core[torch]'"
        raise ModuleNotFoundError(message, name="torch") from error
    value = getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
