"""Expected hypervolume improvement with mpmath, over the grid that all coordinates span.

Each cell of the grid lies wholly inside or outside the region that improves on the front. Arguments are the
exact values of doubles.
"""

import itertools

import mpmath
import numpy as np

# phi(z) + z Phi(z) and differences of it lose 40 digits or so; numerical derivatives half of what is left.
DIGITS = 120


def _ei(mean, sd, below):
    """E max(below - Y, 0)."""
    if below == -mpmath.inf:
        return mpmath.mpf(0)
    if sd == 0:
        return max(below - mean, mpmath.mpf(0))
    z = (below - mean) / sd
    density = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
    return sd * (density + z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2)


def cells(front, reference):
    """Cells of the grid that no point of the front dominates: ``[((lower, upper), ...), ...]``."""
    points = [p for p in front.T.tolist() if all(a < r for a, r in zip(p, reference.tolist(), strict=True))]
    edges = [[-np.inf, *sorted({p[j] for p in points}), r] for j, r in enumerate(reference.tolist())]
    grid = itertools.product(*(list(itertools.pairwise(row)) for row in edges))
    return [cell for cell in grid if not any(_dominates(p, cell) for p in points)]


def _dominates(point, cell):
    return all(a <= low for a, (low, _) in zip(point, cell, strict=True))


def _ehvi(mean, sd, boxes):
    bounds = [{x for box in boxes for x in box[j]} for j in range(len(mean))]
    at = [{x: _ei(a, b, mpmath.mpf(x)) for x in row} for a, b, row in zip(mean, sd, bounds, strict=True)]
    gains = (
        mpmath.fprod(of[high] - of[low] for of, (low, high) in zip(at, box, strict=True)) for box in boxes
    )
    return mpmath.fsum(gains)


def log_of(mean, sd, boxes):
    """Log EHVI of one candidate, mean (m,) and sd (m,), over some cells; -inf where it is 0."""
    with mpmath.workdps(DIGITS):
        value = _ehvi([mpmath.mpf(x) for x in mean.tolist()], [mpmath.mpf(x) for x in sd.tolist()], boxes)
        return mpmath.log(value) if value > 0 else -mpmath.inf


def log_ehvi(mean, sd, front, reference):
    """Log EHVI of one candidate, mean (m,) and sd (m,)."""
    return log_of(mean, sd, cells(front, reference))


def slopes_of(mean, sd, boxes):
    """Derivatives of log EHVI over some cells, by mean (m,) and sd (m,): differences, no formula."""
    with mpmath.workdps(DIGITS):
        m = len(mean)
        at = [mpmath.mpf(x) for x in (*mean.tolist(), *sd.tolist())]

        def slope(i):
            step = at[m + i % m] / mpmath.mpf(10) ** 40
            up, down = list(at), list(at)
            up[i] += step
            down[i] -= step
            ends = [mpmath.log(_ehvi(x[:m], x[m:], boxes)) for x in (up, down)]
            return (ends[0] - ends[1]) / (2 * step)

        return [slope(i) for i in range(m)], [slope(m + i) for i in range(m)]


def log_ehvi_slopes(mean, sd, front, reference):
    """Derivatives of log EHVI with respect to mean (m,) and sd (m,)."""
    return slopes_of(mean, sd, cells(front, reference))


def monte_carlo(mean, sd, front, reference, n, seed):
    """EHVI by n draws, and its standard error: each draw's exclusive hypervolume, summed over the cells."""
    rng = np.random.default_rng(seed)
    y = mean[:, None] + sd[:, None] * rng.standard_normal((len(mean), n))
    gain = np.zeros(n)
    for cell in cells(front, reference):
        sides = [np.clip(high - row, 0.0, high - low) for row, (low, high) in zip(y, cell, strict=True)]
        gain += np.prod(sides, axis=0)
    return gain.mean(), gain.std() / np.sqrt(n)
