"""The loop of ``Study.optimize``: ask, evaluate, tell."""

from hpo_core.loop.loop import run

__all__ = ["run"]
