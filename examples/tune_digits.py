"""Tune a convolutional network on scikit-learn's handwritten digits, TPE beside random search.

    python examples/tune_digits.py

Both searches get the same number of trials. What they minimise is the cross-entropy on the
validation set; the test set is seen only by the two winners, after the search. A run repeats itself
exactly: weights, batches and dropout follow from ``trial.seed``, suggestions from the study's seed.
Prints what was found and writes ``report.png`` and ``trials.csv``.
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name PyTorch's own pages use

import hpo_core as hpo
from hpo_core.plots import plot_history, plot_parzen

if TYPE_CHECKING:
    from collections.abc import Mapping

torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
EPOCHS = 6
MAX_DEPTH = 4
RETRAININGS = 5  # of each winner, for a test accuracy that does not hang on one lucky seed


def search_space() -> hpo.Space:
    """Everything about the network and its training that the study may choose."""
    depth = hpo.param("depth")
    adam = {
        "one_minus_beta1": hpo.Float(0.01, 1.0, log=True, doc="1 is no momentum"),
        "one_minus_beta2": hpo.Float(1e-4, 0.5, log=True),
    }
    return hpo.Space(
        {
            "lr": hpo.Float(1e-5, 1.0, log=True),
            "batch_size": hpo.Ordinal([16, 32, 64, 128, 256]),
            "dropout": hpo.Float(0.0, 0.6),
            "depth": hpo.Int(1, MAX_DEPTH, doc="convolutional layers"),
            **{
                f"width_{k}": hpo.Int(4, 64, log=True, when=depth >= k if k > 1 else None)
                for k in range(1, MAX_DEPTH + 1)
            },
            "optimizer": hpo.Categorical(
                {
                    "sgd": {
                        "momentum": hpo.Float(0.1, 0.99),
                        "nesterov": hpo.Categorical([False, True]),
                    },
                    "adam": adam,
                    "adamw": {**adam, "weight_decay": hpo.Float(1e-4, 1.0, log=True)},
                }
            ),
        }
    )


class Split(NamedTuple):
    """Images (n, 1, 8, 8) in [0, 1] and their digits (n,)."""

    images: torch.Tensor
    digits: torch.Tensor


@functools.cache
def splits() -> dict[str, Split]:
    """60 % of the 1,797 images to train on, 20 % to choose by, 20 % to judge the choice."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32, device=DEVICE)
    labels = torch.tensor(digits, dtype=torch.long, device=DEVICE)
    rest, test = train_test_split(np.arange(len(digits)), test_size=0.2, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    rows = {"train": train, "validation": validation, "test": test, "train+validation": rest}
    return {name: Split(images[index], labels[index]) for name, index in rows.items()}


def build_network(params: Mapping[str, Any]) -> nn.Sequential:
    """Convolutions with ReLU; pooled once, after the first, so that deep networks stay cheap."""
    layers: list[nn.Module] = []
    channels = 1
    for k in range(1, params["depth"] + 1):
        width = params[f"width_{k}"]
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        if k == 1:
            layers.append(nn.MaxPool2d(2))
        channels = width
    layers += [nn.Flatten(), nn.Dropout(params["dropout"]), nn.Linear(channels * 4 * 4, 10)]
    return nn.Sequential(*layers).to(DEVICE)


def build_optimizer(network: nn.Module, params: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The chosen optimizer; ``params`` holds the parameters of that one only."""
    weights, lr = network.parameters(), params["lr"]
    if params["optimizer"] == "sgd":
        return torch.optim.SGD(weights, lr=lr, momentum=params["momentum"], nesterov=params["nesterov"])
    betas = (1 - params["one_minus_beta1"], 1 - params["one_minus_beta2"])
    if params["optimizer"] == "adam":
        return torch.optim.Adam(weights, lr=lr, betas=betas)
    return torch.optim.AdamW(weights, lr=lr, betas=betas, weight_decay=params["weight_decay"])


def train(params: Mapping[str, Any], split: Split, *, seed: int) -> nn.Module:
    """Train one configuration for ``EPOCHS`` epochs."""
    torch.manual_seed(seed)
    network = build_network(params)
    optimizer = build_optimizer(network, params)
    for _ in range(EPOCHS):
        order = torch.randperm(len(split.digits), device=DEVICE)
        images = split.images[order].split(params["batch_size"])
        digits = split.digits[order].split(params["batch_size"])
        for batch, target in zip(images, digits, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(network(batch), target).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def evaluate(network: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits = network(split.images)
    loss = F.cross_entropy(logits, split.digits)
    accuracy = (logits.argmax(1) == split.digits).float().mean()
    return loss.item(), accuracy.item()


def objective(trial: hpo.Trial) -> float:
    """Validation loss of one configuration. A diverged training is NaN: a failed trial, learnt from."""
    network = train(trial.params, splits()["train"], seed=trial.seed)
    loss, accuracy = evaluate(network, splits()["validation"])
    trial.note(validation_accuracy=accuracy)
    return loss


class Result(NamedTuple):
    """A finished search and how its winner does on images that no choice was based on."""

    study: hpo.Study
    seconds: float
    test: np.ndarray  # loss and accuracy, a row per retraining


def search(sampler: str, *, n_trials: int, seed: int, n_jobs: int) -> Result:
    """Search, then retrain the winner on train + validation and judge it on the test set."""
    study = hpo.Study(search_space(), sampler=sampler, direction="minimize", seed=seed)
    started = time.perf_counter()
    study.optimize(objective, n_trials=n_trials, n_jobs=n_jobs, progress=True)
    seconds = time.perf_counter() - started
    data = splits()
    winners = (train(study.best_params, data["train+validation"], seed=s) for s in range(RETRAININGS))
    return Result(study, seconds, np.array([evaluate(winner, data["test"]) for winner in winners]))


def print_summary(results: Mapping[str, Result]) -> None:
    """The best configuration of the first search, and the searches side by side."""
    name, first = next(iter(results.items()))
    print(f"\nbest configuration ({name}, trial {first.study.best_trial.number})")
    for key, value in first.study.best_params.items():
        print(f"  {key:<18}{value:.4g}" if isinstance(value, float) else f"  {key:<18}{value}")
    table = {
        "validation loss": lambda r: f"{r.study.best_value:.4f}",
        "validation accuracy": lambda r: f"{r.study.best_trial.notes['validation_accuracy']:.1%}",
        f"test loss, mean of {RETRAININGS}": lambda r: f"{r.test[:, 0].mean():.4f}",
        f"test accuracy, mean of {RETRAININGS}": lambda r: f"{r.test[:, 1].mean():.1%}",
        "  lowest and highest": lambda r: f"{r.test[:, 1].min():.1%} {r.test[:, 1].max():.1%}",
        "trials/s": lambda r: f"{len(r.study.trials) / r.seconds:.2f}",
        "time in the sampler": lambda r: f"{r.study.suggest_seconds / r.seconds:.3%}",
    }
    print("\n" + f"{'':<26}" + "".join(f"{name:>16}" for name in results))
    for label, cell in table.items():
        print(f"{label:<26}" + "".join(f"{cell(result):>16}" for result in results.values()))


def save_report(results: Mapping[str, Result], path: Path) -> None:
    """Best-so-far curves of the searches; what the TPE came to believe about the learning rate."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        axes = figure.subplot_mosaic([["best", "densities"], ["best", "ratio"]], height_ratios=(2, 1))
        plot_history({name: result.study for name, result in results.items()}, ax=axes["best"])
        axes["best"].set_ylabel("validation loss")
        plot_parzen(results["tpe"].study, "lr", axes=(axes["densities"], axes["ratio"]))
        figure.savefig(path, dpi=160)


def save_trials(results: Mapping[str, Result], path: Path) -> None:
    """Every trial of every search."""
    frames = {name: result.study.to_pandas() for name, result in results.items()}
    pd.concat(frames, names=["sampler"]).to_csv(path)


def main(arguments: list[str] | None = None) -> None:
    """Run both searches and report."""
    parser = argparse.ArgumentParser(description="Tune a small network on handwritten digits.")
    parser.add_argument("--trials", type=int, default=60, help="per search (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of both studies (default 0)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes; more than 1 is not exactly repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    print(f"{options.trials} trials each, {EPOCHS} epochs a trial, on {DEVICE}")
    results = {}
    for sampler in ("tpe", "random"):
        print(f"\n{sampler}", flush=True)
        results[sampler] = search(sampler, n_trials=options.trials, seed=options.seed, n_jobs=options.jobs)
    print_summary(results)
    options.out.mkdir(parents=True, exist_ok=True)
    save_trials(results, options.out / "trials.csv")
    save_report(results, options.out / "report.png")
    print(f"\nwrote {options.out / 'report.png'} and {options.out / 'trials.csv'}")


if __name__ == "__main__":
    main()
