"""The study: ask, tell, optimize."""

from hpo_core.study.study import Study

__all__ = ["Study"]
