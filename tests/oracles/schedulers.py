"""Each rule of the schedulers from its definition, in plain lists; slow.

A log is a list of (trial, step, value) in the order of arrival. A value is a number, less is better, or a
pair (objectives, excesses) of tuples; an excess is the amount past a bound, feasible if it is not positive.
"""

from __future__ import annotations

import math
from itertools import pairwise


def rungs(min_steps, factor, top):
    """Depths of the rungs below ``top``."""
    found = []
    while min_steps * factor ** len(found) < top:
        found.append(min_steps * factor ** len(found))
    return found


def n_brackets(min_steps, max_steps, factor):
    """floor(log of max_steps / min_steps to the base factor) + 1."""
    return max(n for n in range(1, 80) if min_steps * factor ** (n - 1) <= max_steps)


def bracket_sizes(n, factor):
    """Trials of each bracket in one round of Hyperband: ceil(n factor^s / (s + 1)), s from n - 1 to 0."""
    return [math.ceil(n * factor**s / (s + 1)) for s in reversed(range(n))]


def crossed(log, trial, depths):
    """The deepest of ``depths`` that the trial's last report was the first to reach, or None."""
    own = [step + 1 for each, step, _ in log if each == trial]
    before = own[-2] if len(own) > 1 else 0
    return max((depth for depth in depths if before < depth <= own[-1]), default=None)


def arrivals(log, depth, group):
    """(trial, value) of each trial of a group: its first report at or beyond a depth."""
    found = {}
    for trial, step, value in log:
        if trial in group and step + 1 >= depth and trial not in found:
            found[trial] = value
    return list(found.items())


def ranked(results, reference=None):
    """Trials of [(trial, value)] best first."""
    values = [value for _, value in results]
    keys = values if not values or not isinstance(values[0], tuple) else several_keys(values, reference)
    return [results[i][0] for i in sorted(range(len(results)), key=lambda i: (keys[i], i))]


def best_of(results, quota, reference=None):
    """The best trials, ``quota`` of them."""
    return ranked(results, reference)[:quota]


def stops(log, trial, depths, factor, group, reference=None):
    """Depth at which the trial's last report stops it, or None; it is not about the last planned step."""
    depth = crossed(log, trial, depths)
    if depth is None:
        return None
    there = arrivals(log, depth, group)
    return None if trial in best_of(there, max(1, len(there) // factor), reference) else depth


def promotable(log, paused, gone, depth, factor, group, reference=None):
    """Trials paused at a depth that may go on, best first; ``paused`` maps each to its depth.

    ``gone`` trials of the group went on from the depth before, or passed it.
    """
    there = arrivals(log, depth, group)
    quota = len(there) // factor
    waiting = [trial for trial in best_of(there, quota, reference) if paused.get(trial) == depth]
    return waiting[: max(0, quota - len(gone & group))]


def several_keys(values, reference):
    """(violation, level or objective) of each (objectives, excesses)."""
    units = [
        max([e for e in column if e > 0], default=1.0) for column in zip(*(v[1] for v in values), strict=True)
    ]
    many = len(units) > 1
    violation = [
        sum(max(e, 0.0) / (unit if many else 1.0) for e, unit in zip(excess, units, strict=True))
        for _, excess in values
    ]
    if len(values[0][0]) == 1:
        return [(v, y[0]) for v, (y, _) in zip(violation, values, strict=True)]
    level = {}
    for feasible in (True, False):
        some = [i for i, v in enumerate(violation) if (v == 0.0) is feasible]
        level |= dict(zip(some, levels([values[i][0] for i in some], reference), strict=True))
    return [(violation[i], level[i]) for i in range(len(values))]


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def levels(points, reference):
    """Front number + 1 - merit, of two objectives; ``reference`` holds a number or None for each."""
    left, front, level = list(range(len(points))), 0, [0.0] * len(points)
    while left:
        here = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        corner, low = [], []
        for k in (0, 1):
            column = [points[i][k] for i in here]
            low.append(min(column))
            span = (max(column) - min(column)) or 1.0
            corner.append(max(column) + 0.1 * span if reference[k] is None else reference[k])
        sides = [high - least for high, least in zip(corner, low, strict=True)]
        useful = all(side > 0 for side in sides)
        for i in here:
            others = [points[j] for j in here if j != i]
            more = area([points[i], *others], corner) - area(others, corner)
            level[i] = front + 1 - (more / (sides[0] * sides[1]) if useful else 0.0)
        left = [i for i in left if i not in here]
        front += 1
    return level


def area(points, corner):
    """Area between points of two objectives and a corner."""
    total, height = 0.0, corner[1]
    for x, y in sorted(points):
        if x < corner[0] and y < height:
            total += (corner[0] - x) * (height - y)
            height = y
    return total


def open_top(log, depths, compared=128, percentile=0.9):
    """Number of the highest open rung of PASHA's ladder after a log."""
    top, gaps = 1, []
    for n, (trial, _, _) in enumerate(log, 1):
        past, everyone = log[:n], {each for each, _, _ in log}
        for depth in depths:
            new = arrivals(past, depth, everyone)
            old = arrivals(past[:-1], depth, everyone)
            if top >= len(depths) or depth != depths[top] or len(new) == len(old):
                continue
            gaps += [
                gap for other, _ in old[-compared:] if (gap := final_gap(past, trial, other)) is not None
            ]
            there = new[-compared:]
            before = dict(arrivals(past, depths[top - 1], everyone))
            was = ranked([(each, before[each]) for each, _ in there])
            noise = quantile(gaps, percentile) if gaps else 0.0
            if any(abs(before[a] - before[b]) > noise for a, b in zip(ranked(there), was, strict=True)):
                top += 1
    return top


def final_gap(log, one, other):
    """How far apart two trials were at the last step of both, if they crossed at least twice; else None."""
    a, b = ({step: value for each, step, value in log if each == who} for who in (one, other))
    differences = [a[step] - b[step] for step in sorted(a.keys() & b.keys())]
    ahead = [difference > 0 for difference in differences if difference]
    crossings = sum(x != y for x, y in pairwise(ahead))
    return abs(differences[-1]) if crossings >= 2 else None


def quantile(numbers, q):
    """Between the two nearest numbers, linearly."""
    numbers = sorted(numbers)
    place = q * (len(numbers) - 1)
    low = math.floor(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)


def best_so_far(log, trial, step):
    """The least value of a trial up to a step."""
    return min(value for each, at, value in log if each == trial and at <= step)


def behind(log, complete, trial, q, min_trials, warmup_steps):
    """Whether the trial's best is worse than the q-th percentile of complete trials at the same step."""
    step = max(at for each, at, _ in log if each == trial)
    others = [
        best_so_far(log, each, step) for each in complete if (each, step) in {(t, s) for t, s, _ in log}
    ]
    if step + 1 <= warmup_steps or len(others) < min_trials:
        return False
    return best_so_far(log, trial, step) > quantile(others, q / 100)


def is_stale(log, trial, steps, min_delta):
    """Whether the trial has taken ``steps`` steps since its last improvement."""
    curve = [(step, value) for each, step, value in log if each == trial]
    at, best = curve[0]
    for step, value in curve:
        if value < best - min_delta:
            at, best = step, value
    return curve[-1][0] - at >= steps
