"""Notes as JSON values and back, of the types that the user gave.

A value that JSON lacks is written as an object with one marked name: ``{"hpo_core:tuple": [...]}``,
``{"hpo_core:dict": [key, value, ...]}`` for keys that are not text, ``{"hpo_core:text": [...]}`` for the
pieces of a text that JSON would not give back whole.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from hpo_core.space.parameters import pieces

_TUPLE, _DICT, _TEXT = (f"hpo_core:{kind}" for kind in ("tuple", "dict", "text"))
_PLAIN = frozenset({int, float, bool, type(None)})


def dump_note(value: Any) -> Any:
    """Return a note, as ``checks.as_json`` returns it, in a form that JSON can hold."""
    if type(value) in _PLAIN:
        return value
    if type(value) is str:
        parts = pieces(value)
        return value if len(parts) == 1 else {_TEXT: parts}
    if type(value) in (list, tuple):
        items = value if _PLAIN.issuperset(map(type, value)) else [dump_note(item) for item in value]
        return {_TUPLE: items} if type(value) is tuple else items
    if all(type(key) is str and len(pieces(key)) == 1 for key in value) and not _looks_marked(value):
        return {key: dump_note(item) for key, item in value.items()}
    return {_DICT: [dump_note(each) for each in chain.from_iterable(value.items())]}


def load_note(written: Any) -> Any:
    """Return what ``dump_note`` was given.

    Raises
    ------
    TypeError, ValueError
        ``dump_note`` does not write this.
    """
    if type(written) is list:
        return [load_note(item) for item in written]
    if type(written) is not dict:
        return written
    if not _looks_marked(written):
        return {key: load_note(item) for key, item in written.items()}
    ((kind, content),) = written.items()
    items = [load_note(item) for item in content]
    if kind == _TUPLE:
        return tuple(items)
    if kind == _TEXT:
        return "".join(items)
    if kind == _DICT:
        return dict(zip(items[::2], items[1::2], strict=True))
    raise ValueError(f"a note has the mark {kind!r}")


def _looks_marked(value: dict[Any, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("hpo_core:")
