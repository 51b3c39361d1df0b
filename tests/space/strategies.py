"""Hypothesis strategies for search spaces: every kind, nested, conditional, shared and forbidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from hpo_core.space import Categorical, Expression, Float, Int, Ordinal, Space, param

LABELS = ["tiny", "small", "medium", "large", "huge"]
CHOICES: list[Any] = ["sgd", "adam", 3, 2.5, False, None, ("a", 1), "lion"]


def floats() -> st.SearchStrategy[Float]:
    """Continuous ranges, plain and logarithmic."""
    plain = st.builds(lambda low, width: Float(low, low + width), st.integers(-50, 50), st.floats(0.01, 100))
    logs = st.builds(
        lambda low, decades: Float(10.0**low, 10.0 ** (low + decades), log=True),
        st.integers(-8, 3),
        st.floats(0.1, 8),
    )
    return plain | logs


def grids(max_levels: int = 6) -> st.SearchStrategy[Float | Int]:
    """Numeric grids of at least two levels."""
    levels = st.integers(2, max_levels)
    return st.one_of(
        st.builds(lambda low, n: Int(low, low + n - 1), st.integers(-9, 9), levels),
        st.builds(
            lambda low, n, step: Int(low, low + (n - 1) * step, step=step),
            st.integers(-9, 9),
            levels,
            st.integers(2, 5),
        ),
        st.builds(lambda low, n: Int(low, low + n - 1, log=True), st.integers(1, 40), levels),
        st.builds(
            lambda low, n, step: Float(low, low + (n - 1) * step, step=step),
            st.integers(-9, 9),
            levels,
            st.sampled_from([0.25, 0.1, 3.0]),
        ),
    )


def ordinals(max_levels: int = 5) -> st.SearchStrategy[Ordinal]:
    """Numbers or labels."""
    numbers = st.lists(st.integers(-99, 999), min_size=1, max_size=max_levels, unique=True)
    labels = st.lists(st.sampled_from(LABELS), min_size=1, max_size=max_levels, unique=True)
    return (numbers | labels).map(Ordinal)


def choices(max_choices: int = 4) -> st.SearchStrategy[list[Any]]:
    """Choices of mixed types."""
    return st.lists(st.sampled_from(CHOICES), min_size=1, max_size=max_choices, unique_by=repr)


@st.composite
def conditions(draw: st.DrawFn, declared: dict[str, Any], depth: int = 2) -> Expression:
    """A condition over parameters declared earlier."""
    if depth and draw(st.booleans()):
        a, b = draw(conditions(declared, depth - 1)), draw(conditions(declared, depth - 1))
        return draw(st.sampled_from([a & b, a | b, ~a]))
    name = draw(st.sampled_from(sorted(declared)))
    declaration = declared[name]
    if isinstance(declaration, Categorical):
        listed = list(declaration.choices)
        some = draw(st.lists(st.sampled_from(listed), min_size=1, max_size=2, unique_by=repr))
        return draw(st.sampled_from([param(name) == some[0], param(name) != some[0], param(name).isin(some)]))
    left, right = param(name), draw(_operands(declaration, declared))
    comparisons = [left >= right, left < right, left == right, left != right, left > right, left <= right]
    return draw(st.sampled_from(comparisons))


@st.composite
def _operands(draw: st.DrawFn, declaration: Any, declared: dict[str, Any]) -> Any:
    """What a parameter may be compared with: a value of its own, or arithmetic."""
    if isinstance(declaration, Ordinal):
        return draw(st.sampled_from(list(declaration.values)))
    number = draw(st.sampled_from([declaration.low, declaration.high]))
    others = [name for name, other in declared.items() if isinstance(other, Float | Int)]
    if draw(st.integers(0, 2)):
        return number
    other = param(draw(st.sampled_from(others)))
    return draw(st.sampled_from([other + 1, 2 * other - number, other / 2, -other]))


@st.composite
def spaces(
    draw: st.DrawFn,
    *,
    max_parameters: int = 8,
    finite: bool = False,
    max_levels: int = 6,
    forbid: bool = True,
) -> Space:
    """A random space, conditional more often than not.

    Parameters
    ----------
    max_parameters : int
        Bound on the number of parameters.
    finite : bool
        No continuous parameter.
    max_levels : int
        Bound on the levels of a grid.
    forbid : bool
        Sometimes forbid a condition.
    """
    declared: dict[str, Any] = {}
    budget, constants = draw(st.integers(1, max_parameters)), 0
    simple = st.one_of(*([] if finite else [floats()]), grids(max_levels), ordinals())

    def mapping(depth: int) -> dict[str, Any]:
        nonlocal budget, constants
        space: dict[str, Any] = {}
        for _ in range(draw(st.integers(0 if depth else 1, 4))):
            if budget == 0:
                break
            budget -= 1
            name = f"p{budget}"
            when = draw(conditions(declared)) if declared and draw(st.integers(0, 3)) == 0 else None
            if draw(st.booleans()):
                space[name] = categorical(depth, when)
            else:
                space[name] = replace(draw(simple), when=when)
            declared[name] = space[name]
        if draw(st.integers(0, 4)) == 0:
            constants += 1
            space[f"constant{constants}"] = draw(st.sampled_from([1, "fixed", 0.5, (1, 2)]))
        return space

    def categorical(depth: int, when: Expression | None) -> Categorical:
        listed = draw(choices())
        if depth == 2 or draw(st.booleans()):
            return Categorical(listed, when=when)
        subspaces: dict[Any, dict[str, Any]] = {}
        for choice in listed:
            shared = {  # a name in two branches, always active there
                name: replace(declaration, when=None)
                for subspace in subspaces.values()
                for name, declaration in subspace.items()
                if isinstance(declaration, Float | Int | Ordinal) and draw(st.integers(0, 3)) == 0
            }
            subspaces[choice] = shared | mapping(depth + 1)
        return Categorical(subspaces, when=when)

    tree = mapping(0)
    if not declared:
        tree["p"] = declared["p"] = draw(simple)
    forbidden = [draw(conditions(declared))] if forbid and draw(st.integers(0, 3)) == 0 else []
    return Space(tree, forbid=forbidden)


@st.composite
def configuration_spaces(draw: st.DrawFn) -> Any:
    """A random ``ConfigurationSpace``: every kind that hpo_core has, conditions of any depth, clauses."""
    hps: list[Any] = []
    rules: list[Any] = []
    for k in range(draw(st.integers(1, 6))):
        hps.append(draw(_hyperparameters(f"h{k}")))
        if k and draw(st.booleans()):
            rules.append(draw(_cs_conditions(hps[-1], hps[:-1])))
    rules += [draw(_clauses(hps)) for _ in range(draw(st.integers(0, 2)))]
    kept: list[Any] = []
    for rule in rules:  # ConfigSpace refuses what forbids its defaults
        if _configuration_space([*hps, *kept, rule]):
            kept.append(rule)
    return _configuration_space([*hps, *kept])


def _configuration_space(parts: list[Any]) -> Any:
    """A new ``ConfigurationSpace`` of the parts, None if ConfigSpace refuses them together."""
    import ConfigSpace

    cs = ConfigSpace.ConfigurationSpace(seed=0)
    try:
        cs.add(parts)
    except Exception:
        return None
    return None if _mixed_up(cs) else cs


def _mixed_up(cs: Any) -> bool:
    """Whether ConfigSpace takes two conditions for the same that are not, as it does with "and" and "or"."""
    told = [(each, str(each).replace(f"{each.child.name} | ", "")) for each in cs.conditions]
    return any(
        text != other_text and one.equivalent_condition_on_parent(other)
        for one, text in told
        for other, other_text in told
    )


@st.composite
def _hyperparameters(draw: st.DrawFn, name: str) -> Any:
    import ConfigSpace

    default = {"default_value": 3} if draw(st.booleans()) else {}
    kinds = [
        lambda: ConfigSpace.UniformFloatHyperparameter(name, -1.5, 4.5, **default),
        lambda: ConfigSpace.UniformFloatHyperparameter(name, 1e-3, 10.0, log=True, **default),
        lambda: ConfigSpace.UniformIntegerHyperparameter(name, -2, 5, **default),
        lambda: ConfigSpace.UniformIntegerHyperparameter(name, 1, 3000, log=True, **default),
        lambda: ConfigSpace.OrdinalHyperparameter(name, draw(st.permutations([1, 3, 4])), **default),
        lambda: ConfigSpace.OrdinalHyperparameter(name, draw(st.permutations(LABELS[:3]))),
        lambda: ConfigSpace.CategoricalHyperparameter(name, [1, 3, 4], **default),
        lambda: ConfigSpace.CategoricalHyperparameter(name, draw(st.permutations(LABELS[:3]))),
        lambda: ConfigSpace.Constant(name, draw(st.sampled_from([3, "small", 0.5]))),
    ]
    return draw(st.sampled_from(kinds))()


def _legal(draw: st.DrawFn, hp: Any) -> Any:
    """A value of a hyperparameter."""
    listed = getattr(hp, "choices", None) or getattr(hp, "sequence", None)
    if listed is None and hasattr(hp, "lower"):
        listed = [hp.lower, hp.upper, hp.default_value, type(hp.lower)(2)]
    return draw(st.sampled_from(listed or [hp.value]))


@st.composite
def _cs_conditions(draw: st.DrawFn, child: Any, parents: list[Any], depth: int = 2) -> Any:
    import ConfigSpace

    if depth and draw(st.integers(0, 2)) == 0:
        parts = [draw(_cs_conditions(child, parents, depth - 1)) for _ in range(2)]
        return draw(st.sampled_from([ConfigSpace.AndConjunction, ConfigSpace.OrConjunction]))(*parts)
    parent = draw(st.sampled_from(parents))
    kinds = [ConfigSpace.EqualsCondition, ConfigSpace.NotEqualsCondition, ConfigSpace.InCondition]
    if type(parent).ORDERABLE:
        kinds += [ConfigSpace.LessThanCondition, ConfigSpace.GreaterThanCondition]
    kind = draw(st.sampled_from(kinds))
    if kind is ConfigSpace.InCondition:
        return kind(child, parent, [_legal(draw, parent), _legal(draw, parent)])
    return kind(child, parent, _legal(draw, parent))


@st.composite
def _clauses(draw: st.DrawFn, hps: list[Any], depth: int = 1) -> Any:
    import ConfigSpace

    if depth and draw(st.booleans()):
        parts = [draw(_clauses(hps, depth - 1)) for _ in range(2)]
        conjunctions = ConfigSpace.ForbiddenAndConjunction, ConfigSpace.ForbiddenOrConjunction
        return draw(st.sampled_from(conjunctions))(*parts)
    hp = draw(st.sampled_from(hps))
    others = [other for other in hps if other is not hp and _sort(other) == _sort(hp)]
    if others and draw(st.booleans()):
        relations = (
            ConfigSpace.ForbiddenLessThanRelation,
            ConfigSpace.ForbiddenLessThanEqualsRelation,
            ConfigSpace.ForbiddenGreaterThanRelation,
            ConfigSpace.ForbiddenGreaterThanEqualsRelation,
            ConfigSpace.ForbiddenEqualsRelation,
        )
        return draw(st.sampled_from(relations))(hp, draw(st.sampled_from(others)))
    kinds = [ConfigSpace.ForbiddenEqualsClause, ConfigSpace.ForbiddenInClause]
    if type(hp).ORDERABLE:
        kinds += [ConfigSpace.ForbiddenLessThanClause, ConfigSpace.ForbiddenGreaterThanClause]
    kind = draw(st.sampled_from(kinds))
    value = _legal(draw, hp)
    return kind(hp, [value, _legal(draw, hp)] if kind is ConfigSpace.ForbiddenInClause else value)


def _sort(hp: Any) -> bool:
    """Whether values are numbers; ConfigSpace compares two hyperparameters of one sort only."""
    return not isinstance(hp.default_value, str)
