"""The functions of _hypervolume.pyx in numba; csrc/hypervolume.h and .c explain symbols and methods.

Numba cannot load recursive functions from its cache: recursions are plain Python here, or have a stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Ints = NDArray[np.int32]

WINDOW = 64
FEW, FEW_PAIRS = 12, 96


@njit(cache=True)
def _is_no_worse(a: Array, b: Array) -> bool:
    for i in range(len(a)):  # noqa: SIM110 - all() is slower here
        if a[i] > b[i]:
            return False
    return True


# ---- which points nothing dominates ------------------------------------------------------------------------


@njit(cache=True)
def screen(y: Array, keep_out: NDArray[np.uint8]) -> None:
    """Mark points that one of a few good ones dominates."""
    scratch, size = np.empty((WINDOW, y.shape[0])), 0
    for j in range(y.shape[1]):
        point, into = y[:, j], size
        keep_out[j] = 1
        for w in range(size):
            if _is_no_worse(scratch[w], point):
                keep_out[j] = _is_no_worse(point, scratch[w])
                into = WINDOW
                held = scratch[w].copy()
                scratch[w] = scratch[w // 2]
                scratch[w // 2] = held
                break
            if into == size and _is_no_worse(point, scratch[w]):
                into = w
        if into < WINDOW:
            scratch[into] = point
            size += into == size


# ---- ranks -------------------------------------------------------------------------------------------------


@njit(cache=True)
def pair_ranks(second: Array, ranks_out: Ints) -> None:
    """Ranks of distinct points of two objectives in lexicographic order."""
    tail, n_fronts = np.empty(len(second)), 0
    for j in range(len(second)):
        rank = np.searchsorted(tail[:n_fronts], second[j], side="right")
        n_fronts += rank == n_fronts
        tail[rank] = second[j]
        ranks_out[j] = rank


@njit(cache=True)
def _compare(level: Ints, better: int, worse: int, ranks: Ints) -> None:
    if ranks[worse] > ranks[better]:
        return
    for i in range(level.shape[0]):
        if level[i, better] > level[i, worse]:
            return
    ranks[worse] = ranks[better] + 1


@njit(cache=True)
def _cross_sweep(level: Ints, a: Ints, b: Ints, tree: Ints, ranks: Ints) -> None:
    by, last, n = level[-2], level[-1], level.shape[1]
    i = 0
    for point in b:
        while i < len(a) and by[a[i]] <= by[point]:
            rank, node = ranks[a[i]] + 1, last[a[i]] + 1
            while node <= n:
                tree[node] = max(tree[node], rank)
                node += node & -node
            i += 1
        node = last[point] + 1
        while node > 0:
            ranks[point] = max(ranks[point], tree[node])
            node -= node & -node
    for point in a[:i]:
        node = last[point] + 1
        while node <= n:
            tree[node] = 0
            node += node & -node


@njit(cache=True)
def _divide(value: Ints, pivot: int, points: Ints, spare: Ints) -> int:
    below, above = 0, 0
    for point in points:
        if value[point] < pivot:
            points[below] = point
            below += 1
        else:
            spare[above] = point
            above += 1
    points[below:] = spare[:above]
    return below


@njit(cache=True)
def _division(row: Ints, a: Ints, b: Ints) -> tuple[int, int]:
    """Of levels: 1 if those of a are all below b's, -1 if above, else 0 and where to divide."""
    low_a, high_a, low_b, high_b = row[a].min(), row[a].max(), row[b].min(), row[b].max()
    if high_a <= low_b or low_a > high_b:
        return (1 if high_a <= low_b else -1), 0
    low, high = min(low_a, low_b), max(high_a, high_b)
    bit = 1
    while (low ^ high) >> 1 >= bit:
        bit *= 2
    return 0, high & ~(bit - 1)


@njit(cache=True)
def _cross(level: Ints, lists: Ints, half: int, tree: Ints, spare: Ints, ranks: Ints) -> None:
    """``lists`` begins with a, ``half`` of them, and b; the room behind them is for copies."""
    size = len(spare)
    stack = [(level.shape[0] - 2, 0, half, half, size, size)]
    while stack:
        rows, start_a, end_a, start_b, end_b, copies = stack.pop()
        a, b = lists[start_a:end_a], lists[start_b:end_b]
        if len(a) * len(b) <= FEW_PAIRS:
            for worse in b:
                for better in a:
                    _compare(level, better, worse, ranks)
            continue
        if rows == 0:
            _cross_sweep(level, a, b, tree, ranks)
            continue
        row = level[rows - 1]
        order, pivot = _division(row, a, b)
        if order == 1:
            stack.append((rows - 1, start_a, end_a, start_b, end_b, copies))
        if order != 0:
            continue
        below_a, below_b = _divide(row, pivot, a, spare), _divide(row, pivot, b, spare)
        middle, end = copies + below_a, copies + below_a + len(b) - below_b
        lists[copies:middle] = a[:below_a]
        lists[middle:end] = b[below_b:]
        stack.append((rows, start_a + below_a, end_a, start_b + below_b, end_b, copies))
        stack.append((rows, start_a, start_a + below_a, start_b, start_b + below_b, copies))
        stack.append((rows - 1, copies, middle, middle, end, copies + size))  # the next: it uses the copies


