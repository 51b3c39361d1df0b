"""Handles to trials: ``Trial`` and ``TrialBatch``."""

from hpo_core.trial.handles import Trial, TrialBatch

__all__ = ["Trial", "TrialBatch"]
