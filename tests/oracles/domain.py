"""One parameter, one condition, one random number at a time, in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Conditions are trees: a number, ("value", parameter), (unary, tree) or (binary, tree, tree).
UNARY = ("neg", "not")
ARITHMETIC = ("add", "sub", "mul", "div")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


@dataclass(frozen=True)
class Parameter:
    """``cells``: upper edges of a discrete parameter's cells, the last one 1."""

    kind: str  # continuous, discrete, categorical or stepped
    low: float = 0.0
    high: float = 1.0
    step: float = 0.0
    log: bool = False
    cells: tuple[float, ...] = ()
    numbers: tuple[float, ...] = ()
    choices: int = 0

    @property
    def levels(self) -> int:
        if self.kind == "stepped":
            return round((self.high - self.low) / self.step) + 1
        return self.choices or len(self.cells)

    @property
    def bounds(self) -> tuple[float, float]:
        """What x = 0 and x = 1 stand for, in the logarithm if ``log``."""
        half = 0.5 * self.step
        ends = self.low - half, self.high + half
        return (math.log(ends[0]), math.log(ends[1])) if self.log else ends


def level(p: Parameter, x: float) -> int:
    if p.kind == "categorical":
        return min(max(round(x), 0), p.levels - 1)
    if p.kind == "discrete":
        return sum(edge <= x for edge in p.cells[:-1])
    if not p.log:
        return min(max(math.floor(x * p.levels), 0), p.levels - 1)
    start, end = p.bounds
    k = round((math.exp(start + (end - start) * x) - p.low) / p.step)
    return min(max(k, 0), p.levels - 1)


def center(p: Parameter, k: int) -> float:
    if p.kind == "categorical":
        return float(k)
    if p.kind == "discrete":
        return ((p.cells[k - 1] if k else 0.0) + p.cells[k]) / 2
    if not p.log:
        return (k + 0.5) / p.levels
    start, end = p.bounds
    value, half = p.low + k * p.step, 0.5 * p.step
    return ((math.log(value - half) + math.log(value + half)) / 2 - start) / (end - start)


def snap(p: Parameter, x: float) -> float:
    if math.isnan(x):
        return x
    return min(max(x, 0.0), 1.0) if p.kind == "continuous" else center(p, level(p, x))


def prior(p: Parameter, u: float) -> float:
    return float(math.floor(u * p.choices)) if p.kind == "categorical" else snap(p, u)


def number(p: Parameter, x: float) -> float:
    """What a condition reads."""
    if math.isnan(x):
        return x
    if p.kind == "continuous":
        start, end = p.bounds
        value = start + (end - start) * x
        return min(max(math.exp(value) if p.log else value, p.low), p.high)
    k = level(p, x)
    if p.kind == "stepped":
        return p.low + k * p.step
    return p.numbers[k] if p.kind == "discrete" else float(k)


def truth(tree: object, values: list[float]) -> bool | None:
    """Kleene's logic: None is unknown."""
    op, *arguments = tree  # type: ignore[misc]
    if op in COMPARISONS:
        a, b = (arithmetic(argument, values) for argument in arguments)
        if math.isnan(a) or math.isnan(b):
            return None
        return {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b, "eq": a == b, "ne": a != b}[op]
    known = [truth(argument, values) for argument in arguments]
    if op == "not":
        return None if known[0] is None else not known[0]
    settled = op == "or"
    if settled in known:
        return settled
    return None if None in known else not settled


def arithmetic(tree: object, values: list[float]) -> float:
    if not isinstance(tree, tuple):
        return float(tree)  # type: ignore[arg-type]
    if tree[0] == "value":
        return values[tree[1]]
    if tree[0] == "neg":
        return -arithmetic(tree[1], values)
    a, b = (arithmetic(argument, values) for argument in tree[1:])
    if tree[0] == "div":
        return _quotient(a, b)
    return {"add": a + b, "sub": a - b, "mul": a * b}[tree[0]]


def _quotient(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def uniform(seed: int, trial: int, index: int) -> float:
    """Philox-4x32-10 (Salmon et al. 2011), on Python's integers."""
    word = 2**32
    k0, k1 = seed % word, seed // word
    block = index // 2
    c0, c1, c2, c3 = trial % word, trial // word, block % word, block // word
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = p1 // word ^ c1 ^ k0, p1 % word, p0 // word ^ c3 ^ k1, p0 % word
        k0, k1 = (k0 + 0x9E3779B9) % word, (k1 + 0xBB67AE85) % word
    bits = (c1 * word + c0, c3 * word + c2)[index % 2]
    return (bits // 2**12 + 0.5) / 2**52
