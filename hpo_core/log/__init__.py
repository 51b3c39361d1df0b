"""The truth of a study: its events, the columns that they give, and the ledger that takes every change."""

from hpo_core.log.columns import Move, Reports, State
from hpo_core.log.history import History

__all__ = ["History", "Move", "Reports", "State"]
