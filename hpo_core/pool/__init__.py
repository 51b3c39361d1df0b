"""Thousands of small studies at once."""

from hpo_core.pool.pool import StudyPool
from hpo_core.pool.trials import PoolBatch

__all__ = ["PoolBatch", "StudyPool"]
