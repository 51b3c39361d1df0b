"""Projected BFGS ascent of one start, with matrices written out; nothing is shared with hpo_core."""

from __future__ import annotations

import numpy as np


def climb(function, z, scale, low, high, n_steps, max_step=1.0, armijo=1e-4, shrink=0.3):
    """Points tried and points reached, one row a step; ``function`` gives value and gradient in z."""
    p = len(z)
    value, slope = function(z)
    g, h, known, length = slope * scale, np.eye(p), False, 1.0
    tried, reached = [], []
    for _ in range(n_steps):
        held = ((z <= low) & (g < 0)) | ((z >= high) & (g > 0))
        pull = np.where(held, 0.0, g)
        direction = np.where(held, 0.0, h @ pull)
        if not direction @ pull > 0:
            direction, h = pull, np.eye(p)
        norm = np.linalg.norm(direction)
        direction = direction * min(1.0, max_step / norm) if norm else direction
        new = np.clip(z + length * direction * scale, low, high)
        new_value, new_slope = function(new)
        s, y = (new - z) / scale, g - new_slope * scale
        tried.append(new)
        if new_value >= value + armijo * (g @ s):
            sy = s @ y
            if sy > 0 and sy > 1e-10 * np.linalg.norm(s) * np.linalg.norm(y):
                h = h if known else h * (sy / (y @ y))
                known = True
                left = np.eye(p) - np.outer(s, y) / sy
                h = left @ h @ left.T + np.outer(s, s) / sy
            z, value, g, length = new, new_value, new_slope * scale, 1.0
        else:
            length *= shrink
        reached.append(z)
    return np.array(tried), np.array(reached)
