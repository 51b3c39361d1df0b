"""What the results of a study say."""

from hpo_core.analysis.importance import importance

__all__ = ["importance"]
