"""Compress a convolutional network trained on MNIST to a quarter of its multiply-accumulates.

    python examples/compress_cnn.py

The network is a table written down beforehand, trained once. What may be pruned and decomposed in it
is read off it; every trial compresses it within the budget, fine-tunes it for a few epochs on the images it
was trained on, and is judged by the cross-entropy on the validation set. The best is judged beside the
original on test images that no choice was based on.
Prints layers and costs, writes the trials as ``compress.csv``, with the picture ``compress.png``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mnist
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Compression, Counts, measure_counts, measure_latency

# Width and stride of 3 x 3 convolutions, each with batch norm and ReLU; then a hidden layer.
CONVOLUTIONS = ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1))
HIDDEN = 64
EPOCHS, LR, WEIGHT_DECAY = 8, 5e-3, 1e-2
FINE_TUNING = 3
SHARE = 0.25

IMAGE = torch.zeros(1, *mnist.SHAPE)


def network() -> nn.Sequential:
    """The network of the table."""
    layers: list[nn.Module] = []
    width = 1
    for wider, stride in CONVOLUTIONS:
        convolution = nn.Conv2d(width, wider, 3, stride=stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(wider), nn.ReLU()]
        width = wider
    layers += [nn.Flatten(), nn.Linear(width * 7 * 7, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, mnist.CLASSES)]
    return nn.Sequential(*layers)


def fine_tuned(compression: Compression, params: dict[str, Any], seed: int) -> nn.Module:
    """Compress the network and train it further."""
    model = compression.apply(params)
    mnist.train(model, mnist.splits()["train"], epochs=FINE_TUNING, lr=params["lr"],
                weight_decay=WEIGHT_DECAY, seed=seed)  # fmt: skip
    return model


def search(compression: Compression, trials: int, seed: int) -> hpo.Study:
    """Compress within the budget, fine-tune, validate."""

    def objective(trial: hpo.Trial) -> float:
        model = fine_tuned(compression, trial.params, trial.seed)
        loss, accuracy = mnist.evaluate(model, mnist.splits()["validation"])
        counts = compression.counts(trial.params)
        trial.note(validation_accuracy=accuracy, parameters=counts.params, macs=counts.macs)
        return loss

    space = hpo.Space(
        compression.parameters() | {"lr": hpo.Float(1e-3, 3e-2, log=True)},
        feasible=compression.budget(macs=SHARE * compression.before.macs),
    )
    study = hpo.Study(space, seed=seed)
    study.optimize(objective, n_trials=trials)
    return study


def layer_table(model: nn.Module) -> str:
    """Layers with weights and the shapes of their weights."""
    rows = [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    return "\n".join(
        f"  {name:<8}{type(layer).__name__:<8}{tuple(layer.weight.shape)}" for name, layer in rows
    )


def row(model: nn.Module, counts: Counts) -> dict[str, float]:
    """Costs and test accuracy of a model."""
    accuracy = mnist.evaluate(model, mnist.splits()["test"])[1]
    latency = measure_latency(model, IMAGE.to(mnist.device()))
    return {
        "parameters": counts.params,
        "MACs": counts.macs,
        "latency_ms": 1e3 * latency,
        "accuracy": accuracy,
    }


def save_picture(trials: pd.DataFrame, compression: Compression, accuracy: float, path: Path) -> None:
    """Validation accuracy of every trial against its share of the MACs, beside the original's."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        share = 100 * trials.macs / compression.before.macs
        dots = axes.scatter(share, 100 * trials.validation_accuracy, c=trials.index, cmap="viridis", s=30)
        figure.colorbar(dots, label="trial", ticks=MaxNLocator(integer=True))
        axes.axhline(100 * accuracy, color="C3", label="the network as trained, 100 % of MACs")
        axes.axhline(100 * accuracy - 1, color="C3", linestyle=":", label="one point less")
        axes.axvline(100 * SHARE, color="0.4", linestyle="--", label="budget")
        lowest = max(
            80, 100 * trials.validation_accuracy.min() - 1
        )  # a failed fine-tuning would squash the rest
        axes.set(xlabel="multiply-accumulates left [%]", ylabel="validation accuracy [%]")
        axes.set(xlim=(0, 100 * SHARE + 2), ylim=(lowest, 100))
        axes.legend(loc="lower left")
        figure.savefig(path, dpi=160)


def compress(trials: int, seed: int) -> tuple[pd.DataFrame, hpo.Study, Compression, nn.Module, nn.Module]:
    """Train, search, make the best again: the table of costs, and what it was made from."""
    torch.manual_seed(seed)
    original = network().to(mnist.device())
    training = {"epochs": EPOCHS, "lr": LR, "weight_decay": WEIGHT_DECAY, "seed": seed}
    mnist.train(original, mnist.splits()["train"], **training)
    compression = Compression(original, IMAGE.to(mnist.device()))
    study = search(compression, trials, seed)
    best = fine_tuned(compression, study.best_params, study.best_trial.seed)
    table = pd.DataFrame(
        {
            "original": row(original, compression.before),
            "compressed": row(best, measure_counts(best, IMAGE.to(mnist.device()))),
        }
    ).T
    return table, study, compression, original, best


def main(arguments: list[str] | None = None) -> None:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description="Compress a network trained on MNIST.")
    parser.add_argument("--trials", type=int, default=30, help="compressions to try (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of training and search (default 0)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first
    started = time.perf_counter()
    table, study, compression, original, best = compress(options.trials, options.seed)
    print(f"before\n{layer_table(original)}\nafter\n{layer_table(best)}\n")
    shown = {"parameters": "{:,.0f}".format, "MACs": "{:,.0f}".format, "accuracy": "{:.2%}".format}
    print(table.to_string(formatters=shown, float_format="{:.2f}".format))
    share = table.MACs["compressed"] / table.MACs["original"]
    lost = 100 * (table.accuracy["original"] - table.accuracy["compressed"])
    print(f"\n{share:.1%} of the MACs, {lost:+.2f} points of test accuracy lost; "
          f"{options.trials} trials, {time.perf_counter() - started:.0f} s")  # fmt: skip
    trials = pd.DataFrame([dict(trial.notes) | {"loss": trial.value} for trial in study.trials])
    options.out.mkdir(parents=True, exist_ok=True)
    trials.to_csv(options.out / "compress.csv", index_label="trial")
    accuracy = mnist.evaluate(original, mnist.splits()["validation"])[1]
    save_picture(trials, compression, accuracy, options.out / "compress.png")
    print(f"wrote {options.out / 'compress.png'} and {options.out / 'compress.csv'}")


if __name__ == "__main__":
    main()
