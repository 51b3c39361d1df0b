"""The space of a study that defines it while it runs: the parameters that trials have suggested so far.

Glossary
--------
domain      of a parameter: the distribution that holds all its ranges so far
complete    trials that ran to their end. Others may have ended before they suggested all their parameters
rule        under which a parameter is suggested, found in the complete trials: a choice or an integer that
            was suggested before it decides. ``n_layers >= 3`` decides about the width of layer 3

A rule holds for every complete trial so far, or it is dropped for another one. A parameter that only some
trials have, and that no rule explains, is left without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna.distributions import CategoricalDistribution, IntDistribution

from hpo_core.integrations.optuna.distributions import can_search, united
from hpo_core.space import param

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from optuna.distributions import BaseDistribution

    from hpo_core.space import Expression

    Params: TypeAlias = Mapping[str, Any]

# Values of an integer that may each decide about a parameter; with more, only a threshold may.
_MOST_VALUES = 8


@dataclass(frozen=True)
class Rule:
    """A parameter is suggested where another one is in [low, high], and is none of the values ``without``.

    Attributes
    ----------
    owner : str
    low, high : int or None
        Of an integer.
    without : tuple
    """

    owner: str
    low: int | None = None
    high: int | None = None
    without: tuple[Any, ...] = ()

    def holds(self, params: Params) -> bool:
        """Whether the parameter is suggested beside these."""
        if self.owner not in params:
            return False
        value = params[self.owner]
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            return False
        return not any(_same(value, each) for each in self.without)

    def expression(self, domain: BaseDistribution, coded: Callable[[Any], Any]) -> Expression:
        """Return the condition for ``when=``; ``coded`` gives the values that the space has for choices."""
        owner = param(self.owner)
        if self.low is not None:
            return owner >= self.low
        if self.high is not None:
            return owner <= self.high
        if isinstance(domain, CategoricalDistribution):
            kept = [each for each in domain.choices if not any(_same(each, other) for other in self.without)]
            return owner.isin([coded(each) for each in kept])
        low: int = domain.low  # type: ignore[attr-defined] # an integer
        condition = owner >= low
        for value in self.without:
            condition = condition & (owner != value)
        return condition


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and (one == other or (one != one and other != other))


class Discovery:
    """What trials have suggested so far.

    Attributes
    ----------
    domains : dict of str to BaseDistribution
        In the order of their first suggestion.
    rules : dict of str to Rule or None
        Of parameters that not every complete trial has; None if no rule explains where it is suggested.
    version : int
        How many times domains or rules have changed.
    """

    def __init__(self, domains: Mapping[str, BaseDistribution] | None = None) -> None:
        self.domains: dict[str, BaseDistribution] = dict(domains or {})
        self.rules: dict[str, Rule | None] = {}
        self.version = 0
        self._complete: list[Params] = []
        self._seen: set[str] = set()  # in a complete trial

    def observe(
        self, params: Params, distributions: Mapping[str, BaseDistribution], *, complete: bool
    ) -> None:
        """Take in one trial."""
        domains = self.domains
        for name, distribution in distributions.items():
            known = domains.get(name)
            if known == distribution:
                continue
            both = distribution if known is None else united(known, distribution)
            if both != known:
                domains[name] = both
                self.version += 1
        if complete:
            self._complete.append(params)
            self._seen.update(params)
            if len(params) != len(domains) or self.rules:
                self._explain(params)

    def searched(self) -> dict[str, BaseDistribution]:
        """Return the domains that hpo_core can search."""
        return {name: domain for name, domain in self.domains.items() if can_search(domain)}

    def rule(self, name: str) -> Rule | None:
        """Return the rule of a parameter if its owner, and the owner's, can be searched."""
        rule = self.rules.get(name)
        if rule is None or not can_search(self.domains[rule.owner]):
            return None
        return rule

    def _explain(self, params: Params) -> None:
        """Replace the rules that a new complete trial contradicts."""
        before = dict(self.rules)
        for name in self.domains:
            if name not in self._seen or (name in self.rules and self.rules[name] is None):
                continue
            rule = self.rules.get(name)
            expected = True if rule is None else rule.holds(params)
            if expected != (name in params):
                self.rules[name] = self._find(name)
        if self.rules != before:
            self.version += 1

    def _find(self, name: str) -> Rule | None:
        """Return the plainest rule by which the complete trials have a parameter; the nearest of equals."""
        names = list(self.domains)
        earlier = names[: names.index(name)][::-1]
        found = [each for owner in earlier for each in self._by_owner(name, owner)]
        return min(found, key=lambda each: each[0])[1] if found else None

    def _by_owner(self, name: str, owner: str) -> Iterator[tuple[int, Rule]]:
        """Yield the rule by which ``owner`` decides, after the number of values that it needs."""
        domain = self.domains[owner]
        if not isinstance(domain, CategoricalDistribution | IntDistribution) or domain.single():
            return
        if any(name in params and owner not in params for params in self._complete):
            return
        there = _distinct(params[owner] for params in self._complete if name in params)
        others = (params for params in self._complete if name not in params and owner in params)
        away = _distinct(params[owner] for params in others)
        if not there or any(_same(one, other) for one in there for other in away):
            return
        if isinstance(domain, IntDistribution) and away:
            if min(there) > max(away):
                yield 2, Rule(owner, low=max(away) + 1)
                return
            if max(there) < min(away):
                yield 2, Rule(owner, high=min(away) - 1)
                return
        if isinstance(domain, CategoricalDistribution) or len(there) + len(away) <= _MOST_VALUES:
            yield len(there) + len(away), Rule(owner, without=tuple(away))


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: dict[tuple[type, str], Any] = {}
    for value in values:  # a choice need not be hashable
        found.setdefault((type(value), repr(value)), value)
    return list(found.values())
