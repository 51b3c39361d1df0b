"""Other people's loops with hpo_core's suggestions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_core.integrations import optuna as optuna
    from hpo_core.integrations import ray as ray


def __getattr__(name: str) -> Any:
    if name in ("optuna", "ray"):  # loaded when asked for: each imports what it is for
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
