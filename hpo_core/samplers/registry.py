"""Samplers by name."""

from __future__ import annotations

from typing import Final

from hpo_core.gp.sampler import GPSampler
from hpo_core.parts import Parts
from hpo_core.samplers.auto import AutoSampler
from hpo_core.samplers.base import Sampler
from hpo_core.samplers.random import RandomSampler
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.tpe.sampler import TPESampler

SAMPLERS: Final[Parts[Sampler]] = Parts(
    "sampler", Sampler, (AutoSampler, GPSampler, RandomSampler, SobolSampler, TPESampler), " or a Sampler"
)
BY_NAME = SAMPLERS.by_name


def resolve(sampler: str | Sampler) -> Sampler:
    """Return the sampler of a name, with default options, or the sampler itself.

    Parameters
    ----------
    sampler : str or Sampler

    Returns
    -------
    Sampler

    Raises
    ------
    ArgumentError
        There is no sampler of that name.

    Examples
    --------
    >>> resolve("tpe").name
    'tpe'
    """
    return SAMPLERS.resolve(sampler)
