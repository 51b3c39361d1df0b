"""The truth of a study: its events, the columns that they give, and the ledger that takes every change."""

from hpo_core.log.columns import Reports, State
from hpo_core.log.history import History

__all__ = ["History", "Reports", "State"]
