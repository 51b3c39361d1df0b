"""Sweep dictionaries: ``Space.from_sweep``.

A parameter is written as in the sweeps of Weights & Biases,
``{"distribution": "uniform", "min": 0.0, "max": 1.0}``, or as in JSON Schema,
``{"type": "number", "minimum": 0.0, "maximum": 1.0}``. A key without a meaning in its place is refused: it is
a mistake, or asks for something that a Space does not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hpo_core.checks import MAX_DEPTH, as_int, check_number, shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import MAX_TABLE_LEVELS
from hpo_core.space.parameters import Categorical, Float, Int, Ordinal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEPARATOR: Final = "."

# Keys of JSON Schema that only describe a parameter.
_NOTES: Final = frozenset({"$comment", "$schema", "default", "description", "examples", "title"})


def from_sweep(sweep: Any) -> dict[str, Any]:
    """Declarations of a sweep's parameters."""
    if not isinstance(sweep, Mapping):
        raise SpaceError(f"sweep must be a mapping with parameters, got {shown(sweep)}")
    nested = _nested(sweep)
    if nested is None:
        raise SpaceError(
            f"sweep must have the key 'parameters' or 'properties', got {some(sweep) or 'no key'}"
        )
    declarations: dict[str, Any] = {}
    for name, written in _flat(nested, ()):
        if name in declarations:
            raise SpaceError(f"parameter {name!r} occurs twice: nested names are joined by {SEPARATOR!r}")
        where = f"parameter {name!r}"
        try:
            declarations[name] = _declaration(written, where)
        except OverflowError:
            raise SpaceError(f"{where} has too many steps for a float, got {shown(written)}") from None
    return declarations


def _nested(written: Mapping[str, Any]) -> Any:
    """Parameters nested in a mapping, None if it is a parameter itself."""
    if {"parameters", "properties"} <= written.keys():
        raise SpaceError("a sweep must have 'parameters' or 'properties', got both in one mapping")
    return written.get("parameters", written.get("properties"))


