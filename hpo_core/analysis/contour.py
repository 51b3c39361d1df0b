"""The value of a study over two of its parameters, as a Gaussian process sees it.

The process has these two inputs only: whatever the other parameters do is noise to it. Its mean is the value
to expect at these two if the others are chosen as the study chose them. It is fitted to ranks for the worse
half of the values, so that a few diverged trials do not flatten the picture, and its mean is read back in the
metric's units. The mean stays between the least and the greatest value seen: beyond the data it says nothing,
and ``doubt`` says how far beyond.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.analysis.axes import Axis, share
from hpo_core.analysis.series import Ranks, StudyLike, evenly, metric_row, ranks
from hpo_core.errors import ArgumentError
from hpo_core.gp.regression import GaussianProcess, continuous_layout
from hpo_core.gp.warps import warp
from hpo_core.layout import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

CELLS = 48  # along an axis of numbers: a picture shows no more
MOST_TRIALS = 300  # that the process is fitted to: its cost grows with their number cubed
_WARP = "half-rank"


class Contour(NamedTuple):
    """A surface over two parameters, and the trials it rests on.

    Attributes
    ----------
    trials : Ranks
        All complete trials in which both parameters are active, with the axes.
    x : (a,) float64
    y : (b,) float64
        Positions along the axes, at which the surface is given.
    mean : (b, a) float64
        Expected value, in the metric's units.
    doubt : (b, a) float64
        Standard deviation as a share of its value far from any trial, in [0, 1].
    fitted : int
        Trials that the surface was fitted to, spread evenly over ``trials`` if there are more than 300.
    """

    trials: Ranks
    x: Vector
    y: Vector
    mean: Matrix
    doubt: Matrix
    fitted: int


def contour(study: StudyLike, x: str, y: str, metric: str | None = None) -> Contour:
    """Return the surface of a metric over two parameters.

    Raises
    ------
    ArgumentError
        There is no such parameter or metric, both are the same, or no trial has completed in which both are
        active.
    """
    if x == y:
        raise ArgumentError(f"names must be two different parameters, got {x!r} twice")
    trials = ranks(study, x, y, metric)
    sign = study.metrics.sign.item(metric_row(study, metric))
    rows = evenly(len(trials.number), MOST_TRIALS)
    value = trials.value[rows]
    targets = warp(sign * value, _WARP)
    inputs = np.array([_input(axis, axis.position[rows]) for axis in (trials.x, trials.y)])
    process = GaussianProcess(_layout(trials.x, trials.y)).fit(inputs, targets)
    across, up = _grid(trials.x), _grid(trials.y)
    at = np.array([each.ravel() for each in np.meshgrid(_input(trials.x, across), _input(trials.y, up))])
    mean, variance = process.predict(at)
    shape = (len(up), len(across))
    order = np.argsort(targets, kind="stable")
    told = np.interp(mean, targets[order], value[order]).reshape(shape)
    doubt = np.sqrt(np.clip(variance / process.outputscale, 0.0, 1.0)).reshape(shape)
    return Contour(trials, across, up, told, doubt, len(rows))


def _grid(axis: Axis) -> Vector:
    """Return the positions along an axis at which the surface is given."""
    if axis.is_listed:
        return np.arange(math.ceil(axis.low), math.floor(axis.high) + 1, dtype=np.float64)
    if axis.log:
        return np.geomspace(axis.low, axis.high, CELLS)
    return np.linspace(axis.low, axis.high, CELLS)


def _input(axis: Axis, position: Vector) -> Vector:
    """Return positions as the process takes them: choices as they are, all else as shares in [0, 1]."""
    return np.clip(share(position, axis), 0.0, 1.0) if axis.ordered else position


def _layout(*axes: Axis) -> Layout:
    """Return the layout of parameters that are always active."""
    kinds = [Kind.CONTINUOUS if axis.ordered else Kind.CATEGORICAL for axis in axes]
    levels = [0 if axis.ordered else len(axis.labels or ()) for axis in axes]
    return replace(
        continuous_layout(len(axes)), kinds=np.array(kinds, np.uint8), levels=np.array(levels, np.int64)
    )
