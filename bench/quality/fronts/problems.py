"""The problems of several objectives, by name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bench.quality.fronts import synthetic, tables

if TYPE_CHECKING:
    from bench.quality.fronts.spec import Problem

_SYNTHETIC = {p.name: p for p in synthetic.problems()}

NAMES = (*_SYNTHETIC, *tables.TABLES)
CONSTRAINED = tuple(name for name, p in _SYNTHETIC.items() if p.constraints)
WITHOUT_CONSTRAINTS = tuple(name for name in NAMES if name not in CONSTRAINED)
KNOWN = (
    *(name for name, p in _SYNTHETIC.items() if p.known),
    *(n for n in tables.TABLES if n != "cifar10_latency"),
)


@cache
def get(name: str) -> Problem:
    """The problem ``name``; a table is read when first asked for."""
    return tables.problem(name) if name in tables.TABLES else _SYNTHETIC[name]
