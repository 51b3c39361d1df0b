"""Decisions about running trials: stop early, pause, continue."""

from hpo_core.schedulers.base import Scheduler, Verdict

__all__ = ["Scheduler", "Verdict"]