def _rank_range(level: Ints, number: Ints, first: int, points: Ints, tree: Ints, ranks: Ints) -> None:
    n = len(points)
    if n <= FEW:
        _compare_all(level, first, n, ranks)
        return
    half, spare = (2 * first + n) // 2 - first, np.empty(n, np.int32)
    _divide(number, first + half, points, spare)
    _rank_range(level, number, first, points[:half].copy(), tree, ranks)
    lists = np.empty((len(level) - 1) * n, np.int32)
    lists[:n] = points
    _cross(level, lists, half, tree, spare, ranks)
    _rank_range(level, number, first + half, points[half:], tree, ranks)


@njit(cache=True)
def _compare_all(level: Ints, first: int, n: int, ranks: Ints) -> None:
    for j in range(first, first + n):
        for i in range(first, j):
            _compare(level, i, j, ranks)


def ranks(level: Ints, sweep: Ints, ranks_out: Ints) -> None:
    """Ranks of distinct points of three objectives or more in lexicographic order."""
    n = level.shape[1]
    ranks_out[:] = 0
    _rank_range(level, np.arange(n, dtype=np.int32), 0, sweep.copy(), np.zeros(n + 1, np.int32), ranks_out)


@njit(cache=True)
def place(points: Array, starts: NDArray[np.int64], point: Array) -> int:
    """Number of fronts that hold a point which dominates this one."""
    low, high = 0, len(starts) - 1
    while low < high:
        middle, is_dominated = (low + high) // 2, False
        for j in range(starts[middle], starts[middle + 1]):
            if _is_no_worse(points[j], point) and not _is_no_worse(point, points[j]):
                is_dominated = True
                break
        if is_dominated:
            low = middle + 1
        else:
            high = middle
    return low


# ---- volumes -----------------------------------------------------------------------------------------------


@njit(cache=True)
def _strips_area(points: Array, reference: Array) -> float:
    least, area, n = reference[0], 0.0, len(points)
    for j in range(n):
        least = min(least, points[j, 0])
        area += (reference[0] - least) * ((points[j + 1, 1] if j + 1 < n else reference[1]) - points[j, 1])
    return area


@njit(cache=True)
def _box(point: Array, reference: Array) -> float:
    volume = 1.0
    for i in range(len(point)):
        volume *= reference[i] - point[i]
    return volume


@njit(cache=True)
def _step_add(x: Array, y: Array, size: int, a: float, b: float, reference: Array) -> tuple[int, float]:
    low = int(np.searchsorted(x[:size], a))
    top, start, area = y[low - 1] if low else reference[1], a, 0.0
    if top <= b or (low < size and x[low] == a and y[low] <= b):
        return size, 0.0
    end = low
    while end < size and y[end] >= b:
        area += (x[end] - start) * (top - b)
        start, top = x[end], y[end]
        end += 1
    area += ((x[end] if end < size else reference[0]) - start) * (top - b)
    grown = size + 1 - (end - low)
    x[low + 1 : grown] = x[end:size].copy()
    y[low + 1 : grown] = y[end:size].copy()
    x[low], y[low] = a, b
    return grown, float(area)


@njit(cache=True)
def _sweep_volume(points: Array, reference: Array) -> float:
    n = len(points)
    x, y = np.empty(n + 1), np.empty(n + 1)
    size, area, volume = 0, 0.0, 0.0
    for j in range(n):
        size, gained = _step_add(x, y, size, points[j, 0], points[j, 1], reference)
        area += gained
        volume += area * ((points[j + 1, 2] if j + 1 < n else reference[2]) - points[j, 2])
    return volume


@njit(cache=True)
def _raised(point: Array, points: Array) -> Array:
    out = np.empty_like(points)
    for j in range(points.shape[0]):
        for i in range(points.shape[1]):
            out[j, i] = max(points[j, i], point[i])
    return out


@njit(cache=True)
def _keep_sorted(points: Array, n: int, point: Array) -> int:
    size = 0
    for j in range(n):
        if not _is_no_worse(point, points[j]):
            points[size] = points[j]
            size += 1
    place = size
    while place > 0 and points[place - 1, -1] > point[-1]:
        points[place] = points[place - 1]
        place -= 1
    points[place] = point
    return size + 1


@njit(cache=True)
def _is_new(point: Array, kept: Array) -> bool:
    for i in range(len(kept)):  # noqa: SIM110
        if _is_no_worse(kept[i], point):
            return False
    return True


def volume(points: Array, reference: Array) -> float:
    """Hypervolume of points (n, m) sorted by the last objective, m >= 2."""
    n, m = points.shape
    if m == 2:
        return float(_strips_area(points, reference))
    if m == 3:
        return float(_sweep_volume(points, reference))
    kept, n_kept, area, total = np.empty((n + 1, m - 1)), 0, 0.0, 0.0
    heights = np.diff(points[:, -1], append=reference[-1]).tolist()
    for j in range(n):
        point = points[j, :-1]
        if _is_new(point, kept[:n_kept]):
            area += _box(point, reference) - volume(_raised(point, kept[:n_kept]), reference[:-1])
            n_kept = _keep_sorted(kept, n_kept, point)
        total += area * heights[j]
    return total


def share(points: Array, reference: Array, point: Array) -> float:
    """What one more point adds to it."""
    return float(_box(point, reference) - volume(_raised(point, points), reference))


def shares(points: Array, reference: Array, shares_out: Array) -> None:
    """What each point of a front adds to the volume of the others."""
    for j, point in enumerate(points):
        shares_out[j] = share(np.delete(points, j, axis=0), reference, point)
