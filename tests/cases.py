"""How the public callables are called in the walk over their arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from studies import small_space

import hpo_core as hpo

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Case:
    """How a public callable is called, and what each of its arguments refuses."""

    call: Callable[..., Any]  # call(scene, **arguments)
    rejected: dict[str, list[Any]]
    valid: Callable[[Scene], dict[str, Any]] = field(default=lambda scene: {})


@dataclass(frozen=True)
class Named:
    """A refused value whose error names it by other words than the argument's own name."""

    value: Any
    words: str


class Scene:
    """A study with complete, failed and running trials."""

    def __init__(self) -> None:
        self.study = hpo.Study(small_space(), sampler="random", seed=0)
        done = self.study.ask(6)
        self.study.tell(done[:4], np.arange(4.0))
        self.study.fail(done[4:], reason="oom")
        self.batch = self.study.ask(3)
        self.trial = self.study.ask()
        self.pool = hpo.StudyPool({"x": hpo.Float(0.0, 1.0)}, 3, seed=0)
        self.pool.tell(self.pool.ask(), [1.0, 2.0, 3.0])
        self.asked = self.pool.ask()
        self.space = self.study.space
        self.codec = self.space.codec
        self.modelled = hpo.Study(small_space(), sampler="tpe", seed=0)
        self.modelled.tell(self.modelled.ask(20), np.arange(20.0))
        self.reported = hpo.Study(small_space(), sampler="random", seed=0)
        self.reported.ask(2).report(0, [1.0, 2.0])
        self.x = np.array(self.study.history.x[:, :5])
        metrics = {"error": hpo.Minimize(), "score": hpo.Maximize(), "ms": hpo.AtMost(5.0)}
        self.several = hpo.Study(small_space(), metrics=metrics, sampler="random", seed=0)
        self.several.tell(self.several.ask(3), [(1.0, 2.0, 5.0), (2.0, 3.0, 5.0), (0.0, 9.0, 6.0)])


def on(holder: str, method: str) -> Callable[..., Any]:
    """Call a method of one of the scene's objects."""
    return lambda scene, **arguments: getattr(getattr(scene, holder), method)(**arguments)


def subscript(holder: str) -> Callable[..., Any]:
    return lambda scene, **arguments: getattr(scene, holder)[next(iter(arguments.values()))]


def declare(kind: type) -> Callable[..., Any]:
    """Build a space around a parameter: that is where a declaration is checked."""
    return lambda scene, **arguments: hpo.Space({"p": kind(**arguments)})


def make(kind: Callable[..., Any]) -> Callable[..., Any]:
    return lambda scene, **arguments: kind(**arguments)


def enter(context: AbstractContextManager[Any]) -> None:
    with context:
        pass


def given(**arguments: Any) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: arguments
