"""Compress a convolutional network trained on MNIST: the front of accuracy against multiply-accumulates.

    python examples/compress_cnn.py

The network is a table written down beforehand, trained once. What may be pruned and decomposed in it
is read off it; every trial compresses it to at most half of its multiply-accumulates, fine-tunes it for a
few epochs on the images it was trained on, and is judged by the accuracy on the validation set. The
multiply-accumulates are known without a trial. They count as they are, not by their logarithm: time
is about proportional to them. From the front, the most accurate within a quarter, an eighth and a
sixteenth are judged beside the original on test images that no choice was based on.
Prints layers and costs, writes the trials as ``compress.csv``, with the picture ``compress.png``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mnist
import numpy as np
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
LARGEST = 1 / 2  # share of the multiply-accumulates
SHARES = (1 / 4, 1 / 8, 1 / 16)
LEAST_ACCURACY = 0.9

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
    """Compress, fine-tune, validate."""

    def objective(trial: hpo.Trial) -> dict[str, float]:
        model = fine_tuned(compression, trial.params, trial.seed)
        loss, accuracy = mnist.evaluate(model, mnist.splits()["validation"])
        trial.note(validation_loss=loss, parameters=compression.counts(trial.params).params)
        return {"accuracy": accuracy}

    largest = LARGEST * compression.before.macs
    study = hpo.Study(
        hpo.Space(
            compression.parameters() | {"lr": hpo.Float(1e-3, 3e-2, log=True)},
            feasible=compression.budget(macs=largest),
        ),
        metrics={
            "accuracy": hpo.Maximize(reference=LEAST_ACCURACY),
            "macs": hpo.Minimize(reference=largest, known=compression.counts_of("macs")),
        },
        seed=seed,
    )
    study.optimize(objective, n_trials=trials)
    return study


def chosen(study: hpo.Study, macs: float) -> hpo.Trial | None:
    """The most accurate trial of the front within a budget, if there is one."""
    front = study.front()
    within = front[front.values["macs"] <= macs]
    return within[int(np.argmax(within.values["accuracy"]))] if len(within) else None


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


def save_picture(study: hpo.Study, compression: Compression, original: nn.Module, path: Path) -> None:
    """Validation accuracy of every trial against its share of the MACs, and the front."""
    accuracy = mnist.evaluate(original, mnist.splits()["validation"])[1]
    trials, front = study.trials, study.front()
    front = front[np.argsort(front.values["macs"])]
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        share, best = (100 * batch.values["macs"] / compression.before.macs for batch in (trials, front))
        dots = axes.scatter(
            share, 100 * trials.values["accuracy"], c=trials.number, cmap="viridis", s=30, zorder=2
        )
        figure.colorbar(dots, label="trial", ticks=MaxNLocator(integer=True))
        stairs = 100 * np.append(front.values["accuracy"], front.values["accuracy"].max())
        axes.plot(
            [*best, 100 * LARGEST], stairs, color="0.3", drawstyle="steps-post", zorder=1, label="front"
        )
        axes.axhline(100 * accuracy, color="C3", label="the network as trained, 100 % of MACs")
        axes.axhline(100 * accuracy - 1, color="C3", linestyle=":", label="one point less")
        axes.set(xlabel="multiply-accumulates left [%]", ylabel="validation accuracy [%]")
        # A failed fine-tuning would squash the rest.
        axes.set(xlim=(0, 100 * LARGEST), ylim=(100 * LEAST_ACCURACY, 100))
        axes.legend(loc="lower right")
        figure.savefig(path, dpi=160)


def compress(trials: int, seed: int) -> tuple[pd.DataFrame, hpo.Study, Compression, dict[str, nn.Module]]:
    """Train the network, search its compressions, and judge the choices beside it, a row each."""
    torch.manual_seed(seed)
    original = network().to(mnist.device())
    training = {"epochs": EPOCHS, "lr": LR, "weight_decay": WEIGHT_DECAY, "seed": seed}
    mnist.train(original, mnist.splits()["train"], **training)
    compression = Compression(original, IMAGE.to(mnist.device()))
    study = search(compression, trials, seed)
    models = {"original": original}
    for share in SHARES:
        trial = chosen(study, share * compression.before.macs)
        if trial is not None:
            models[f"within {share:.2%}"] = fine_tuned(compression, trial.params, trial.seed)
    image = IMAGE.to(mnist.device())
    table = pd.DataFrame({name: row(model, measure_counts(model, image)) for name, model in models.items()}).T
    return table, study, compression, models


def main(arguments: list[str] | None = None) -> None:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description="Compress a network trained on MNIST.")
    parser.add_argument("--trials", type=int, default=30, help="compressions to try (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of training and search (default 0)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first
    started = time.perf_counter()
    table, study, compression, models = compress(options.trials, options.seed)
    print("\n".join(f"{name}\n{layer_table(model)}" for name, model in models.items()))
    table["share"] = table.MACs / table.MACs["original"]
    shown = {"parameters": "{:,.0f}".format, "MACs": "{:,.0f}".format}
    shown |= dict.fromkeys(("accuracy", "share"), "{:.2%}".format)
    print("\n" + table.to_string(formatters=shown, float_format="{:.2f}".format))
    seconds = time.perf_counter() - started
    print(f"\n{len(study.front())} of {options.trials} trials are on the front; {seconds:.0f} s")
    trials = pd.DataFrame([dict(trial.notes) | trial.values for trial in study.trials])
    options.out.mkdir(parents=True, exist_ok=True)
    trials.to_csv(options.out / "compress.csv", index_label="trial")
    save_picture(study, compression, models["original"], options.out / "compress.png")
    print(f"wrote {options.out / 'compress.png'} and {options.out / 'compress.csv'}")


if __name__ == "__main__":
    main()
