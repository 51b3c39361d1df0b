"""Tune a convolutional network on scikit-learn's digits with ``scheduler="asha"``, beside full trainings.

    python examples/asha_digits.py

Both searches have the same space, sampler, seed and time; one trains every configuration for 27
epochs, the other stops those that are not among the best third after 1, 3 and 9. Time is that of one core:
other work on the machine does not count. What they minimise is the cross-entropy on the validation set at the
best epoch; the test set is seen only by the winners. Prints what was found and writes ``asha_digits.png``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Training, TrainingObjective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first
hpo.set_num_threads(1)

EPOCHS = 27
MAX_DEPTH = 4
SCHEDULERS: dict[str, str | None] = {"asha": "asha", "all epochs": None}
COLOURS = {"asha": "#0072B2", "all epochs": "#D55E00"}


def search_space() -> hpo.Space:
    """The network and its training."""
    depth = hpo.param("depth")
    betas = {"beta1": hpo.Float(0.5, 0.99), "beta2": hpo.Float(0.9, 0.9999)}
    return hpo.Space(
        {
            "lr": hpo.Float(1e-5, 1.0, log=True),
            "batch_size": hpo.Ordinal([64, 128, 256]),
            "dropout": hpo.Float(0.0, 0.6),
            "label_smoothing": hpo.Float(0.0, 0.2),
            "depth": hpo.Int(1, MAX_DEPTH, doc="convolutional layers"),
            **{
                f"width_{k}": hpo.Int(4, 32, log=True, when=depth >= k if k > 1 else None)
                for k in range(1, MAX_DEPTH + 1)
            },
            "optimizer": hpo.Categorical(
                {
                    "sgd": {"momentum": hpo.Float(0.1, 0.99)},
                    "adam": betas,
                    "adamw": {**betas, "weight_decay": hpo.Float(1e-4, 1.0, log=True)},
                }
            ),
        }
    )


def build(params: Mapping[str, Any]) -> nn.Module:
    """Convolutions with ReLU; pooled once, after the first, so that deep networks stay cheap."""
    layers: list[nn.Module] = []
    channels = 1
    for k in range(1, params["depth"] + 1):
        width = params[f"width_{k}"]
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        if k == 1:
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(params["dropout"]), nn.Linear(channels * 16, 10))


def splits() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """60 % of the 1,797 images to train on, 20 % to choose by, 20 % to judge the choice."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    labels = torch.tensor(digits)
    rest, test = train_test_split(np.arange(len(digits)), test_size=0.2, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    rows = {"train": train, "validation": validation, "test": test}
    return {name: (images[index], labels[index]) for name, index in rows.items()}


class Result(NamedTuple):
    """A finished search, and how its winner does on images that no choice was based on."""

    trials: int
    completed: int
    epochs: int
    seconds: float
    best: list[tuple[float, float]]  # seconds and validation loss, whenever that got better
    accuracy: float

    @property
    def loss(self) -> float:
        """Validation loss of the winner."""
        return self.best[-1][1]


def search(name: str, seed: int, seconds: float) -> Result:
    """Search for some seconds and judge the winner: the weights of its best epoch."""
    data = splits()
    training = Training(epochs=EPOCHS)
    objective = TrainingObjective(build, data["train"], data["validation"], training=training, device="cpu")
    study = hpo.Study(search_space(), scheduler=SCHEDULERS[name], seed=seed)
    best: list[tuple[float, float]] = []

    def watch(study: hpo.Study, trial: hpo.Trial) -> None:
        taken = time.process_time() - started
        if trial.state.name == "COMPLETE" and (not best or trial.value < best[-1][1]):
            best.append((taken, trial.value))
        if taken >= seconds and best:
            study.stop()

    started = time.process_time()
    study.optimize(objective, n_trials=100_000, callbacks=[watch])
    taken = time.process_time() - started
    winner = study.best_trial
    network = objective.train(winner.params, seed=winner.seed).model(build)
    images, digits = data["test"]
    with torch.no_grad():
        accuracy = (network(images).argmax(1) == digits).float().mean().item()
    completed = len(study.trials.where("complete"))
    return Result(len(study.trials), completed, len(study.history.reports.value), taken, best, accuracy)


def searches(seeds: Sequence[int], seconds: float) -> dict[str, list[Result]]:
    """All searches by name, a result for each seed; those of a seed at the same time."""
    results: dict[str, list[Result]] = {name: [] for name in SCHEDULERS}
    with ProcessPoolExecutor(len(SCHEDULERS), mp_context=multiprocessing.get_context("spawn")) as pool:
        for seed in seeds:
            pair = {name: pool.submit(search, name, seed, seconds) for name in SCHEDULERS}
            for name, future in pair.items():
                results[name].append(future.result())
            losses = ", ".join(f"{name} {found[-1].loss:.4f}" for name, found in results.items())
            print(f"seed {seed}: {losses}", flush=True)
    return results


def print_summary(results: Mapping[str, Sequence[Result]]) -> None:
    """The searches side by side, a column for each seed."""
    lines = {
        "configurations": lambda r: f"{r.trials}",
        "  trained to the end": lambda r: f"{r.completed}",
        "epochs": lambda r: f"{r.epochs:,}",
        "seconds": lambda r: f"{r.seconds:.0f}",
        "validation loss": lambda r: f"{r.loss:.4f}",
        "test accuracy": lambda r: f"{r.accuracy:.1%}",
    }
    print("\na column for each seed")
    for label, cell in lines.items():
        for name, found in results.items():
            print(f"{label:<22}{name:<12}" + "".join(f"{cell(each):>9}" for each in found))
    losses = {name: np.array([each.loss for each in found]) for name, found in results.items()}
    asha, full = (losses[name] for name in SCHEDULERS)
    print(f"median validation loss: asha {np.median(asha):.4f}, all epochs {np.median(full):.4f}")
    print(f"asha is ahead on {(asha < full).sum()} of {len(asha)} seeds")


def draw(ax: Axes, results: Mapping[str, Sequence[Result]], seconds: float) -> None:
    """Best loss so far against time: every search pale, the median in front."""
    grid = np.linspace(0, seconds, 400)
    for name, found in results.items():
        curves = []
        for each in found:
            times, losses = np.array(each.best).T
            at = np.searchsorted(times, grid, side="right")
            curves.append(np.where(at > 0, losses[np.maximum(at, 1) - 1], np.nan))
        ax.step(grid, np.transpose(curves), where="post", color=COLOURS[name], alpha=0.3, linewidth=0.9)
        # Not there until every search has a result.
        ax.step(grid, np.median(curves, axis=0), where="post", color=COLOURS[name], linewidth=2.6, label=name)
    ax.set(
        yscale="log", xlim=(0, seconds), xlabel="seconds on one core", ylabel="best validation loss so far"
    )
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#E0E0E0", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.legend(frameon=False)


def save_picture(results: Mapping[str, Sequence[Result]], seconds: float, path: Path) -> None:
    """Write the picture to a file."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        draw(figure.subplots(), results, seconds)
        figure.savefig(path, dpi=140)


def main(arguments: list[str] | None = None) -> None:
    """Run all searches and report."""
    parser = argparse.ArgumentParser(description="Tune a small network with a scheduler and without.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a search (default 60)")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each kind (default 3)")
    parser.add_argument("--out", type=Path, default=Path("asha_digits.png"), help="the picture to write")
    options = parser.parse_args(arguments)
    results = searches(range(options.seeds), options.seconds)
    print_summary(results)
    save_picture(results, options.seconds, options.out)
    print(f"\nwrote {options.out}")


if __name__ == "__main__":
    main()
