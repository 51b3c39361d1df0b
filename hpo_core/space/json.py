"""A space as JSON text.

A parameter is ``{"float": [low, high, step], "log": true, ...}`` with options at their default left
out, an expression a list ``[">=", ["param", "depth"], 4]``, a constant ``{"constant": value}``. Values
that JSON lacks are wrapped: ``{"tuple": [...]}``, ``{"list": [...]}``, ``{"number": "inf"}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

from hpo_core.checks import MAX_BITS, MAX_DEPTH, shown
from hpo_core.errors import SpaceError
from hpo_core.space.expressions import Expression, build, fold, is_operator
from hpo_core.space.parameters import Categorical, Float, Int, Ordinal, pieces

VERSION = 1
KINDS = frozenset({"float", "int", "ordinal", "categorical", "constant"})
_NUMBERS = ("nan", "inf", "-inf")


def dump(declarations: Mapping[str, Any], forbid: Sequence[Expression], feasible: Any) -> str:
    """JSON text of a space."""
    if feasible is not None:
        raise SpaceError(f"feasible must be None for JSON, which holds no functions, got {shown(feasible)}")
    space: dict[str, Any] = {"hpo_core": VERSION, "space": _dump_space(declarations)}
    if forbid:
        space["forbid"] = [_dump_expression(condition, "forbid") for condition in forbid]
    import json

    return json.dumps(space, separators=(",", ":"), allow_nan=False)


def _dump_space(declarations: Mapping[str, Any]) -> dict[str, Any]:
    written = {}
    for name, declaration in declarations.items():  # no comprehension: it is a frame for each level
        written[name] = _dump_declaration(declaration, f"{name!r}")
    return written


def _dump_declaration(declaration: Any, where: str) -> dict[str, Any]:
    written: dict[str, Any]
    match declaration:
        case Float():
            step = [] if declaration.step is None else [declaration.step]
            written = {"float": [declaration.low, declaration.high, *step]}
        case Int():
            step = [] if declaration.step == 1 else [declaration.step]
            written = {"int": [declaration.low, declaration.high, *step]}
        case Ordinal():
            written = {"ordinal": [dump_value(value, where) for value in declaration.values]}
        case Categorical(choices=choices):
            written = {"categorical": [dump_value(choice, where) for choice in choices]}
            if isinstance(choices, Mapping):
                written["spaces"] = [*map(_dump_space, choices.values())]
        case _:
            return {"constant": dump_value(declaration, where)}
    if getattr(declaration, "log", False):
        written["log"] = True
    if declaration.when is not None:
        written["when"] = _dump_expression(declaration.when, where)
    if declaration.doc:
        written["doc"] = dump_value(declaration.doc, where)
    return written


def _dump_expression(expression: Expression, where: str) -> Any:
    def visit(node: Any, parts: list[Any]) -> Any:
        if is_operator(node):
            return [node.op, *parts]
        return [node.op, *node.args] if isinstance(node, Expression) else dump_value(node, where)

    return fold(expression, visit)


def dump_value(value: Any, where: str, depth: int = 0) -> Any:
    """A choice or constant in a form that JSON can hold."""
    if type(value) is float and not math.isfinite(value):
        return {"number": repr(value)}
    if type(value) is str:
        parts = pieces(value)
        return value if len(parts) == 1 else {"text": parts}
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise SpaceError(f"{where}: an int of {value.bit_length()} bits is more than {MAX_BITS}")
    if type(value) in {int, float, bool, type(None)}:
        return value
    if type(value) in {tuple, list}:
        if depth == MAX_DEPTH:
            raise SpaceError(f"{where}: a value is nested more than {MAX_DEPTH} deep")
        return {type(value).__name__: [dump_value(item, where, depth + 1) for item in value]}
    raise SpaceError(
        f"{where}: {shown(value)} cannot be written as JSON; str, int, float, bool, None and tuples can"
    )


def load(text: str) -> tuple[dict[str, Any], list[Expression]]:
    """Declarations and forbidden conditions from JSON text."""
    import json

    try:
        space = json.loads(text)
    except RecursionError:
        raise SpaceError("text is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise SpaceError(f"text must be JSON, got {shown(text, 80)}: {error}") from None
    if not isinstance(space, dict) or space.get("hpo_core") != VERSION:
        raise SpaceError(f"text must be a space of version {VERSION}, got {shown(text, 80)}")
    declarations = _load_space(space.get("space"), "the space")
    forbid = space.get("forbid", [])
    if not isinstance(forbid, list):
        raise SpaceError(f"forbid must be a list, got {shown(forbid)}")
    return declarations, [_load("forbid", _load_expression, written) for written in forbid]


def _load_space(written: Any, what: str) -> dict[str, Any]:
    if not isinstance(written, dict):
        raise SpaceError(f"{what} must be a JSON object of parameters, got {shown(written)}")
    declarations = {}
    for name, declaration in written.items():  # no comprehension: it is a frame for each level
        declarations[name] = _load(f"parameter {name!r}", _load_declaration, declaration)
    return declarations


def _load(what: str, read: Callable[[Any], Any], written: Any) -> Any:
    try:
        return read(written)
    except SpaceError as error:
        if str(error).startswith("parameter "):
            raise
        raise SpaceError(f"{what}: {error}") from None
    except RecursionError:
        raise SpaceError(f"{what} is nested too deeply") from None
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        raise SpaceError(f"{what} cannot be read from {shown(written)}") from None


def _load_declaration(written: dict[str, Any]) -> Any:
    options = dict(written)
    (kind,) = options.keys() & KINDS
    domain = options.pop(kind)
    if kind == "constant":
        return load_value(domain)
    if "doc" in options:
        options["doc"] = load_value(options["doc"])
    if "when" in options:
        options["when"] = _load_expression(options["when"])
    if kind in {"float", "int"}:
        low, high, *step = domain
        options |= {"step": step[0]} if step else {}
        return (Float if kind == "float" else Int)(low, high, **options)
    values = [load_value(value) for value in domain]
    if kind == "ordinal":
        return Ordinal(values, **options)
    subspaces = options.pop("spaces", None)
    if subspaces is None:
        return Categorical(values, **options)
    owned = map(_load_space, subspaces, repeat("a sub-space"))
    return Categorical(dict(zip(values, owned, strict=True)), **options)


def _load_expression(written: Any) -> Any:
    """Read what ``_dump_expression`` wrote, arguments before what takes them."""
    nodes, ahead = [], [written]
    while ahead:
        node = ahead.pop()
        nodes.append(node)
        if isinstance(node, list):
            ahead.extend(node[1:])
    made: list[Any] = []
    for node in reversed(nodes):
        if isinstance(node, list):
            first = len(made) - len(node) + 1
            made[first:] = [build(node[0], tuple(made[first:]))]
        else:
            made.append(load_value(node))
    return made[0]


def load_value(written: Any) -> Any:
    """The value that ``dump_value`` was given."""
    if isinstance(written, list):
        raise TypeError("a list is written as an object")
    if isinstance(written, dict):
        ((kind, content),) = written.items()
        if kind == "number" and content in _NUMBERS:
            return float(content)
        if isinstance(content, list) and kind in {"tuple", "list", "text"}:
            items = [load_value(item) for item in content]
            return items if kind == "list" else tuple(items) if kind == "tuple" else "".join(items)
        raise ValueError(f"no value is written as {shown(written)}")
    return written
