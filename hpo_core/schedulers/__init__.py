"""Decisions about running trials: stop early, pause, continue."""

from hpo_core.log import Move
from hpo_core.schedulers.asha import ASHA
from hpo_core.schedulers.base import Scheduler, Verdict
from hpo_core.schedulers.freeze_thaw import FreezeThaw
from hpo_core.schedulers.hyperband import Hyperband
from hpo_core.schedulers.median import Median, Percentile
from hpo_core.schedulers.patience import Patience
from hpo_core.schedulers.registry import BY_NAME, resolve
from hpo_core.schedulers.threshold import Threshold

__all__ = [
    "ASHA",
    "BY_NAME",
    "FreezeThaw",
    "Hyperband",
    "Median",
    "Move",
    "Patience",
    "Percentile",
    "Scheduler",
    "Threshold",
    "Verdict",
    "resolve",
]
