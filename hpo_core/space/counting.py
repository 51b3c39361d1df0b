"""The number of configurations of a space.

A parameter that exists for one choice of one owner hangs in a tree, and a tree is counted by
recursion: C(p) = sum over the levels of p of the product of C over what the level owns. Parameters
with other conditions are *tied*, together with all that they read: the parents among them are
enumerated component by component, and everything else multiplies.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpo_core.space.activity import Activity

# Combinations of parents enumerated per component: a tenth of a second, and (d, 100,000) floats.
MAX_COMBINATIONS = 100_000


def count(activity: Activity) -> int | float:
    """Configurations before constraints; see ``Space.size``."""
    if (activity.layout.kinds == Kind.CONTINUOUS).any():
        return math.inf
    return _Count(activity).total()


class _Count:
    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._group = activity.layout.group.tolist()
        self._levels: list[int] = activity.layout.levels.tolist()
        rows = range(len(self._group))
        owners = [activity.owner(group) for group in self._group]
        reads = [activity.reads(group) for group in self._group]
        self._tied = _closure([row for row in rows if self._group[row] and owners[row] is None], reads)
        self._reads = {row: reads[row] for row in sorted(self._tied)}
        self._owned: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, owner in enumerate(owners):
            if owner is not None and row not in self._tied:
                self._owned[owner.row][owner.level].append(row)
        # Configurations of an active parameter and of all it owns; what is owned is in a later group.
        self._trees: dict[int, int] = {}
        for row in sorted(rows, key=self._group.__getitem__, reverse=True):
            owning = self._owning(row)
            self._trees[row] = self._levels[row] - len(owning) + sum(owning.values())

    def total(self) -> int:
        roots = [row for row, group in enumerate(self._group) if not group and row not in self._tied]
        trees = math.prod(self._trees[row] for row in roots)
        return trees * math.prod(map(self._component, _components(self._reads)))

    def _owning(self, row: int) -> dict[int, int]:
        """The same for each level that owns anything: a grid may have 2**48 that own nothing."""
        owned = self._owned.get(row, {})
        return {level: math.prod(self._trees[row] for row in rows) for level, rows in owned.items()}

    def _component(self, rows: set[int]) -> int:
        parents = set().union(*(self._reads[row] for row in rows))
        x = self._activity.expand(parents, MAX_COMBINATIONS)
        if x is None:  # an inactive parameter counts as one more level
            return math.prod(self._trees[row] + bool(self._group[row]) for row in rows)
        ways: Any = np.ones(x.shape[1], dtype=np.object_)  # Python's ints do not overflow
        for row in rows:
            if row in parents:
                level = np.searchsorted(self._activity.encodings[row].every(), np.nan_to_num(x[row]))
                each: Any = np.ones(self._levels[row], dtype=np.object_)
                for owner, product in self._owning(row).items():
                    each[owner] = product
                ways *= np.where(np.isnan(x[row]), 1, each[level])
            else:
                ways *= np.where(self._activity.active(self._group[row], x), self._trees[row], 1)
        return int(ways.sum())


def _closure(rows: list[int], reads: list[set[int]]) -> set[int]:
    """``rows``, all that their conditions read, and so on."""
    closed: set[int] = set()
    while rows:
        row = rows.pop()
        if row not in closed:
            closed.add(row)
            rows.extend(reads[row])
    return closed


def _components(reads: dict[int, set[int]]) -> Iterable[set[int]]:
    """Split parameters into sets that read nothing of each other."""
    components: list[set[int]] = []
    for row, read in reads.items():
        merged = {row, *read}
        apart = []
        for component in components:
            if component.isdisjoint(merged):
                apart.append(component)
            else:
                merged |= component
        components = [*apart, merged]
    return components
