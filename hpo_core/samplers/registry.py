"""Samplers by name."""

from __future__ import annotations

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError
from hpo_core.gp.sampler import GPSampler
from hpo_core.hints import did_you_mean
from hpo_core.samplers.auto import AutoSampler
from hpo_core.samplers.base import Sampler
from hpo_core.samplers.random import RandomSampler
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.tpe.sampler import TPESampler

BY_NAME: dict[str, type[Sampler]] = {
    s.name: s for s in (AutoSampler, GPSampler, RandomSampler, SobolSampler, TPESampler)
}


def is_ours(sampler: Sampler) -> bool:
    """Return whether a sampler is one of hpo_core's, and not of a subclass."""
    return BY_NAME.get(sampler.name) is type(sampler)


def resolve(sampler: str | Sampler) -> Sampler:
    """Return the sampler of a name, with default options, or the sampler itself."""
    if isinstance(sampler, Sampler):
        return sampler
    if isinstance(sampler, type):
        raise ArgumentError(
            f"sampler must be an instance, {sampler.__name__}(), got the class {sampler.__name__}"
        )
    if not isinstance(sampler, str) or sampler not in BY_NAME:
        raise ArgumentError(
            f"sampler must be {some(sorted(BY_NAME))} or a Sampler, got {shown(sampler)}"
            f"{did_you_mean(sampler, BY_NAME)}"
        )
    return BY_NAME[sampler]()