def _flat(parameters: Any, above: tuple[str, ...]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Names and mappings of all parameters, nested ones by their path."""
    if not isinstance(parameters, Mapping):
        where = f"parameters of {SEPARATOR.join(above)!r}" if above else "parameters"
        raise SpaceError(f"{where} must be a mapping of names, got {shown(parameters)}")
    if len(above) > MAX_DEPTH:
        raise SpaceError(f"parameters are nested more than {MAX_DEPTH} deep")
    for own, written in parameters.items():
        if not isinstance(own, str):
            raise SpaceError(f"a parameter's name must be a str, got {shown(own)}")
        path = (*above, own)
        name = SEPARATOR.join(path)
        if not isinstance(written, Mapping):
            raise SpaceError(
                f"parameter {name!r} must be a mapping, such as {{'value': 3}}, got {shown(written)}"
            )
        nested = _nested(written)
        if nested is None:
            yield name, written
        else:
            _check_keys(written, {"parameters", "properties", "type", "required", *_NOTES}, f"group {name!r}")
            yield from _flat(nested, path)


def _declaration(written: Mapping[str, Any], where: str) -> Any:
    if written.keys() & {"type", "enum", "const"}:
        return _read_schema(written, where)
    kind = written.get("distribution")
    kind = _kind(written, where) if kind is None else kind
    if not isinstance(kind, str) or kind not in _DISTRIBUTIONS:
        _refuse_distribution(kind, where)
    read, *keys = _DISTRIBUTIONS[kind]
    _check_keys(written, {*keys, "distribution"}, f"{where}, {kind}")
    return read(written, where)


def _kind(written: Mapping[str, Any], where: str) -> str:
    """Distribution of a parameter that names none."""
    for key, kind in (("value", "constant"), ("values", "categorical")):
        if key in written:
            return kind
    if not {"min", "max"} <= written.keys():
        raise SpaceError(
            f"{where} must have 'value', 'values', 'min' and 'max', or 'distribution', got {written}"
        )
    whole = as_int(written["min"]) is not None and as_int(written["max"]) is not None
    return "int_uniform" if whole else "uniform"


def _refuse_distribution(kind: Any, where: str) -> None:
    words = kind.removeprefix("q_") if isinstance(kind, str) else ""
    if words in {"normal", "log_normal", "beta"}:
        instead = "log_uniform_values" if words == "log_normal" else "uniform"
        raise SpaceError(
            f"{where}: distribution {kind!r} favours part of the range, which a Space cannot express; use "
            f"{instead!r} with min and max"
        )
    if kind == "categorical_w_probabilities":
        raise SpaceError(f"{where}: {_NO_PROBABILITIES}")
    hint = did_you_mean(kind, _DISTRIBUTIONS)
    raise SpaceError(
        f"{where}: distribution must be one of {', '.join(_DISTRIBUTIONS)}, got {shown(kind)}{hint}"
    )


_NO_PROBABILITIES: Final = (
    "every choice is equally likely at first, and samplers learn which are better; leave out 'probabilities'"
)


def _check_keys(written: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in written:
        if key == "probabilities":
            raise SpaceError(f"{where}: {_NO_PROBABILITIES}")
        if key not in known:
            hint = did_you_mean(key, known)
            raise SpaceError(f"{where}: each key must be one of {some(sorted(known))}, got {key!r}{hint}")


def _number(written: Mapping[str, Any], key: str, where: str) -> float:
    if key not in written:
        raise SpaceError(f"{where} must have {key!r}, got {some(written)}")
    value = written[key]
    checked = check_number(f"{where}: {key}", value, "a finite number", math.isfinite, error=SpaceError)
    whole = as_int(value)
    return float(checked) if whole is None else whole


def _range(written: Mapping[str, Any], where: str) -> tuple[float, float]:
    low, high = (_number(written, key, where) for key in ("min", "max"))
    if not low <= high:
        raise SpaceError(f"{where}: min must be <= max, got min={low!r}, max={high!r}")
    return low, high


def _exponentials(written: Mapping[str, Any], where: str) -> tuple[float, float]:
    low, high = _range(written, where)
    try:
        return math.exp(low), math.exp(high)
    except OverflowError:
        raise SpaceError(
            f"{where}: min and max are exponents of e, got max={high!r}; "
            "log_uniform_values takes the values themselves"
        ) from None


def _positive(written: Mapping[str, Any], where: str) -> tuple[float, float]:
    low, high = _range(written, where)
    if low <= 0:
        raise SpaceError(f"{where}: min must be > 0 for a logarithm, got {low!r}")
    return low, high


def _constant(written: Mapping[str, Any], where: str) -> Any:
    if "value" not in written:
        raise SpaceError(f"{where} must have 'value', got {some(written)}")
    return written["value"]


def _categorical(written: Mapping[str, Any], where: str) -> Any:
    values = _values(written.get("values"), f"{where}: values")
    return Categorical(values) if "distribution" in written else _ordered(values)


def _values(values: Any, what: str) -> list[Any]:
    """Values as a list, the lists among them as tuples, because choices must be hashable."""
    if not isinstance(values, list | tuple):
        raise SpaceError(f"{what} must be a list, got {shown(values)}")
    return [_hashable(value) for value in values]


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _ordered(values: list[Any]) -> Any:
    """Rising or falling numbers are an Ordinal, because samplers then learn from their order."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and 2 <= len(values) <= MAX_TABLE_LEVELS:
        pairs = list(pairwise(values))
        if all(a < b for a, b in pairs) or all(a > b for a, b in pairs):
            return Ordinal(values)
    return Categorical(values)


def _int_uniform(written: Mapping[str, Any], where: str) -> Any:
    low, high = _range(written, where)
    if not isinstance(low, int) or not isinstance(high, int):
        raise SpaceError(
            f"{where}: min and max must be ints, got min={low!r}, max={high!r}; or use 'uniform'"
        )
    return Int(low, high)


def _uniform(written: Mapping[str, Any], where: str) -> Any:
    return Float(*_range(written, where))


def _q_uniform(written: Mapping[str, Any], where: str) -> Any:
    """The multiples of q that the numbers from min to max are rounded to."""
    (low, high), q = _range(written, where), _q(written, where)
    return _multiples(round(low / q), round(high / q), q)


def _q(written: Mapping[str, Any], where: str) -> float:
    q = _number({"q": 1, **written}, "q", where)
    if q <= 0:
        raise SpaceError(f"{where}: q must be > 0, got {q!r}")
    return q


def _multiples(first: int, last: int, step: float) -> Any:
    if isinstance(step, int):
        return Int(first * step, last * step, step=step)
    exact = Decimal(repr(step))  # so that 3 x 0.1 is 0.3
    return Float(float(first * exact), float(last * exact), step=step)


def _log(bounds: Callable[[Mapping[str, Any], str], tuple[float, float]]) -> Callable[..., Any]:
    return lambda written, where: Float(*bounds(written, where), log=True)


def _inverse_log(written: Mapping[str, Any], where: str) -> Any:
    """Numbers whose inverse is e to a power from min to max."""
    low, high = _range(written, where)
    return Float(*_exponentials({"min": -high, "max": -low}, where), log=True)


def _q_log(bounds: Callable[[Mapping[str, Any], str], tuple[float, float]]) -> Callable[..., Any]:
    def read(written: Mapping[str, Any], where: str) -> Any:
        q, (low, high) = _q(written, where), map(round, bounds(written, where))
        if q != 1 or low < 1:
            raise SpaceError(
                f"{where}: on a logarithmic scale q must be 1 and values >= 1, got q={q!r} from {low}; "
                "use log_uniform_values, or list the values"
            )
        return Int(low, high, log=True)

    return read


# How each distribution is read, and its keys.
_DISTRIBUTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "constant": (_constant, "value"),
    "categorical": (_categorical, "values"),
    "int_uniform": (_int_uniform, "min", "max"),
    "uniform": (_uniform, "min", "max"),
    "q_uniform": (_q_uniform, "min", "max", "q"),
    "log_uniform": (_log(_exponentials), "min", "max"),
    "log_uniform_values": (_log(_positive), "min", "max"),
    "q_log_uniform": (_q_log(_exponentials), "min", "max", "q"),
    "q_log_uniform_values": (_q_log(_positive), "min", "max", "q"),
    "inv_log_uniform": (_inverse_log, "min", "max"),
    "inv_log_uniform_values": (_log(_positive), "min", "max"),
}


