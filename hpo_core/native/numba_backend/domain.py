"""The functions of _domain.pyx in numba; csrc/domain.c says why things are as they are.

``domain`` is a ``hpo_core.native.domain.DomainArrays``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from hpo_core.layout import MAX_STACK, WIDE, Kind, Op
from hpo_core.native.numba_backend.philox import philox_u01
from hpo_core.native.numba_backend.sobol import GOLDEN, mix64, sobol_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import DomainArrays

    Column = NDArray[Any]

PRIOR_TAG = np.uint64(1 << 56)
NO_LEVEL = np.uint64(2**64 - 1)

CONTINUOUS, DISCRETE, CATEGORICAL, STEPPED = (int(kind) for kind in Kind)
LOAD, CONST, ADD, SUB, MUL, DIV, NEG, LT, LE, GT, GE, EQ, NE, AND, OR, NOT = (int(op) for op in Op)


def Domain(arrays: DomainArrays) -> DomainArrays:  # noqa: N802 - the name of the class it stands for
    """Return what the functions below take for a compiled layout."""
    return arrays


@njit(cache=True, error_model="numpy")
def _clip(v: float, low: float, high: float) -> float:
    return low if v < low else high if v > high else v


@njit(cache=True, error_model="numpy")
def _cell_of(edges: Column, start: int, n: int, x: float) -> int:
    base = start
    while n > 1:
        half = n // 2
        if edges[base + half - 1] <= x:
            base += half
        n -= half
    return base - start


@njit(cache=True, error_model="numpy")
def _level_of(domain: DomainArrays, i: int, x: float) -> float:
    n = float(domain.levels[i])
    if x != x:
        return x
    if domain.kinds[i] == CATEGORICAL:
        k = np.floor(x + 0.5)
    elif domain.kinds[i] == STEPPED and domain.log[i]:
        k = np.floor((np.exp(domain.offset[i] + domain.span[i] * x) - domain.low[i]) / domain.step[i] + 0.5)
    elif domain.kinds[i] == STEPPED or domain.regular[i]:
        k = np.floor(x * n)
    else:
        return float(_cell_of(domain.edges, domain.table_start[i], domain.levels[i], x))
    return _clip(k, 0.0, float(domain.levels[i] - 1))


@njit(cache=True, error_model="numpy")
def _stepped_center(domain: DomainArrays, i: int, k: float) -> float:
    if not domain.log[i]:
        return (k + 0.5) / float(domain.levels[i])
    v, half = domain.low[i] + domain.step[i] * k, 0.5 * domain.step[i]
    middle = 0.5 * (np.log(v - half) + np.log(v + half))
    return _clip((middle - domain.offset[i]) / domain.span[i], 0.0, 1.0)


@njit(cache=True, error_model="numpy")
def lookup(domain: DomainArrays, i: int, table: Column, x: float) -> float:
    """Entry of one of the domain's tables for the cell of a DISCRETE coordinate."""
    k = _level_of(domain, i, x)
    return float(table[domain.table_start[i] + int(k)]) if k == k else k


@njit(cache=True, error_model="numpy")
def snap(domain: DomainArrays, i: int, x: Column) -> None:
    """Move coordinates of one parameter to the centre of their cell, in place."""
    kind = domain.kinds[i]
    for j in range(x.size):
        if kind == CONTINUOUS:
            x[j] = _clip(x[j], 0.0, 1.0)
        elif kind == CATEGORICAL:
            x[j] = _level_of(domain, i, x[j])
        elif kind == STEPPED:
            x[j] = _stepped_center(domain, i, _level_of(domain, i, x[j]))
        else:
            x[j] = lookup(domain, i, domain.centers, x[j])


@njit(cache=True, error_model="numpy")
def _real_number(domain: DomainArrays, i: int, x: float) -> float:
    low, high, scaled = domain.low[i], domain.high[i], domain.span[i] * x
    if x >= 1.0:
        return float(high)
    if x <= 0.0:
        return float(low)
    if not domain.log[i]:
        v = low + scaled
    elif domain.span[i] > WIDE:
        v = np.exp(domain.offset[i] + scaled)
    else:
        v = low * np.exp(scaled)
    return _clip(v, low, high)


