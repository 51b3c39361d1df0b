"""A search space read from its JSON text, one configuration at a time, in plain Python.

Slow and simple: activity by recursion over places, truth as True, False or None (unknown),
configurations as the product of all values reduced to the active ones.
"""

from __future__ import annotations

import itertools
import json
import math
import operator

INACTIVE = object()


class OracleSpace:
    """Answers about the space that ``text``, its JSON, describes."""

    def __init__(self, text):
        spec = json.loads(text)
        self.domains = {}  # name -> written declaration, constants excluded
        self.constants = {}
        self.places = {}  # name -> [(owner, choice, when)]
        self.forbid = spec.get("forbid", [])
        self._walk(spec["space"], None, None)

    def _walk(self, declarations, owner, choice):
        for name, written in declarations.items():
            self.places.setdefault(name, []).append((owner, choice, written.get("when")))
            if "constant" in written:
                self.constants[name] = read(written["constant"])
                continue
            self.domains.setdefault(name, written)
            for value, subspace in zip(
                written.get("categorical", []), written.get("spaces", []), strict=False
            ):
                self._walk(subspace, name, read(value))

    def active(self, values):
        """Names that exist when every parameter has the value in ``values``, constants included."""
        return {name for name in self.places if self._exists(name, values)}

    def _exists(self, name, values):
        return any(
            (owner is None or (self._exists(owner, values) and values[owner] == choice))
            and (when is None or self.truth(when, values) is True)
            for owner, choice, when in self.places[name]
        )

    def truth(self, expression, values):
        """True, False, or None where an inactive parameter leaves it open."""
        op, *args = expression
        if op in {"&", "|"}:
            parts = [self.truth(arg, values) for arg in args]
            decisive = op == "|"
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        if op == "~":
            part = self.truth(args[0], values)
            return None if part is None else not part
        if op == "isin":
            parts = [self.truth(["==", args[0], arg], values) for arg in args[1:]]
            return None if None in parts else any(parts)
        left, right = (self.number(arg, values, args) for arg in args)
        if INACTIVE in (left, right) or any(
            isinstance(side, float) and math.isnan(side) for side in (left, right)
        ):
            return None
        compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
        if op in compare:
            return compare[op](left, right)
        return (left == right) == (op == "==")

    def number(self, arg, values, siblings):
        """Value of a side of a comparison; the rank if it is, or stands beside, an ordinal label."""
        if not isinstance(arg, list):
            labels = next((found for side in siblings if (found := self._labels(side))), None)
            value = read(arg)
            return labels.index(value) if labels else value
        op, *operands = arg
        if op == "param":
            name = operands[0]
            if name in self.constants:
                return self.constants[name]
            if not self._exists(name, values):
                return INACTIVE
            labels = self._labels(arg)
            return labels.index(values[name]) if labels else values[name]
        numbers = [self.number(operand, values, []) for operand in operands]
        if INACTIVE in numbers:
            return INACTIVE
        if op == "neg":
            return -numbers[0]
        if op == "/" and numbers[1] == 0:
            return math.nan if numbers[0] == 0 else math.copysign(math.inf, numbers[0])
        return {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[op](*numbers)

    def _labels(self, arg):
        """Labels of an ordinal parameter whose values are not all numbers."""
        if isinstance(arg, list) and arg[0] == "param" and "ordinal" in self.domains.get(arg[1], {}):
            values = [read(value) for value in self.domains[arg[1]]["ordinal"]]
            return None if all(type(value) in {int, float} for value in values) else values
        return None

    def forbidden(self, values):
        return any(self.truth(expression, values) is True for expression in self.forbid)

    def levels(self, name):
        """All values of a parameter, in order; None if it is continuous."""
        written = self.domains[name]
        for kind in ("ordinal", "categorical"):
            if kind in written:
                return [read(value) for value in written[kind]]
        if "int" in written:
            low, high, *step = written["int"]
            return list(range(low, high + 1, *step))
        low, high, *step = written["float"]
        return [low + k * step[0] for k in range(round((high - low) / step[0]) + 1)] if step else None

    def configurations(self):
        """Every distinct set of active parameter values that nothing forbids, as frozen dicts."""
        names = list(self.domains)
        found = set()
        for combination in itertools.product(*(self.levels(name) for name in names)):
            values = dict(zip(names, combination, strict=True))
            if not self.forbidden(values):
                active = self.active(values)
                found.add(frozenset((name, repr(value)) for name, value in values.items() if name in active))
        return found

    def product(self):
        """How many combinations ``configurations`` goes through."""
        return math.prod(len(self.levels(name) or ()) for name in self.domains)

    def coordinate(self, name, value):
        """Internal coordinate of a value."""
        written = self.domains[name]
        if "categorical" in written:
            return float([repr(choice) for choice in self.levels(name)].index(repr(value)))
        if "float" in written and len(written["float"]) == 2:
            low, high = written["float"]
            if written.get("log"):
                return math.log(value / low) / math.log(high / low)
            return (value - low) / (high - low)
        if written.get("log"):
            low, high = written["int"]
            start, stop = math.log(low - 0.5), math.log(high + 0.5)
            return ((math.log(value - 0.5) + math.log(value + 0.5)) / 2 - start) / (stop - start)
        levels = self.levels(name)
        if value in levels:
            return (levels.index(value) + 0.5) / len(levels)
        nearest = min(range(len(levels)), key=lambda k: abs(levels[k] - value))
        return (nearest + 0.5) / len(levels)


def read(written):
    """Value that JSON holds, unwrapped."""
    if isinstance(written, dict):
        ((kind, content),) = written.items()
        if kind == "number":
            return float(content)
        return {"tuple": tuple, "list": list}[kind](read(item) for item in content)
    return written
