"""Hyperparameter optimisation on native kernels: a space, a study, ask and tell."""

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
    "__version__",
    "param",
    "set_num_threads",
]
