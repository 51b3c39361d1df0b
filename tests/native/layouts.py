"""Layouts by hand: parameters and condition trees of ``oracles.domain`` to a ``Layout``."""

from __future__ import annotations

import numpy as np
from oracles.domain import Parameter, center

from hpo_core.layout import Kind, Layout, Op


def continuous(low: float = 0.0, high: float = 1.0, *, log: bool = False) -> Parameter:
    return Parameter("continuous", low, high, log=log)


def stepped(low: float, high: float, step: float = 1.0, *, log: bool = False) -> Parameter:
    return Parameter("stepped", low, high, step, log=log)


def regular(n: int) -> Parameter:
    """Values 10, 11, ... over cells of one width."""
    return Parameter("discrete", cells=tuple((k + 1) / n for k in range(n)), numbers=tuple(range(10, 10 + n)))


def irregular(*widths: float) -> Parameter:
    """Values 10, 11, ... over cells of the given widths, which sum to 1."""
    edges = tuple(np.cumsum(widths))
    return Parameter("discrete", cells=edges, numbers=tuple(range(10, 10 + len(widths))))


def categorical(n: int) -> Parameter:
    return Parameter("categorical", choices=n)


def build(
    *parameters: Parameter,
    groups: tuple[int, ...] | None = None,
    conditions: tuple[object, ...] = (),
    forbid: tuple[object, ...] = (),
) -> Layout:
    """``conditions[g - 1]`` activates group g; ``groups`` has one entry per parameter."""
    constants: list[float] = []
    codes = [_compile(tree, constants) for tree in (*conditions, *forbid)]
    starts = np.cumsum([0, 0, *(len(code) for code in codes)])
    n_groups = len(conditions) + 1
    context = np.zeros((n_groups, n_groups), np.bool_)
    context[1:, 0] = True
    layout = Layout(
        names=tuple(f"p{i}" for i in range(len(parameters))),
        context=context,
        group=np.array(groups or (0,) * len(parameters), np.int32),
        program=np.array([pair for code in codes for pair in code], np.int32).reshape(-1, 2),
        constants=np.array(constants, np.float64),
        condition_start=starts[: n_groups + 1],
        forbid_start=starts[n_groups:],
        **_columns(parameters),
    )
    for array in vars(layout).values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return layout


def _columns(parameters: tuple[Parameter, ...]) -> dict[str, np.ndarray]:
    discrete = [p if p.kind == "discrete" else Parameter("") for p in parameters]
    scaled = [p.kind in ("continuous", "stepped") for p in parameters]
    starts = np.array([p.bounds[0] if s else 0.0 for p, s in zip(parameters, scaled, strict=True)])
    ends = np.array([p.bounds[1] if s else 0.0 for p, s in zip(parameters, scaled, strict=True)])

    def each(name: str, dtype: type = np.float64) -> np.ndarray:
        return np.array([getattr(p, name) for p in parameters], dtype)

    return {
        "kinds": np.array([Kind[p.kind.upper()] for p in parameters], np.uint8),
        "levels": each("levels", np.int64),
        "table_start": np.cumsum([0, *(len(p.cells) for p in discrete)]),
        "centers": np.array([center(p, k) for p in discrete for k in range(len(p.cells))], np.float64),
        "widths": np.array([w for p in discrete for w in np.diff(p.cells, prepend=0)], np.float64),
        "values": np.array([v for p in discrete for v in p.numbers], np.float64),
        "log": each("log", np.uint8),
        "offset": starts,
        "span": ends - starts,
        "low": each("low"),
        "high": each("high"),
        "step": each("step"),
        "scale": np.ones(len(parameters)),
        "default": np.array(
            [0.5 if p.kind == "continuous" else center(p, 0) for p in parameters], np.float64
        ),
    }


def _compile(tree: object, constants: list[float]) -> list[tuple[int, int]]:
    if not isinstance(tree, tuple):
        constants.append(tree)
        return [(Op.CONST, len(constants) - 1)]
    op, *arguments = tree
    if op == "value":
        return [(Op.LOAD, arguments[0])]
    return [*(pair for argument in arguments for pair in _compile(argument, constants)), (Op[op.upper()], 0)]
