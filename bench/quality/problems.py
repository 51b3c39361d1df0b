"""The development suite of the samplers, and the families with noise and in which trials fail, by name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bench.quality import conditional, failing, synthetic, tabular

if TYPE_CHECKING:
    from bench.quality.spec import Problem

_ANALYTIC = {p.name: p for p in [*synthetic.problems(), *conditional.problems()]}
_TABLES = {f"{library}-{data_set}": (library, data_set) for library, data_set in tabular.names()}

_NOISY = {p.name: p for p in synthetic.noisy_problems()}
_FAILING = {p.name: p for p in failing.problems()}

NAMES = (*_TABLES, *_ANALYTIC)
NOISY = tuple(_NOISY)
FAILURES = (*_FAILING, failing.TABLE_NAME)
CONDITIONAL = tuple(name for name, p in _ANALYTIC.items() if p.conditional)
CONTINUOUS = tuple(p.name for p in synthetic.problems())


@cache
def get(name: str) -> Problem:
    """The problem ``name``; a table is read when first asked for."""
    if name == failing.TABLE_NAME:
        return failing.table()
    return tabular.problem(*_TABLES[name]) if name in _TABLES else (_ANALYTIC | _NOISY | _FAILING)[name]
