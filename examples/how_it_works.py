"""Two pictures of docs/how-it-works.md: TPE's densities, and the learning curves of freeze-thaw.

    python examples/how_it_works.py

Writes ``tpe_densities.png`` and ``freeze_thaw.png``.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

import hpo_core as hpo
from hpo_core import plots

BLUE, GREY = "#0072B2", "#909090"
EPOCHS = 32


def plateau(trial: Any) -> float:
    """Stands in for a validation loss: a wide valley of the learning rate, a narrow one, and two others."""
    exponent = math.log10(trial["lr"])
    wide, narrow = math.exp(-(((exponent + 1.4) / 0.7) ** 2)), math.exp(-(((exponent + 3.8) / 0.4) ** 2))
    others = 0.02 * (trial["layers"] - 4) ** 2 + (trial["dropout"] - 0.2) ** 2
    return 1.0 - 0.6 * wide - 0.35 * narrow + others


def train(trial: Any) -> float:
    """Stands in for a training of 32 epochs that comes near to its plateau, slowly with few layers."""
    goal, rate = plateau(trial), 0.1 + 0.05 * trial["layers"]
    loss = 2.3
    for epoch in trial.steps(EPOCHS):
        loss = goal + (2.3 - goal) * (1.0 - rate) ** (epoch + 1)
        with trial.save_checkpoint(epoch):  # empty: the loss follows from the epoch
            pass
        trial.report(epoch, loss)
        if trial.should_stop():
            break
    return loss


def search_space() -> dict[str, Any]:
    """The three parameters."""
    return {"lr": hpo.Float(1e-5, 1.0, log=True), "layers": hpo.Int(1, 6), "dropout": hpo.Float(0.0, 0.6)}


def draw_densities(n_trials: int) -> Figure:
    """The trials of a search, TPE's two densities of the learning rate, and their ratio."""
    study = hpo.Study(search_space(), sampler="tpe", seed=0)
    study.optimize(plateau, n_trials=n_trials)
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, middle, bottom = figure.subplots(3, sharex=True, height_ratios=(2, 2, 1.3))
    good = study.trials.value.argsort()[: math.ceil(0.1 * n_trials)]
    top.plot(study.trials["lr"], study.trials.value, "o", color=GREY, markersize=5, label="the rest")
    top.plot(study.trials["lr"][good], study.trials.value[good], "o", color=BLUE, label="good trials")
    top.set(ylabel="loss", title=f"after {n_trials} trials")
    top.legend(frameon=False)
    top.spines[["top", "right"]].set_visible(False)
    plots.plot_parzen(study, "lr", axes=(middle, bottom))
    return figure


def draw_curves(n_trials: int) -> Figure:
    """The learning curves of a search by freeze-thaw."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    with tempfile.TemporaryDirectory() as folder:
        study = hpo.Study(search_space(), sampler="gp", scheduler="freeze-thaw", checkpoints=folder, seed=0)
        study.optimize(train, n_trials=n_trials)
        plots.plot_curves(study, ax=figure.subplots())
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description="Draw two pictures of docs/how-it-works.md.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to")
    parser.add_argument("--trials", type=int, default=50)
    options = parser.parse_args(arguments)
    with mpl.rc_context({"font.size": 11}):
        draw_densities(options.trials).savefig(options.out / "tpe_densities.png", dpi=110)
        draw_curves(options.trials).savefig(options.out / "freeze_thaw.png", dpi=110)
    print(f"wrote tpe_densities.png and freeze_thaw.png to {options.out.resolve().name}")


if __name__ == "__main__":
    main()
