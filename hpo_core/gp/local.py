"""A Gaussian process of the best trials and their neighbours alone, for long searches."""

from __future__ import annotations

from typing import ClassVar

from hpo_core.gp.proposal import SearchSettings
from hpo_core.gp.sampler import GPSampler


class LocalGPSampler(GPSampler):
    """``GPSampler`` with a model of 256 trials in a trust region: it refines what a long search has found.

    Half of the 256 are the best, half those most correlated with the best of all. A suggestion takes 5 to 18
    milliseconds up to 10,000 trials. Decided in bench/results/2026-11-29-long-searches.md.
    """

    _local: ClassVar[SearchSettings] = SearchSettings(
        n_pool=512, n_near=256, n_starts=4, max_fit=256, max_posterior=256
    )

    def __init__(self) -> None:
        super().__init__()
        self._settings = self._local