@njit(cache=True, error_model="numpy")
def _stepped_number(domain: DomainArrays, i: int, k: float) -> float:
    low, step, scale = domain.low[i], domain.step[i], domain.scale[i]
    if k >= float(domain.levels[i] - 1):
        return float(domain.high[i])
    if scale == 1.0:
        return float(low + step * k)
    return float((np.rint(low * scale) + np.rint(step * scale) * k) / scale)


@njit(cache=True, error_model="numpy")
def _load(domain: DomainArrays, i: int, x: float) -> float:
    kind = domain.kinds[i]
    if kind == CONTINUOUS:
        return _real_number(domain, i, x)
    if kind == CATEGORICAL:
        return x
    if kind == STEPPED:
        return _stepped_number(domain, i, _level_of(domain, i, x))
    return lookup(domain, i, domain.values, x)


@njit(cache=True, error_model="numpy")
def _compare(op: int, a: float, b: float) -> float:
    if a != a or b != b:
        return np.nan
    if op == LT:
        holds = a < b
    elif op == LE:
        holds = a <= b
    elif op == GT:
        holds = a > b
    elif op == GE:
        holds = a >= b
    elif op == EQ:
        holds = a == b
    else:
        holds = a != b
    return 1.0 if holds else 0.0


@njit(cache=True, error_model="numpy")
def _binary(op: int, a: float, b: float) -> float:
    if op == ADD:
        return a + b
    if op == SUB:
        return a - b
    if op == MUL:
        return a * b
    if op == DIV:
        return a / b
    if op == AND:
        return 0.0 if a == 0.0 or b == 0.0 else a * b
    if op == OR:
        return 1.0 if a == 1.0 or b == 1.0 else a + b
    return _compare(op, a, b)


@njit(cache=True, error_model="numpy")
def _true(domain: DomainArrays, start: int, stop: int, x: Column, stack: Column) -> bool:
    """Whether program[start:stop] is true for one configuration x (d,)."""
    top = -1
    for p in range(start, stop):
        op, argument = domain.program[2 * p], domain.program[2 * p + 1]
        if op == LOAD:
            top += 1
            stack[top] = _load(domain, argument, x[argument])
        elif op == CONST:
            top += 1
            stack[top] = domain.constants[argument]
        elif op == NEG:
            stack[top] = -stack[top]
        elif op == NOT:
            stack[top] = 1.0 - stack[top]
        else:
            top -= 1
            stack[top] = _binary(op, stack[top], stack[top + 1])
    return bool(stack[0] == 1.0)


@njit(cache=True, error_model="numpy")
def group_mask(domain: DomainArrays, group: int, x: Column, active_out: Column) -> None:
    """Where the condition of a group holds."""
    stack = np.empty(MAX_STACK)
    start, stop = domain.condition_start[group], domain.condition_start[group + 1]
    for j in range(x.shape[1]):
        active_out[j] = group == 0 or _true(domain, start, stop, x[:, j], stack)


@njit(cache=True, error_model="numpy")
def deactivate(domain: DomainArrays, x: Column) -> None:
    """Evaluate the groups in order and make the parameters of inactive ones NaN."""
    stack = np.empty(MAX_STACK)
    for g in range(1, domain.member_start.size - 1):
        start, stop = domain.condition_start[g], domain.condition_start[g + 1]
        for j in range(x.shape[1]):
            if not _true(domain, start, stop, x[:, j], stack):
                for k in range(domain.member_start[g], domain.member_start[g + 1]):
                    x[domain.members[k], j] = np.nan


@njit(cache=True, error_model="numpy")
def settle(domain: DomainArrays, x: Column) -> None:
    """Snap every parameter, then deactivate."""
    for i in range(x.shape[0]):
        snap(domain, i, x[i])
    deactivate(domain, x)


