"""Samplers choose the next configurations, given all trials so far."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_core.gp.sampler import GPSampler
    from hpo_core.samplers.auto import AutoSampler
    from hpo_core.samplers.base import Sampler, Suggestion
    from hpo_core.samplers.random import RandomSampler
    from hpo_core.samplers.registry import BY_NAME, resolve
    from hpo_core.samplers.sobol import SobolSampler
    from hpo_core.tpe.sampler import TPESampler

__all__ = [
    "BY_NAME",
    "AutoSampler",
    "GPSampler",
    "RandomSampler",
    "Sampler",
    "SobolSampler",
    "Suggestion",
    "TPESampler",
    "resolve",
]

# Loaded when first asked for: gp and tpe build on modules of this package.
_HOMES = {
    "AutoSampler": "hpo_core.samplers.auto",
    "BY_NAME": "hpo_core.samplers.registry",
    "GPSampler": "hpo_core.gp.sampler",
    "RandomSampler": "hpo_core.samplers.random",
    "Sampler": "hpo_core.samplers.base",
    "SobolSampler": "hpo_core.samplers.sobol",
    "Suggestion": "hpo_core.samplers.base",
    "TPESampler": "hpo_core.tpe.sampler",
    "resolve": "hpo_core.samplers.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
