"""Columns of everything observed so far, built by applying events."""

from hpo_core.history.columns import Reports, State
from hpo_core.history.history import History

__all__ = ["History", "Reports", "State"]
