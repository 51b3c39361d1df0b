"""Columns of everything observed so far, built by applying events."""

from hpo_core.log.columns import Reports, State
from hpo_core.log.history import History

__all__ = ["History", "Reports", "State"]
