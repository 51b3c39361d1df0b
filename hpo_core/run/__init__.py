"""The loop of ``Study.optimize``: ask, evaluate, tell."""

from hpo_core.run.loop import run

__all__ = ["run"]
