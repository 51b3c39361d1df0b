"""Schedulers by name."""

from __future__ import annotations

from typing import Final

from hpo_core.parts import Parts
from hpo_core.schedulers.asha import ASHA
from hpo_core.schedulers.base import Scheduler
from hpo_core.schedulers.freeze_thaw import FreezeThaw
from hpo_core.schedulers.hyperband import Hyperband
from hpo_core.schedulers.median import Median, Percentile
from hpo_core.schedulers.patience import Patience
from hpo_core.schedulers.threshold import Threshold

SCHEDULERS: Final[Parts[Scheduler]] = Parts(
    "scheduler",
    Scheduler,
    (ASHA, FreezeThaw, Hyperband, Median, Patience, Percentile, Threshold),
    ", a Scheduler or None",
)
BY_NAME = SCHEDULERS.by_name


def resolve(scheduler: str | Scheduler | None) -> Scheduler | None:
    """Return the scheduler of a name, with default options, or the scheduler itself.

    Parameters
    ----------
    scheduler : str, Scheduler or None

    Returns
    -------
    Scheduler or None

    Raises
    ------
    ArgumentError
        There is no scheduler of that name.

    Examples
    --------
    >>> resolve("asha").name
    'asha'
    """
    return None if scheduler is None else SCHEDULERS.resolve(scheduler)
