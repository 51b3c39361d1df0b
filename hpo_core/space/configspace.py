"""Spaces of ConfigSpace: ``Space.from_configspace`` and ``Space.to_configspace``.

If one of the two libraries cannot express something, it is refused, and the message names the hyperparameter.
In both, a comparison with an inactive parent does not hold, with one exception: in ConfigSpace, "is not
equal" and the negation of a condition hold if the parent is inactive. So conditions are translated into
formulas of comparisons, "and" and "or" alone, which mean the same in both; ``_Reader.inactive`` is such a
formula.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from functools import reduce
from itertools import permutations, product
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from hpo_core.checks import shown, some
from hpo_core.errors import SpaceError
from hpo_core.layout import Kind
from hpo_core.space.codec import SpaceCodec
from hpo_core.space.encoding import make_encoding
from hpo_core.space.expressions import ARITHMETIC, Expression, fold, is_operator, param
from hpo_core.space.parameters import Categorical, Float, Int, Ordinal, plain
from hpo_core.space.tree import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ConfigSpace import ConfigurationSpace
    from numpy.typing import NDArray

    from hpo_core.space.space import Space

    # An Expression, or True or False if it does not depend on the configuration.
    Formula: TypeAlias = Any

# The most combinations of values that a comparison is written out for if ConfigSpace does not have it.
MAX_TABLE: Final = 1000

# ConfigSpace rounds floats to 13 decimals. A bound that loses more than this part of itself is refused.
MAX_ROUNDING: Final = 1e-6
_DECIMALS: Final = 13

MAX_ORDINAL: Final = 1024  # values that are written one by one

_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRROR: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_PYTHON: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip


def _library() -> Any:
    try:
        import ConfigSpace
    except ImportError as error:
        raise ImportError(
            "from_configspace and to_configspace need ConfigSpace: pip install 'hpo-core[configspace]'"
        ) from error
    return ConfigSpace


def from_configspace(cs: Any) -> tuple[dict[str, Any], list[Expression]]:
    """Declarations and forbidden conditions of a ``ConfigurationSpace``."""
    library = _library()
    if not isinstance(cs, library.ConfigurationSpace):
        raise SpaceError(f"cs must be a ConfigSpace.ConfigurationSpace, got {shown(cs)}")
    reader = _Reader(library, cs)
    declarations = {name: reader.declaration(name) for name in cs}
    forbid = [reader.forbidden(clause) for clause in cs.forbidden_clauses]
    return declarations, [each for each in forbid if isinstance(each, Expression)]


class _Reader:
    """Reads the hyperparameters, conditions and forbidden clauses of a ``ConfigurationSpace``."""

    def __init__(self, library: Any, cs: ConfigurationSpace) -> None:
        self._library = library
        self._cs = cs

    def declaration(self, name: str) -> Any:
        """Parameter or constant of that name."""
        hp: Any = self._cs[name]
        condition = self._condition(name)
        if condition is None and isinstance(hp, self._library.Constant):
            return plain(hp.value, f"constant {name!r}")
        meta = hp.meta or {}
        doc = meta["doc"] if isinstance(meta.get("doc"), str) else ""
        when = None if condition is None else self._when(condition)
        return replace(self._domain(hp), when=when, doc=doc)

    def _condition(self, name: str) -> Any:
        conditions = self._cs.parent_conditions_of[name]
        return conditions[0] if conditions else None  # ConfigSpace allows one

    def _when(self, condition: Any) -> Expression | None:
        formula = self.holds(condition)
        if isinstance(formula, Expression):
            return formula
        return None if formula else _never(condition)

    def _domain(self, hp: Any) -> Any:
        library = self._library
        match hp:
            case library.UniformFloatHyperparameter():
                return Float(hp.lower, hp.upper, log=hp.log)
            case library.UniformIntegerHyperparameter():
                return Int(hp.lower, hp.upper, log=hp.log)
            case library.OrdinalHyperparameter():
                return Ordinal(list(hp.sequence))
            case library.Constant():  # with a condition, which only a parameter has here
                return Ordinal([hp.value])
            case library.CategoricalHyperparameter():
                return _categorical(hp)
        kind = type(hp).__name__
        raise SpaceError(
            f"parameter {hp.name!r} is a {kind}, but hpo_core samples ranges uniformly or log-uniformly; "
            "cs.remove_hyperparameter_priors() returns a ConfigurationSpace without priors"
        )

    def holds(self, condition: Any) -> Formula:
        """Whether a condition holds, as a formula without negation."""
        library = self._library
        match condition:
            case library.AndConjunction():
                return _all(self.holds(each) for each in condition.components)
            case library.OrConjunction():
                return _any(self.holds(each) for each in condition.components)
            case library.NotEqualsCondition():
                differs = param(condition.parent.name) != self._value(condition)
                return _any([differs, self.inactive(condition.parent.name)])
        return self._comparison(condition)

    def fails(self, condition: Any) -> Formula:
        """Whether a condition does not hold, as a formula without negation of what may be unknown."""
        library = self._library
        match condition:
            case library.AndConjunction():
                return _any(self.fails(each) for each in condition.components)
            case library.OrConjunction():
                return _all(self.fails(each) for each in condition.components)
            case library.NotEqualsCondition():
                return param(condition.parent.name) == self._value(condition)
        comparison = self._comparison(condition)
        negated = ~comparison if isinstance(comparison, Expression) else not comparison
        return _any([negated, self.inactive(condition.parent.name)])

    def inactive(self, name: str) -> Formula:
        """Whether a hyperparameter is inactive."""
        condition = self._condition(name)
        return False if condition is None else self.fails(condition)

    def _value(self, condition: Any) -> Any:
        return plain(condition.value, f"condition {condition}")

    def _comparison(self, condition: Any) -> Formula:
        library, parent = self._library, condition.parent
        match condition:
            case library.EqualsCondition():
                return param(parent.name) == self._value(condition)
            case library.InCondition():
                return self._isin(parent, condition.values)
            case library.LessThanCondition():
                return self._ordered(parent, "<", condition.value)
            case library.GreaterThanCondition():
                return self._ordered(parent, ">", condition.value)
        child = condition.child.name
        raise SpaceError(
            f"parameter {child!r}: hpo_core knows no condition of type {type(condition).__name__}"
        )

    def _isin(self, hp: Any, values: Iterable[Any]) -> Formula:
        listed = [plain(value, f"condition on {hp.name!r}") for value in values]
        return param(hp.name).isin(listed) if listed else False

    def _ordered(self, hp: Any, op: str, value: Any) -> Formula:
        """Order comparison with a value, which to an Ordinal of ConfigSpace is one of places."""
        if not isinstance(hp, self._library.OrdinalHyperparameter):
            return _compared(op, param(hp.name), plain(value, f"condition on {hp.name!r}"))
        place = hp.sequence.index(value)
        return self._isin(hp, [v for k, v in enumerate(hp.sequence) if _PYTHON[op](k, place)])

    def forbidden(self, clause: Any) -> Formula:
        """The condition that a forbidden clause forbids."""
        library = self._library
        match clause:
            case library.ForbiddenAndConjunction():
                return _all(self.forbidden(each) for each in clause.components)
            case library.ForbiddenOrConjunction():
                return _any(self.forbidden(each) for each in clause.components)
            case library.ForbiddenEqualsClause():
                return param(clause.hyperparameter.name) == plain(clause.value, f"clause {clause}")
            case library.ForbiddenInClause():
                return self._isin(clause.hyperparameter, clause.values)
        for op, (one_sided, relation) in _clauses(library).items():
            if type(clause) is one_sided:
                return self._ordered(clause.hyperparameter, op, clause.value)
            if type(clause) is relation:
                return self._related(op, clause.left, clause.right)
        raise SpaceError(f"hpo_core knows no forbidden clause of type {type(clause).__name__}: {clause}")

    def _related(self, op: str, left: Any, right: Any) -> Formula:
        """Comparison of two hyperparameters, by their values as ConfigSpace does it.

        Sides that are not numbers are written out: here a Categorical has no order, and the order of
        strings is their place.
        """
        sides = [self._side(hp) or [param(hp.name)] for hp in (left, right)]
        return _any(self._row(op, (left, right), pair) for pair in product(*sides))

    def _row(self, op: str, hps: Sequence[Any], pair: Sequence[Any]) -> Formula:
        """Comparison of a pair in which a value stands for the hyperparameter that has it."""
        values = {
            hp.name: value for hp, value in zip(hps, pair, strict=True) if not isinstance(value, Expression)
        }
        refusal = SpaceError(
            f"parameters {hps[0].name!r} and {hps[1].name!r}: a forbidden relation compares {some(pair)}, "
            "which have no order"
        )
        if len(values) == 1 and not all(map(_is_number, values.values())):  # beside a range of numbers
            if op == "==":
                return False
            raise refusal
        try:
            compared = _compared(op, *pair)
        except TypeError:
            raise refusal from None
        return _all([*(param(name) == value for name, value in values.items()), compared])

    def _side(self, hp: Any) -> list[Any] | None:
        """Values of a hyperparameter that must be written out; None for numbers."""
        library = self._library
        match hp:
            case library.OrdinalHyperparameter() if not all(map(_is_number, hp.sequence)):
                return list(hp.sequence)
            case library.CategoricalHyperparameter():
                return list(hp.choices)
            case library.Constant():
                return [hp.value]
        return None


def _clauses(library: Any) -> dict[str, tuple[Any, Any]]:
    """Forbidden clause on one, and relation of two hyperparameters, for each comparison."""
    return {
        "<": (library.ForbiddenLessThanClause, library.ForbiddenLessThanRelation),
        "<=": (library.ForbiddenLessThanEqualsClause, library.ForbiddenLessThanEqualsRelation),
        ">": (library.ForbiddenGreaterThanClause, library.ForbiddenGreaterThanRelation),
        ">=": (library.ForbiddenGreaterThanEqualsClause, library.ForbiddenGreaterThanEqualsRelation),
        "==": (library.ForbiddenEqualsClause, library.ForbiddenEqualsRelation),
    }


def _categorical(hp: Any) -> Categorical:
    """Choices with the default first, where ``Space.default`` looks for it."""
    if len(set(hp.probabilities.tolist())) > 1:
        raise SpaceError(
            f"parameter {hp.name!r} has weights, but in hpo_core every choice is equally likely at first; "
            "cs.remove_hyperparameter_priors() returns a ConfigurationSpace without weights"
        )
    default = hp.choices.index(hp.default_value)
    return Categorical([hp.choices[default], *hp.choices[:default], *hp.choices[default + 1 :]])


def _never(condition: Any) -> Expression:
    """A condition that never holds, on the first parent of one of ConfigSpace."""
    parent = condition.dlcs[0].parent if hasattr(condition, "dlcs") else condition.parent
    own = param(parent.name) == plain(parent.default_value, f"parameter {parent.name!r}")
    never: Expression = own & ~own
    return never


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compared(op: str, left: Any, right: Any) -> Formula:
    result = _PYTHON[op](left, right)
    return result if isinstance(result, Expression) else bool(result)


def _all(formulas: Iterable[Any]) -> Any:
    return _joined(operator.and_, formulas, neutral=True)


def _any(formulas: Iterable[Any]) -> Any:
    return _joined(operator.or_, formulas, neutral=False)


def _joined(op: Callable[[Any, Any], Any], formulas: Iterable[Formula], *, neutral: bool) -> Formula:
    listed = [each for each in formulas if each is not neutral]
    if any(isinstance(each, bool) for each in listed):
        return not neutral
    return reduce(op, listed) if listed else neutral


def to_configspace(
    space: Space, entries: Mapping[str, Entry], forbid: Sequence[Expression]
) -> ConfigurationSpace:
    """Return the ``ConfigurationSpace`` of a space with these entries and forbidden conditions."""
    if space.feasible is not None:
        raise SpaceError(
            "feasible must be None for ConfigSpace, which has no functions; with_feasible(None) drops it"
        )
    library = _library()
    defaults = _defaults(space)
    hps = {name: _hyperparameter(library, name, entry, defaults) for name, entry in entries.items()}
    added = list(hps.values())
    for name, entry in entries.items():
        if entry.condition is not None:
            writer = _Writer(library, entries, hps, hps[name])
            added += _condition(writer, entry.condition, f"parameter {name!r}")
    _check_apart(added[len(hps) :])
    for k, expression in enumerate(forbid):
        where = f"forbid[{k}], on {some(sorted(expression.names))}"
        added += _forbidden(_Writer(library, entries, hps, None), expression, where)
    cs: ConfigurationSpace = library.ConfigurationSpace()
    _refusing("the space", lambda: cs.add(added))
    return cs


def _condition(writer: _Writer, expression: Expression, where: str) -> list[Any]:
    formula = _refusing(where, lambda: writer.write(expression))
    if formula is False:
        raise SpaceError(f"{where} is never active, which ConfigSpace cannot express; leave it out")
    return [] if formula is True else [formula]


def _check_apart(conditions: Sequence[Any]) -> None:
    """Refuse what ConfigSpace 1.2 mixes up: it takes "x and y" and "x or y" for the same condition."""
    conjunctions = [(each, _key(each)) for each in conditions if hasattr(each, "components")]
    for (one, key), (other, other_key) in permutations(conjunctions, 2):
        if key != other_key and one.equivalent_condition_on_parent(other):
            raise SpaceError(
                f"parameters {one.child.name!r} and {other.child.name!r}: ConfigSpace cannot tell their "
                f"conditions apart, {one} and {other}; write one of them in another way"
            )


def _key(condition: Any) -> tuple[Any, ...]:
    """Equal keys, same condition, whatever its child."""
    if hasattr(condition, "components"):
        return type(condition), *map(_key, condition.components)
    return type(condition), condition.parent.name, repr(condition.value)


def _forbidden(writer: _Writer, expression: Expression, where: str) -> list[Any]:
    formula = _refusing(where, lambda: writer.write(expression))
    return [] if formula is False else [formula]


def _defaults(space: Space) -> dict[str, Any]:
    """A value for each parameter: together they must be permitted, or ConfigSpace refuses the space."""
    x = space.layout.default
    if space.contains(space.default()):
        return {name: space.codec.value(x[row], row) for row, name in enumerate(space.names)}
    return {name: column.tolist()[0] for name, column in space.sample(1).items()}


def _refusing(where: str, make: Callable[[], Any]) -> Any:
    """Return what ``make`` makes; an exception of ConfigSpace becomes a ``SpaceError``."""
    try:
        return make()
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from None
    except Exception as error:
        raise SpaceError(f"{where}: ConfigSpace refuses it: {shown(error, 200)}") from error


def _hyperparameter(library: Any, name: str, entry: Entry, defaults: Mapping[str, Any]) -> Any:
    where = f"parameter {name!r}"
    declaration = entry.declaration
    doc = getattr(declaration, "doc", "")
    options: dict[str, Any] = {"meta": {"doc": doc}} if doc else {}
    values = _values(declaration, where) if entry.is_parameter else [declaration]
    if values is not None and len(values) == 1 and not isinstance(declaration, Categorical | Ordinal):
        return _refusing(where, lambda: library.Constant(name, values[0], **options))
    options["default_value"] = defaults[name]
    if values is None:
        kind = (
            library.UniformFloatHyperparameter
            if isinstance(declaration, Float)
            else library.UniformIntegerHyperparameter
        )
        return _refusing(
            where, lambda: kind(name, declaration.low, declaration.high, log=declaration.log, **options)
        )
    kind = (
        library.CategoricalHyperparameter
        if isinstance(declaration, Categorical)
        else library.OrdinalHyperparameter
    )
    return _refusing(where, lambda: kind(name, values, **options))


def _values(declaration: Any, where: str) -> list[Any] | None:
    """Values to write one by one; None for a range."""
    match declaration:
        case Categorical():
            return _listed(list(declaration.choices), where)
        case Ordinal():
            return _listed(list(declaration.values), where)
    if declaration.low == declaration.high:
        return [declaration.low]
    if isinstance(declaration, Float):
        _check_decimals(declaration, where)
    if declaration.step is None or (isinstance(declaration, Int) and declaration.step == 1):
        return None
    n = round((declaration.high - declaration.low) / declaration.step) + 1
    if n > MAX_ORDINAL:
        raise SpaceError(
            f"{where}: ConfigSpace has no steps; at most {MAX_ORDINAL} values can be listed instead, got {n}"
        )
    encoding = make_encoding(declaration)
    return [encoding.value(each) for each in encoding.every()]


def _listed(values: list[Any], where: str) -> list[Any]:
    kinds = {type(value) for value in values}
    if bool in kinds and len(kinds) > 1 and kinds <= {bool, int, float}:
        raise SpaceError(
            f"{where}: ConfigSpace would turn its bools into numbers, got {some(values)}; use one type"
        )
    return values


def _check_decimals(declaration: Float, where: str) -> None:
    for bound in (declaration.low, declaration.high):
        if not math.isfinite(bound * 10.0**_DECIMALS):  # ConfigSpace's own rounding makes it infinite
            raise SpaceError(f"{where}: ConfigSpace has no bound as large as {bound!r}; search its logarithm")
        if abs(round(bound, _DECIMALS) - bound) > MAX_ROUNDING * abs(bound):
            raise SpaceError(
                f"{where}: ConfigSpace keeps {_DECIMALS} decimals, too few for {bound!r}; "
                "search its logarithm or a multiple of it"
            )


def _bare(entry: Entry) -> Entry:
    """The entry without its condition."""
    return Entry(entry.declaration, [None], [None])


class _Writer:
    """Writes expressions as conditions of a child, or as forbidden clauses if there is no child.

    A formula is an object of ConfigSpace, or True or False if it does not depend on the configuration.
    """

    def __init__(
        self, library: Any, entries: Mapping[str, Entry], hps: Mapping[str, Any], child: Any
    ) -> None:
        self._library = library
        self._entries = entries
        self._hps = hps
        self._child = child

    def write(self, expression: Expression) -> Any:
        """Formula of an expression."""
        return self._sides(fold(expression, self._visit))[0]

    def _visit(self, node: Any, parts: list[Any]) -> Any:
        """Formulas for a condition to hold and to fail; anything else is returned unchanged."""
        if not is_operator(node) or node.op in ARITHMETIC:
            return node
        if node.op not in {"&", "|", "~"}:
            return self._leaf(node, negate=False), self._leaf(node, negate=True)
        holds, fails = zip(*map(self._sides, parts), strict=True)
        if node.op == "~":
            return fails[0], holds[0]
        joined, dual = (self._all, self._any) if node.op == "&" else (self._any, self._all)
        return joined(holds), dual(fails)

    def _sides(self, part: Any) -> tuple[Any, Any]:
        if isinstance(part, Expression):  # a bool by itself
            return self._leaf(part, negate=False), self._leaf(part, negate=True)
        holds, fails = part
        return holds, fails

    def _leaf(self, leaf: Expression, *, negate: bool) -> Any:
        """Formula of a comparison: by its table of values, or as it stands if they are too many."""
        used = {name: _bare(entry) for name, entry in self._entries.items() if name in leaf.names}
        codec = SpaceCodec(used, [~leaf if negate else leaf])
        names = codec.layout.names
        x = None
        if Kind.CONTINUOUS not in codec.layout.kinds:
            x = codec.activity.expand(range(len(names)), MAX_TABLE)
        if x is None:
            return self._plain(leaf, negate=negate)
        levels = [encoding.every() for encoding in codec.activity.encodings]
        values = [[codec.value(each, row) for each in every] for row, every in enumerate(levels)]
        return self._tabled(names, values, codec.activity.forbidden(x).reshape([*map(len, levels)]))

    def _tabled(self, names: Sequence[str], values: list[list[Any]], truth: NDArray[np.bool_]) -> Any:
        """Formula that holds for the combinations of values where ``truth``, with an axis per name."""
        if not truth.any():
            return False
        if truth.all():
            return self._all([self._active(name) for name in names])
        if truth.ndim == 1:
            return self._one_of(names[0], values[0], np.flatnonzero(truth).tolist())
        return self._any(
            self._all([self._equals(names[0], value), self._tabled(names[1:], values[1:], rest)])
            for value, rest in zip(values[0], truth, strict=True)
        )

    def _one_of(self, name: str, values: list[Any], hits: list[int]) -> Any:
        if self._is_range(name) and len(hits) > 1:
            if hits[-1] == len(hits) - 1:
                return self._less(name, values[len(hits)])
            if hits[0] == len(values) - len(hits):
                return self._greater(name, values[hits[0] - 1])
        return self._isin(name, [values[k] for k in hits])

    def _is_range(self, name: str) -> bool:
        library = self._library
        kinds = library.UniformFloatHyperparameter, library.UniformIntegerHyperparameter
        return isinstance(self._hps[name], kinds)

    def _active(self, name: str) -> Any:
        """Formula of whether a hyperparameter is active."""
        if self._entries[name].condition is None:
            return True
        hp = self._hps[name]
        if self._is_range(name):
            return self._any([self._less(name, hp.upper), self._equals(name, hp.upper)])
        listed = getattr(hp, "choices", None) or getattr(hp, "sequence", None) or [hp.value]
        return self._isin(name, list(listed))

    def _plain(self, leaf: Expression, *, negate: bool) -> Any:
        """Formula of a comparison that has too many values for a table."""
        side, *others = leaf.args
        op = "==" if leaf.op == "isin" else leaf.op
        each = [self._compared(_NEGATED[op] if negate else op, side, other, leaf) for other in others]
        return self._all(each) if negate else self._any(each)

    def _compared(self, op: str, left: Any, right: Any, leaf: Expression) -> Any:
        left, right = self._resolved(left), self._resolved(right)
        if not isinstance(left, Expression):
            op, left, right = _MIRROR[op], right, left
        if left.op != "param" or getattr(right, "op", "param") != "param":
            raise SpaceError(
                f"ConfigSpace has no arithmetic, and {leaf} has more than {MAX_TABLE} combinations to list"
            )
        if isinstance(right, Expression):
            return self._related(op, left.args[0], right.args[0], leaf)
        return self._threshold(op, left.args[0], right)

    def _resolved(self, side: Any) -> Any:
        """Value of a constant, anything else as it is."""
        if isinstance(side, Expression) and side.op == "param":
            entry = self._entries[side.args[0]]
            return side if entry.is_parameter else entry.declaration
        return side

    def _threshold(self, op: str, name: str, value: float) -> Any:
        """Comparison of a range with a number, which ConfigSpace requires to be in the range."""
        low, high = self._hps[name].lower, self._hps[name].upper
        inside = low <= value <= high and (isinstance(low, float) or value == int(value))
        match op:
            case "==":
                return self._equals(name, value) if inside else False
            case "!=":
                return self._any([self._threshold(each, name, value) for each in "<>"])
            case "<=" | ">=" if value >= high if op == "<=" else value <= low:
                return self._active(name)
            case "<=" | ">=":
                return self._any([self._threshold(each, name, value) for each in (op[0], "==")])
        if not low <= value <= high:
            return self._active(name) if (value > high) == (op == "<") else False
        if value == (low if op == "<" else high):
            return False
        if isinstance(low, int):  # a value of the hyperparameter, as ConfigSpace requires
            value = math.ceil(value) if op == "<" else math.floor(value)
        return self._less(name, value) if op == "<" else self._greater(name, value)

    def _related(self, op: str, left: str, right: str, leaf: Expression) -> Any:
        if self._child is not None:
            raise SpaceError(
                f"a condition of ConfigSpace compares a hyperparameter with a value, not with another: {leaf}"
            )
        if op == "!=":
            return self._any([self._related(each, left, right, leaf) for each in "<>"])
        return _clauses(self._library)[op][1](self._hps[left], self._hps[right])

    def _equals(self, name: str, value: Any) -> Any:
        return self._made("EqualsCondition", "ForbiddenEqualsClause", name, value)

    def _isin(self, name: str, values: list[Any]) -> Any:
        if len(values) == 1:
            return self._equals(name, values[0])
        return self._made("InCondition", "ForbiddenInClause", name, values)

    def _less(self, name: str, value: Any) -> Any:
        return self._made("LessThanCondition", "ForbiddenLessThanClause", name, value)

    def _greater(self, name: str, value: Any) -> Any:
        return self._made("GreaterThanCondition", "ForbiddenGreaterThanClause", name, value)

    def _made(self, condition: str, clause: str, name: str, value: Any) -> Any:
        if self._child is None:
            return getattr(self._library, clause)(self._hps[name], value)
        return getattr(self._library, condition)(self._child, self._hps[name], value)

    def _all(self, parts: Iterable[Any]) -> Any:
        return self._joined(parts, "AndConjunction", "ForbiddenAndConjunction", neutral=True)

    def _any(self, parts: Iterable[Any]) -> Any:
        return self._joined(parts, "OrConjunction", "ForbiddenOrConjunction", neutral=False)

    def _joined(self, parts: Iterable[Any], condition: str, clause: str, *, neutral: bool) -> Any:
        listed = [part for part in parts if part is not neutral]
        if any(part is (not neutral) for part in listed):
            return not neutral
        if len(listed) < 2:
            return listed[0] if listed else neutral
        return getattr(self._library, clause if self._child is None else condition)(*listed)
