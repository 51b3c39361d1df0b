"""Hyperparameter optimisation on native kernels: from results so far to what to try next.

>>> import hpo_core as hpo
>>> space = {"x": hpo.Float(-5, 5), "kind": hpo.Categorical(["a", "b"])}
>>> study = hpo.Study(space, seed=0)
>>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=30)
>>> study.best_value < 1
True
"""

__version__ = "0.1.0"

from hpo_core.errors import (
    ArgumentError,
    BackendError,
    HpoError,
    InfeasibleSpaceError,
    SpaceError,
    SpaceExhausted,
    StudyError,
    TrialError,
    TrialFailed,
    TrialStopped,
)
from hpo_core.native import set_num_threads
from hpo_core.samplers import RandomSampler, SobolSampler, TPESampler
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param
from hpo_core.study import Study
from hpo_core.trial import Trial, TrialBatch

__all__ = [
    "ArgumentError",
    "BackendError",
    "Categorical",
    "Float",
    "HpoError",
    "InfeasibleSpaceError",
    "Int",
    "Ordinal",
    "RandomSampler",
    "SobolSampler",
    "Space",
    "SpaceError",
    "SpaceExhausted",
    "Study",
    "StudyError",
    "TPESampler",
    "Trial",
    "TrialBatch",
    "TrialError",
    "TrialFailed",
    "TrialStopped",
    "param",
    "set_num_threads",
]