@njit(cache=True, error_model="numpy")
def permitted(domain: DomainArrays, x: Column, permitted_out: Column) -> None:
    """Where no forbidden expression is true."""
    stack = np.empty(MAX_STACK)
    permitted_out[:] = 1
    for f in range(domain.forbid_start.size - 1):
        start, stop = domain.forbid_start[f], domain.forbid_start[f + 1]
        for j in range(x.shape[1]):
            if _true(domain, start, stop, x[:, j], stack):
                permitted_out[j] = 0


@njit(cache=True, error_model="numpy")
def prior(domain: DomainArrays, i: int, u: Column) -> None:
    """Prior transform of one parameter, in place."""
    if domain.kinds[i] != CATEGORICAL:
        snap(domain, i, u)
        return
    n = float(domain.levels[i])
    for j in range(u.size):
        u[j] = _clip(np.floor(u[j] * n), 0.0, n - 1.0)


@njit(cache=True, error_model="numpy")
def _random_draws(domain: DomainArrays, seed: Any, stream: Any, start: Any, x: Column) -> None:
    for i in range(x.shape[0]):
        index = PRIOR_TAG | np.uint64(i) << np.uint64(32) | start
        for j in range(x.shape[1]):
            x[i, j] = philox_u01(seed, stream, index + np.uint64(j))
        prior(domain, i, x[i])
    deactivate(domain, x)


def random_draws(domain: DomainArrays, seed: int, stream: int, start: int, x_out: Any) -> None:
    """Prior draws start .. start + m - 1 of a stream, settled."""
    _random_draws(domain, np.uint64(seed), np.uint64(stream), np.uint64(start), x_out)


@njit(cache=True, error_model="numpy")
def _sobol_draws(domain: DomainArrays, directions: Column, seed: Any, start: Any, x: Column) -> None:
    for i in range(x.shape[0]):
        sobol_row(directions, seed, i, start, x[i])
        prior(domain, i, x[i])
        if start == 0 and x.shape[1] > 0:
            x[i, 0] = domain.defaults[i]
    deactivate(domain, x)


def sobol_draws(domain: DomainArrays, directions: Any, seed: int, start: int, x_out: Any) -> None:
    """Scrambled Sobol points start .. start + m - 1 through the prior, settled."""
    _sobol_draws(domain, directions, np.uint64(seed), np.uint64(start), x_out)


@njit(cache=True, error_model="numpy")
def keys(domain: DomainArrays, x: Column, keys_out: Column) -> None:
    """64-bit hash of each configuration's levels."""
    scratch = np.empty(1)
    bits = scratch.view(np.uint64)
    keys_out[:] = np.uint64(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            k = x[i, j] if domain.kinds[i] == CONTINUOUS else _level_of(domain, i, x[i, j])
            scratch[0] = k + 0.0
            code = bits[0] if k == k else NO_LEVEL
            keys_out[j] = mix64((keys_out[j] ^ code) + GOLDEN)
    for j in range(x.shape[1]):
        if keys_out[j] == np.uint64(0):
            keys_out[j] = np.uint64(1)


@njit(cache=True, error_model="numpy")
def _slot_of(slots: Column, key: Any) -> Any:
    mask = np.uint64(slots.size - 1)
    slot = key & mask
    while slots[slot] != np.uint64(0) and slots[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, error_model="numpy")
def keyset_insert(slots: Column, keys: Column) -> int:
    """Add keys to a table of 2^k slots, 0 empty; return how many were new."""
    added = 0
    for j in range(keys.size):
        slot = _slot_of(slots, keys[j])
        added += slots[slot] == np.uint64(0)
        slots[slot] = keys[j]
    return added


@njit(cache=True, error_model="numpy")
def keyset_fresh(slots: Column, keys: Column, scratch: Column, fresh_out: Column) -> None:
    """Where a key is neither in the table nor earlier in keys; the table is left as it was."""
    n = 0
    for j in range(keys.size):
        slot = _slot_of(slots, keys[j])
        fresh_out[j] = slots[slot] == np.uint64(0)
        if fresh_out[j]:
            slots[slot] = keys[j]
            scratch[n] = slot
            n += 1
    for k in range(n):
        slots[scratch[k]] = np.uint64(0)
