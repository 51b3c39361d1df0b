"""From the mapping a user writes to a flat list of parameters, each with one activity condition.

A parameter of a sub-space exists where its owner takes the choice *and* its own ``when`` is true; a
name declared in several places exists where any of them does. An inactive owner makes the
comparison unknown, so a condition need not repeat the owner's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from hpo_core.checks import MAX_DEPTH, shown
from hpo_core.errors import SpaceError
from hpo_core.space.expressions import Expression, param
from hpo_core.space.parameters import (
    Categorical,
    Float,
    Int,
    Ordinal,
    check_depth,
    domain_key,
    pieces,
    plain_constant,
)

MAX_NAME = 256
PARAMETERS = (Float, Int, Ordinal, Categorical)


class Place(NamedTuple):
    """A branch: a Categorical and one of its choices."""

    owner: str
    choice: Any

    def __str__(self) -> str:
        return f"in {self.owner}={self.choice!r}"


@dataclass
class Entry:
    """A parameter or constant with every place it was declared in; None is the top level."""

    declaration: Any = None
    places: list[Place | None] = field(default_factory=list)
    terms: list[Expression | None] = field(default_factory=list)  # its condition there; None: always

    @property
    def is_parameter(self) -> bool:
        """Whether it varies."""
        return isinstance(self.declaration, PARAMETERS)

    @property
    def condition(self) -> Expression | None:
        """When it is active; None means always."""
        if any(term is None for term in self.terms):
            return None
        distinct: list[Expression] = []
        for term in self.terms:
            if term is not None and term.key not in [other.key for other in distinct]:
                distinct.append(term)
        first, *rest = distinct
        for term in rest:
            first |= term
        return first

    @property
    def branches(self) -> list[Place]:
        """Places it is confined to; none if it is also declared at the top level."""
        places = [place for place in self.places if place is not None]
        return places if len(places) == len(self.places) else []


def grow(declarations: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Entry]]:
    """Return the declarations, checked, and all of them by name, those of sub-spaces included."""
    if not isinstance(declarations, Mapping):
        raise SpaceError(f"a Space must be a mapping of names to parameters, got {shown(declarations)}")
    entries: dict[str, Entry] = {}
    checked = _walk(entries, declarations, None, 0)
    if not entries:
        raise SpaceError("a Space must have at least one parameter or constant, got none")
    return checked, entries


def _walk(
    entries: dict[str, Entry], declarations: Mapping[str, Any], place: Place | None, depth: int
) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise SpaceError(f"sub-spaces are nested more than {MAX_DEPTH} deep; does one contain itself?")
    checked = {}
    for name, declaration in declarations.items():
        where = f" {place}" if place else ""
        _check_name(name, where)
        if isinstance(declaration, PARAMETERS):
            checked[name] = _parameter(
                entries, name, declaration.checked(f"parameter {name!r}{where}"), place, depth
            )
        else:
            what = f"constant {name!r}{where}"
            check_depth(declaration, what)
            checked[name] = constant = plain_constant(declaration, what)
            _enter(entries, name, constant, place, _at(place))
    return checked


def _parameter(
    entries: dict[str, Entry], name: str, declaration: Any, place: Place | None, depth: int
) -> Any:
    entries.setdefault(name, Entry())  # an owner comes before what it owns
    if isinstance(declaration, Categorical) and isinstance(declaration.choices, Mapping):
        subspaces = {}
        for choice, subspace in declaration.choices.items():  # no comprehension: it is a frame for each level
            subspaces[choice] = _walk(entries, subspace, Place(name, choice), depth + 1)
        declaration = replace(declaration, choices=subspaces)
    term, when = _at(place), declaration.when
    if when is not None:
        term = when if term is None else term & when
    _enter(entries, name, declaration, place, term)
    return declaration


def _at(place: Place | None) -> Expression | None:
    return None if place is None else param(place.owner) == place.choice


def _enter(
    entries: dict[str, Entry], name: str, declaration: Any, place: Place | None, term: Expression | None
) -> None:
    entry = entries.setdefault(name, Entry())
    if entry.places and domain_key(entry.declaration) != domain_key(declaration):
        here, there = (str(where or "at the top level") for where in (place, entry.places[0]))
        raise SpaceError(
            f"parameter {name!r} is {_bare(entry.declaration)} {there} and {_bare(declaration)} {here}; "
            "a name may be used again only for the same domain"
        )
    if not getattr(entry.declaration, "doc", ""):
        entry.declaration = declaration
    entry.places.append(place)
    entry.terms.append(term)


def _bare(declaration: Any) -> str:
    return repr(
        replace(declaration, when=None, doc="") if isinstance(declaration, PARAMETERS) else declaration
    )


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        came = f"{len(name)} characters" if isinstance(name, str) else repr(name)
        raise SpaceError(f"a parameter's name must be a str of 1 to {MAX_NAME} characters, got {came}{where}")
    if len(pieces(name)) > 1:
        raise SpaceError(f"a parameter's name must not hold a split surrogate pair, got {name!r}{where}")
