"""Hyperparameter optimisation on native kernels.

>>> import hpo_core as hpo
>>> space = {"x": hpo.Float(-5, 5), "kind": hpo.Categorical(["a", "b"])}
>>> study = hpo.Study(space, seed=0)
>>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=30)
>>> study.best_value < 1
True
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_core import acquisition as acquisition
    from hpo_core import analysis as analysis
    from hpo_core import callbacks as callbacks
    from hpo_core import errors as errors
    from hpo_core import executors as executors
    from hpo_core import integrations as integrations
    from hpo_core import native as native
    from hpo_core import nn as nn
    from hpo_core import plots as plots
    from hpo_core import samplers as samplers
    from hpo_core import schedulers as schedulers
    from hpo_core import space as space
    from hpo_core import storage as storage
    from hpo_core.errors import (
        ArgumentError,
        BackendError,
        HpoError,
        InfeasibleSpaceError,
        NotPositiveDefiniteError,
        SpaceError,
        SpaceExhausted,
        StorageError,
        StorageRefusedError,
        StudyError,
        TrialError,
        TrialFailed,
        TrialStopped,
    )
    from hpo_core.metrics import AtLeast, AtMost, Maximize, Minimize
    from hpo_core.native import set_num_threads
    from hpo_core.pool import StudyPool
    from hpo_core.samplers import AutoSampler, GPSampler, RandomSampler, SobolSampler, TPESampler
    from hpo_core.schedulers import ASHA, FreezeThaw, Hyperband, Median, Patience, Percentile, Threshold
    from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param
    from hpo_core.study import Study
    from hpo_core.trial import Trial, TrialBatch

__version__ = "0.2.0"

__all__ = [
    "ASHA",
    "ArgumentError",
    "AtLeast",
    "AtMost",
    "AutoSampler",
    "BackendError",
    "Categorical",
    "Float",
    "FreezeThaw",
    "GPSampler",
    "HpoError",
    "Hyperband",
    "InfeasibleSpaceError",
    "Int",
    "Maximize",
    "Median",
    "Minimize",
    "NotPositiveDefiniteError",
    "Ordinal",
    "Patience",
    "Percentile",
    "RandomSampler",
    "SobolSampler",
    "Space",
    "SpaceError",
    "SpaceExhausted",
    "StorageError",
    "StorageRefusedError",
    "Study",
    "StudyError",
    "StudyPool",
    "TPESampler",
    "Threshold",
    "Trial",
    "TrialBatch",
    "TrialError",
    "TrialFailed",
    "TrialStopped",
    "param",
    "set_num_threads",
]

# The module of each name, which is loaded on first use: `import hpo_core` alone costs nothing.
_ROOMS = {
    "errors": (
        "ArgumentError",
        "BackendError",
        "HpoError",
        "InfeasibleSpaceError",
        "NotPositiveDefiniteError",
        "SpaceError",
        "SpaceExhausted",
        "StorageError",
        "StorageRefusedError",
        "StudyError",
        "TrialError",
        "TrialFailed",
        "TrialStopped",
    ),
    "metrics": ("AtLeast", "AtMost", "Maximize", "Minimize"),
    "native": ("set_num_threads",),
    "pool": ("StudyPool",),
    "samplers": ("AutoSampler", "GPSampler", "RandomSampler", "SobolSampler", "TPESampler"),
    "schedulers": ("ASHA", "FreezeThaw", "Hyperband", "Median", "Patience", "Percentile", "Threshold"),
    "space": ("Categorical", "Float", "Int", "Ordinal", "Space", "param"),
    "study": ("Study",),
    "trial": ("Trial", "TrialBatch"),
}
# Rooms that are public as they are.
_PUBLIC_ROOMS = (
    "acquisition",
    "analysis",
    "callbacks",
    "errors",
    "executors",
    "integrations",
    "native",
    "nn",
    "plots",
    "samplers",
    "schedulers",
    "space",
    "storage",
)
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC_ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        from hpo_core.hints import MODULE, did_you_mean, refuse

        if name in MODULE:
            return refuse(__name__, name, MODULE[name])
        hint = "" if name.startswith("_") else did_you_mean(name, (*_PUBLIC_ROOMS, *__all__))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PUBLIC_ROOMS})


if os.environ.get("HPO_CORE_REQUIRE_NATIVE", "0") not in ("", "0"):
    import_module("hpo_core.native")
