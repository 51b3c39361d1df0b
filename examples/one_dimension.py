"""The textbook picture of Bayesian optimisation, in four consecutive steps.

    python examples/one_dimension.py

A Gaussian process is fitted to the trials so far. Expected improvement is high where its mean is low
or its band is wide; the next trial goes where it is highest. The study only keeps the books here: what
the "gp" sampler does in any space, with refinements, is done by hand. Writes ``one_dimension.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import hpo_core as hpo
from hpo_core.acquisition import expected_improvement
from hpo_core.gp.regression import GaussianProcess

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Okabe and Ito's colours, told apart with any colour vision.
BLUE, ORANGE, GREEN, INK = "#0072B2", "#D55E00", "#009E73", "#404040"
N_STEPS = 4
GRID = np.linspace(0.0, 1.0, 801)


def objective(x: Vector | float) -> Vector:
    """A function of one number with two valleys, the deeper on the right."""
    x = np.asarray(x)
    return -np.sin(13.0 * x) * (0.3 + x / 2.0)


def draw_step(top: Axes, bottom: Axes, study: hpo.Study) -> float:
    """What the finished trials teach, and where the next one goes because of it, which is returned."""
    trials = study.trials
    model = GaussianProcess().fit(trials["x"][np.newaxis], trials.value)
    mean, variance = model.predict(GRID[np.newaxis])
    sd = np.sqrt(variance)
    improvement = expected_improvement(mean, sd, best=study.best_value)
    following = GRID[improvement.argmax()]
    top.fill_between(GRID, mean - 2 * sd, mean + 2 * sd, color=BLUE, alpha=0.15, linewidth=0, label="± 2 sd")
    top.plot(GRID, mean, color=BLUE, linewidth=2, label="posterior mean")
    top.plot(GRID, objective(GRID), "--", color=INK, linewidth=1.5, label="true function")
    top.plot(trials["x"], trials.value, "o", color=INK, markersize=6, label="trials")
    bottom.fill_between(GRID, improvement, color=GREEN, alpha=0.25, linewidth=0)
    bottom.plot(GRID, improvement, color=GREEN, linewidth=2)
    for axis in (top, bottom):
        axis.axvline(following, color=ORANGE, linewidth=1.5)
    top.plot(following, objective(following), "*", color=ORANGE, markersize=13, label="next trial")
    top.set_title(f"after {len(trials)} trials")
    return float(following)


def draw(study: hpo.Study) -> Figure:
    """A column of the picture for each step, after which its trial is run."""
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    tops, bottoms = figure.subplots(2, N_STEPS, sharex=True, height_ratios=(3, 1))
    for top, bottom in zip(tops, bottoms, strict=True):
        study.enqueue({"x": draw_step(top, bottom, study)})
        study.optimize(lambda trial: float(objective(trial["x"])), n_trials=1)
        bottom.set_xlabel("x")
    for axis in (*tops, *bottoms):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set(xlim=(-0.02, 1.02), xticks=[0, 0.5, 1], xticklabels=["0", "0.5", "1"])
    for top, bottom in zip(tops, bottoms, strict=True):
        top.set_ylim(-1.4, 1.4)
        top.grid(color="#E0E0E0")
        bottom.set_ylim(bottom=0)
        bottom.set_yticks([])  # each step's improvement has a scale of its own
    for top in tops[1:]:
        top.tick_params(labelleft=False)
    tops[0].set_ylabel("objective")
    bottoms[0].set_ylabel("expected\nimprovement")
    handles, labels = tops[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Start with a few trials, then draw the next steps."""
    parser = argparse.ArgumentParser(description="Draw Bayesian optimisation of a function of one number.")
    parser.add_argument("--out", type=Path, default=Path("one_dimension.png"), help="the picture to write")
    options = parser.parse_args(arguments)
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="sobol", seed=0)
    study.optimize(lambda trial: float(objective(trial["x"])), n_trials=4)
    with mpl.rc_context({"font.size": 11}):
        draw(study).savefig(options.out, dpi=140)
    print(f"best value {study.best_value:.4f} at x = {study.best_params['x']:.4f}; wrote {options.out}")


if __name__ == "__main__":
    main()
