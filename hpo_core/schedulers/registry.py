"""Schedulers by name."""

from __future__ import annotations

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.schedulers.asha import ASHA
from hpo_core.schedulers.base import Scheduler
from hpo_core.schedulers.freeze_thaw import FreezeThaw
from hpo_core.schedulers.hyperband import Hyperband
from hpo_core.schedulers.median import Median, Percentile
from hpo_core.schedulers.patience import Patience
from hpo_core.schedulers.threshold import Threshold

BY_NAME: dict[str, type[Scheduler]] = {
    s.name: s for s in (ASHA, FreezeThaw, Hyperband, Median, Patience, Percentile, Threshold)
}


def is_ours(scheduler: Scheduler) -> bool:
    """Return whether a scheduler is one of hpo_core's, and not of a subclass."""
    return BY_NAME.get(scheduler.name) is type(scheduler)


def resolve(scheduler: str | Scheduler | None) -> Scheduler | None:
    """Return the scheduler of a name, with default options, or the scheduler itself."""
    if scheduler is None or isinstance(scheduler, Scheduler):
        return scheduler
    if isinstance(scheduler, type):
        raise ArgumentError(
            f"scheduler must be an instance, {scheduler.__name__}(), got the class {scheduler.__name__}"
        )
    if not isinstance(scheduler, str) or scheduler not in BY_NAME:
        raise ArgumentError(
            f"scheduler must be {some(sorted(BY_NAME))}, a Scheduler or None, got {shown(scheduler)}"
            f"{did_you_mean(scheduler, BY_NAME)}"
        )
    return BY_NAME[scheduler]()
