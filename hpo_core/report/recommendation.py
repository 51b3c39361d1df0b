"""The recommended trial beside the best observed one, with their expected true values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from hpo_core.analysis.series import StudyLike
from hpo_core.gp.sampler import GPSampler

if TYPE_CHECKING:
    from hpo_core.samplers.base import Sampler

# Samplers whose ``recommend`` is that of the Gaussian process.
_JUDGED = ("gp", "auto")


class Sampled(StudyLike, Protocol):
    """A study, and its sampler."""

    sampler: Sampler
    seed: int


class Expected(NamedTuple):
    """A trial, and the mean and standard deviation of its true value, in the user's direction."""

    number: int
    mean: float
    deviation: float

    def __str__(self) -> str:
        digits = 4
        if 0.0 < abs(self.mean) < math.inf and 0.0 < self.deviation < math.inf:  # to the deviation's second
            apart = math.floor(math.log10(abs(self.mean))) - math.floor(math.log10(self.deviation))
            digits = min(max(digits, apart + 2), 17)
        return f"{self.mean:.{digits}g} \u00b1 {self.deviation:.2g}"


def recommendation(study: Sampled, best: int) -> tuple[Expected, Expected] | None:
    """Return what to expect of the recommended trial, and of trial ``best``, the best observed one.

    None if noise does not set them apart, or the sampler has no model of one objective. A study that is open
    for reading only, whose sampler is a name, gets the same answer.
    """
    if study.sampler.name not in _JUDGED or not study.metrics.is_plain:
        return None
    sampler, history = GPSampler(), study.history
    sampler.start(study.space, seed=study.seed)
    found = sampler.judged(history)
    if found is None:
        return None
    rows, mean, deviation = found
    permitted = study.space.permits(*history.configurations(rows))
    at = np.flatnonzero(rows == best)
    if not permitted.any() or not len(at) or best in (rows[0], rows[permitted][0]):
        return None
    mean = study.metrics.sign.item(0) * mean
    of = [Expected(*each) for each in zip(rows.tolist(), mean.tolist(), deviation.tolist(), strict=True)]
    return of[int(permitted.argmax())], of[at.item()]
