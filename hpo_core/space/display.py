"""A space as an indented tree of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpo_core.printable import displayed
from hpo_core.space.parameters import Categorical, Float, Int, Ordinal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.space.expressions import Expression


def show(declarations: Mapping[str, Any], forbid: Sequence[Expression], feasible: Any) -> str:
    """Text of a space: one line per parameter, choice and constraint."""
    lines = [*_lines(declarations), *(f"forbid {condition}" for condition in forbid)]
    if feasible is not None:
        lines.append(f"feasible {getattr(feasible, '__name__', repr(feasible))}")
    return "\n".join(["Space(", *(f"    {displayed(line)}" for line in lines), ")"])


def _lines(declarations: Mapping[str, Any]) -> Iterator[str]:
    for name, declaration in declarations.items():
        if not isinstance(declaration, Float | Int | Ordinal | Categorical):
            yield f"{name}: {declaration!r}"
            continue
        branches = _branches(declaration)
        bare = replace(declaration, when=None, doc="")
        line = f"{name}: {'Categorical' if branches else repr(bare)}"
        if declaration.when is not None:
            line += f" when {declaration.when}"
        yield line + (f"  # {declaration.doc}" if declaration.doc else "")
        for choice, subspace in branches.items():
            yield f"    {choice!r}{':' if subspace else ''}"
            yield from (f"        {line}" for line in _lines(subspace))


def _branches(declaration: Any) -> Mapping[Any, Any]:
    """Sub-spaces by choice, if any has parameters."""
    choices = declaration.choices if isinstance(declaration, Categorical) else None
    return choices if isinstance(choices, Mapping) and any(choices.values()) else {}