def _read_schema(written: Mapping[str, Any], where: str) -> Any:
    """Parameter of a JSON Schema."""
    kind = written.get("type")
    if "const" in written:
        _check_keys(written, {"type", "const", *_NOTES}, where)
        return written["const"]
    if "enum" in written or kind == "boolean":
        _check_keys(written, {"type", "enum", *_NOTES}, where)
        declaration = _enum(written, where)
    elif kind in ("number", "integer"):
        declaration = _schema_range(written, where)
    else:
        raise SpaceError(
            f"{where}: type must be 'number', 'integer' or 'boolean', or come with 'enum' or 'const', "
            f"got {shown(kind)}"
        )
    return replace(declaration, doc=written.get("description", ""))


def _enum(written: Mapping[str, Any], where: str) -> Any:
    """Its choices with the default first, where ``Space.default`` looks for it; numbers stay in order."""
    values = _values(written.get("enum", [False, True]), f"{where}: enum")
    declaration = _ordered(values)
    default = _hashable(written.get("default"))
    if isinstance(declaration, Categorical) and default in values:
        first = values.index(default)
        return Categorical([values[first], *values[:first], *values[first + 1 :]])
    return declaration


def _schema_range(written: Mapping[str, Any], where: str) -> Any:
    whole = written["type"] == "integer"
    known = {"type", "minimum", "maximum", "multipleOf", *_NOTES}
    if not whole and written.keys() & {"exclusiveMinimum", "exclusiveMaximum"}:
        raise SpaceError(f"{where}: a Float includes its bounds; write 'minimum' and 'maximum'")
    _check_keys(written, known | ({"exclusiveMinimum", "exclusiveMaximum"} if whole else set()), where)
    low = _bound(written, "minimum", "exclusiveMinimum", 1, where)
    high = _bound(written, "maximum", "exclusiveMaximum", -1, where)
    if "multipleOf" in written:
        return _multiples_within(low, high, _number(written, "multipleOf", where), where, whole=whole)
    return Int(math.ceil(low), math.floor(high)) if whole else Float(low, high)


def _bound(written: Mapping[str, Any], key: str, exclusive: str, inwards: int, where: str) -> float:
    """A bound that is included; the exclusive one, of an integer, moved inwards."""
    if exclusive not in written:
        return _number(written, key, where)
    if key in written:
        raise SpaceError(f"{where} must have {key!r} or {exclusive!r}, got both")
    bound = _number(written, exclusive, where)
    return math.floor(bound) + 1 if inwards > 0 else math.ceil(bound) - 1


def _multiples_within(low: float, high: float, step: float, where: str, *, whole: bool) -> Any:
    """The multiples of a number that are in a range."""
    if step <= 0 or (whole and step != int(step)):
        kind = "an int" if whole else "a number"
        raise SpaceError(f"{where}: multipleOf must be {kind} > 0, got {step!r}")
    least, most, exact = (Decimal(repr(number)) for number in (low, high, step))
    first, last = math.ceil(least / exact), math.floor(most / exact)
    if first > last:
        raise SpaceError(f"{where}: a multiple of {step!r} must lie in the range, got {low!r} to {high!r}")
    return _multiples(first, last, int(step) if whole else float(step))
