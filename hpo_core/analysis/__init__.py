"""Analysis of a study: the columns behind every picture, fronts, and the savings of stopping."""

from hpo_core.analysis.importance import importance

__all__ = ["importance"]
