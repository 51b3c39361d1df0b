"""Hypervolume of two or three objectives, minimised, by sweeps: bench's own, so that it judges all alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def front(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (n, 2) that no other is better than, by the first objective; equal ones once."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    least = np.minimum.accumulate(ordered[:, 1])
    return ordered[np.concatenate([[True], ordered[1:, 1] < least[:-1]])]


def hypervolume(points: NDArray[np.float64], reference: Sequence[float]) -> float:
    """What ``points`` (n, m) dominate of the box below ``reference``, for m = 2 or 3."""
    corner = np.asarray(reference)
    inside = points[(points < corner).all(axis=1)]
    if not len(inside):
        return 0.0
    if len(corner) == 2:
        kept = front(inside)
        right = np.append(kept[1:, 0], corner[0])
        return float(np.sum((right - kept[:, 0]) * (corner[1] - kept[:, 1])))
    by_last = inside[np.argsort(inside[:, 2], kind="stable")]
    heights = np.diff(np.append(by_last[:, 2], corner[2]))
    areas = [hypervolume(by_last[: k + 1, :2], corner[:2]) for k in range(len(by_last))]
    return float(np.dot(heights, areas))


def nadir(points: NDArray[np.float64], margin: float = 0.1) -> tuple[float, ...]:
    """Just beyond the worst of a front (n, m): by a tenth of its range, as BoTorch infers a reference."""
    low, high = points.min(axis=0), points.max(axis=0)
    return tuple((high + margin * (high - low)).tolist())
