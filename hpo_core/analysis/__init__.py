"""What the results of a study say: the columns behind every picture, fronts, and what stopping saved."""

from hpo_core.analysis.importance import importance

__all__ = ["importance"]
