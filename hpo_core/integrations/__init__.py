"""Integrations: searches of other libraries with our samplers, trainings that report to trials, trackers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_core.integrations import keras as keras
    from hpo_core.integrations import lightgbm as lightgbm
    from hpo_core.integrations import lightning as lightning
    from hpo_core.integrations import mlflow as mlflow
    from hpo_core.integrations import optuna as optuna
    from hpo_core.integrations import ray as ray
    from hpo_core.integrations import sklearn as sklearn
    from hpo_core.integrations import tensorboard as tensorboard
    from hpo_core.integrations import transformers as transformers
    from hpo_core.integrations import wandb as wandb
    from hpo_core.integrations import xgboost as xgboost

# Loaded on first use: each imports the library that it is named after.
_MODULES = (
    "keras",
    "lightgbm",
    "lightning",
    "mlflow",
    "optuna",
    "ray",
    "sklearn",
    "tensorboard",
    "transformers",
    "wandb",
    "xgboost",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
