"""Tune a convolutional network on scikit-learn's handwritten digits, beside random search.

    python examples/tune_digits.py

The default sampler and random search get the same number of trials, each for several seeds: one search
may be lucky. What they minimise is the cross-entropy on the validation set; the test set is seen only
by the winner of each search, trained again. A run repeats itself exactly, whatever ``--jobs`` is:
weights, batches and dropout follow from ``trial.seed``, suggestions from the study's seed.
Prints what was found and writes ``report.png`` and ``trials.csv``.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name PyTorch's own pages use

import hpo_core as hpo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes

torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
EPOCHS = 4
MAX_DEPTH = 4
RETRAININGS = 3  # of each winner, for a test accuracy that does not hang on one lucky start
SAMPLERS = {"auto": "#0072B2", "random": "#D55E00"}  # and their colours
WORST = 3.0  # losses are drawn no higher: guessing has 2.3, a diverging training millions


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
            "batch_size": hpo.Ordinal([64, 128, 256]),
            "dropout": hpo.Float(0.0, 0.6),
            "depth": hpo.Int(1, MAX_DEPTH, doc="convolutional layers"),
            **{
                f"width_{k}": hpo.Int(4, 32, log=True, when=depth >= k if k > 1 else None)
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
    """A finished search, and how its winner does on images that no choice was based on."""

    sampler: str
    seed: int
    trials: list[dict[str, Any]]
    best_value: float
    best_params: dict[str, Any]
    test: np.ndarray  # loss and accuracy, means over the retrainings
    seconds: float
    suggesting: float

    @property
    def losses(self) -> np.ndarray:
        """Validation loss of every trial, NaN where it failed."""
        return np.array([trial["value"] for trial in self.trials], dtype=np.float64)


def search(sampler: str, seed: int, n_trials: int) -> Result:
    """Search, then train the winner again on train + validation and judge it on the test set."""
    study = hpo.Study(search_space(), sampler=sampler, direction="minimize", seed=seed)
    started = time.perf_counter()
    study.optimize(objective, n_trials=n_trials)
    seconds = time.perf_counter() - started
    data = splits()
    winners = [train(study.best_params, data["train+validation"], seed=s) for s in range(RETRAININGS)]
    return Result(
        sampler,
        seed,
        [
            {"number": t.number, "state": t.state.name.lower(), "value": t.value, **t.notes, **t.params}
            for t in study.trials
        ],
        study.best_value,
        study.best_params,
        np.mean([evaluate(winner, data["test"]) for winner in winners], axis=0),
        seconds,
        study.suggest_seconds,
    )


def searches(seeds: Sequence[int], n_trials: int, jobs: int) -> Iterator[Result]:
    """All searches, in order, as they finish."""
    todo = [(sampler, seed, n_trials) for seed, sampler in itertools.product(seeds, SAMPLERS)]
    if jobs == 1:
        yield from itertools.starmap(search, todo)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(search, *zip(*todo, strict=True))


def print_summary(results: Sequence[Result]) -> None:
    """The best configuration of all, and the samplers side by side."""
    best = min(results, key=lambda result: result.best_value)
    print(f"\nbest configuration ({best.sampler}, seed {best.seed})")
    for key, value in best.best_params.items():
        print(f"  {key:<18}{value:.4g}" if isinstance(value, float) else f"  {key:<18}{value}")
    table = {
        "validation loss": ("{:.3f}", lambda result: result.best_value),
        "test loss": ("{:.3f}", lambda result: result.test[0]),
        "test accuracy": ("{:.1%}", lambda result: result.test[1]),
        "time in the sampler": ("{:.2%}", lambda result: result.suggesting / result.seconds),
    }
    print("\nmedian of the seeds (lowest to highest)")
    print(f"{'':<22}" + "".join(f"{sampler:<28}" for sampler in SAMPLERS))
    for label, (form, figure_of) in table.items():
        print(f"{label:<22}", end="")
        for sampler in SAMPLERS:
            figures = [figure_of(result) for result in results if result.sampler == sampler]
            low, middle, high = map(form.format, np.quantile(figures, [0, 0.5, 1]))
            print(f"{f'{middle} ({low} to {high})':<28}", end="")
        print()


def draw_best_so_far(axes: Axes, results: Sequence[Result]) -> None:
    """Each search pale, the medians of the seeds in front."""
    for sampler, colour in SAMPLERS.items():
        best = [np.fmin.accumulate(result.losses) for result in results if result.sampler == sampler]
        finished = np.arange(1, len(best[0]) + 1)
        axes.step(finished, np.minimum(best, WORST).T, where="post", color=colour, alpha=0.35, linewidth=0.9)
        median = np.minimum(np.nanmedian(best, axis=0), WORST)
        axes.step(finished, median, where="post", color=colour, linewidth=2.6, label=f"{sampler}, median")
    axes.plot([], [], color="#808080", alpha=0.6, linewidth=0.9, label="one search each")
    axes.set(xlim=(0, len(finished) + 1), xlabel="finished trials", ylabel="best validation loss so far")
    axes.set_title("how fast it gets better", loc="left", fontweight="bold")


def draw_learning_rates(axes: Axes, results: Sequence[Result]) -> None:
    """Where the trials of each sampler went."""
    for sampler, colour in SAMPLERS.items():
        chosen = [result for result in results if result.sampler == sampler]
        rates = [trial["lr"] for result in chosen for trial in result.trials]
        losses = np.minimum(np.concatenate([result.losses for result in chosen]), WORST)
        axes.plot(
            rates, losses, "o", color=colour, markersize=4, alpha=0.45, mew=0, label=f"{sampler}, a trial"
        )
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation loss")
    axes.set_title("where the trials went", loc="left", fontweight="bold")


def save_report(results: Sequence[Result], path: Path) -> None:
    """Best-so-far curves of all searches; learning rates of all trials."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        draw_best_so_far(left, results)
        draw_learning_rates(right, results)
        for axes in (left, right):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(labelleft=True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#E0E0E0", linewidth=0.7)
            axes.set_axisbelow(True)
            axes.legend(frameon=False, loc="upper right" if axes is left else "lower left")
        figure.savefig(path, dpi=160)


def save_trials(results: Sequence[Result], path: Path) -> None:
    """Every trial of every search; an inactive parameter is an empty cell."""
    rows = [
        {"sampler": result.sampler, "seed": result.seed, **trial}
        for result in results
        for trial in result.trials
    ]
    columns = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> None:
    """Run all searches and report."""
    parser = argparse.ArgumentParser(description="Tune a small network on handwritten digits.")
    parser.add_argument("--trials", type=int, default=40, help="of a search (default 40)")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each sampler (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="searches at the same time (default 2)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    print(
        f"{options.seeds} searches by each of {' and '.join(SAMPLERS)}: {options.trials} trials a search, "
        f"{EPOCHS} epochs a trial on {DEVICE},\n{options.jobs} searches at a time; takes a minute or two"
    )
    results = []
    for result in searches(range(options.seeds), options.trials, options.jobs):
        results.append(result)
        print(
            f"{result.sampler:<7} seed {result.seed}: validation loss {result.best_value:.3f}, "
            f"test accuracy {result.test[1]:.1%}, {result.seconds:.0f} s",
            flush=True,
        )
    print_summary(results)
    options.out.mkdir(parents=True, exist_ok=True)
    save_trials(results, options.out / "trials.csv")
    save_report(results, options.out / "report.png")
    print(f"\nwrote {options.out / 'report.png'} and {options.out / 'trials.csv'}")


if __name__ == "__main__":
    main()
