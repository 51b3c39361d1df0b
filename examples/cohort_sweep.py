"""Train 1,024 small networks on scikit-learn's digits, 256 at a time.

    python examples/cohort_sweep.py

A batch of suggestions is trained in cohorts: networks of one architecture as one stack of weights, each
member with its own optimizer settings, dropout and label smoothing. The same trainings one after another, in
an ordinary PyTorch loop, are timed beside it on a few of the configurations. Then longer trainings of the
narrower network are searched with ``scheduler="asha"`` and without, for equally long: cohorts shrink as the
scheduler stops their members. Prints what was found and writes ``cohort_sweep.png``.
"""

from __future__ import annotations

import argparse
import time
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
from torch.nn import functional as F  # noqa: N812 - the name PyTorch's own pages use

import hpo_core as hpo
from hpo_core.nn import Training, TrainingObjective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

torch.set_num_threads(1)  # both sides, so that the figures are those of one core

BATCH = 256
EPOCHS = 5
WIDTHS = (32, 128)  # of the hidden layer; the sweep is of the first
PLAIN_TRAININGS = 8  # timed before the cohorts, and as many after
LONG_EPOCHS = 27  # of the sweeps with a scheduler and without
# Batches of these: a cohort of which a ninth is left should still be large enough to fill a processor.
SCHEDULERS: dict[str, tuple[str | None, int]] = {"all epochs": (None, BATCH), "asha": ("asha", 4 * BATCH)}

# Okabe and Ito's colours, told apart with any colour vision.
COLOURS = {"sgd": "#D55E00", "adam": "#0072B2"}


def search_space(width: int) -> hpo.Space:
    """Everything about the training; the architecture is fixed."""
    return hpo.Space(
        {
            "width": width,
            "lr": hpo.Float(1e-4, 1.0, log=True),
            "optimizer": hpo.Categorical(
                {
                    "sgd": {"momentum": hpo.Float(0.0, 0.99)},
                    "adam": {"beta1": hpo.Float(0.5, 0.99), "beta2": hpo.Float(0.9, 0.9999)},
                }
            ),
            "weight_decay": hpo.Float(1e-6, 1e-1, log=True),
            "dropout": hpo.Float(0.0, 0.5),
            "label_smoothing": hpo.Float(0.0, 0.2),
        }
    )


def build(params: Mapping[str, Any]) -> nn.Module:
    """One hidden layer."""
    width = params["width"]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(params["dropout"]), nn.Linear(width, 10))


def splits() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """60 % of the 1,797 images to train on, 20 % to choose by, 20 % to judge the choice."""
    pixels, digits = load_digits(return_X_y=True)
    images, labels = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits)
    rest, test = train_test_split(np.arange(len(digits)), test_size=0.2, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    rows = {"train": train, "validation": validation, "test": test}
    return {name: (images[index], labels[index]) for name, index in rows.items()}


def train_plainly(params: Mapping[str, Any], data: Mapping[str, Any], *, seed: int) -> float:
    """Best validation loss of one configuration, trained as PyTorch's tutorials do it."""
    torch.manual_seed(seed)
    network = build(params)
    weights, lr, decay = network.parameters(), params["lr"], params["weight_decay"]
    if params["optimizer"] == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            weights, lr=lr, momentum=params["momentum"], weight_decay=decay
        )
    else:
        betas = (params["beta1"], params["beta2"])
        optimizer = torch.optim.Adam(weights, lr=lr, betas=betas, weight_decay=decay)
    images, digits = data["train"]
    losses = []
    for _ in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            outputs = network(images[rows])
            F.cross_entropy(outputs, digits[rows], label_smoothing=params["label_smoothing"]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            losses.append(F.cross_entropy(network(data["validation"][0]), data["validation"][1]).item())
    return min(losses)


class Sweep(NamedTuple):
    """A finished sweep and how long it took, beside the plain loop on some of its configurations."""

    study: hpo.Study
    objective: TrainingObjective
    seconds: float
    plain_rate: float  # trainings per second

    @property
    def rate(self) -> float:
        """Trainings per second, suggestions included."""
        return len(self.study.trials) / self.seconds


def time_plain(study: hpo.Study, data: Mapping[str, Any], n: int) -> float:
    """Seconds per training of the plain loop, on configurations drawn from the space."""
    drawn = hpo.Study(study.space, sampler="random", seed=1).ask(n)
    started = time.perf_counter()
    for trial in drawn:
        train_plainly(trial.params, data, seed=trial.seed)
    return (time.perf_counter() - started) / n


def sweep(width: int, n_trials: int, *, seed: int) -> Sweep:
    """Search, with the plain loop timed before and after."""
    data = splits()
    training = Training(batch_size=32, epochs=EPOCHS)
    objective = TrainingObjective(build, data["train"], data["validation"], training=training, device="cpu")
    study = hpo.Study(search_space(width), seed=seed)
    time_plain(study, data, 1)  # the first training loads parts of PyTorch
    plain = [time_plain(study, data, PLAIN_TRAININGS)]
    started = time.perf_counter()
    study.optimize(objective, n_trials=n_trials, batch_size=BATCH, vectorized=True)
    seconds = time.perf_counter() - started
    plain.append(time_plain(study, data, PLAIN_TRAININGS))
    return Sweep(study, objective, seconds, float(1 / np.mean(plain)))


class Race(NamedTuple):
    """A sweep of long trainings that had a given time."""

    study: hpo.Study
    objective: TrainingObjective
    seconds: float  # of one core


def race(scheduler: str | None, batch: int, seconds: float, *, seed: int) -> Race:
    """Search until batches have taken so many seconds of a core; other work on the machine does not count."""
    data = splits()
    training = Training(batch_size=32, epochs=LONG_EPOCHS)
    objective = TrainingObjective(build, data["train"], data["validation"], training=training, device="cpu")
    study = hpo.Study(search_space(WIDTHS[0]), scheduler=scheduler, seed=seed)
    started = time.process_time()
    while time.process_time() - started < seconds:
        study.optimize(objective, n_trials=batch, batch_size=batch, vectorized=True)
    return Race(study, objective, time.process_time() - started)


def print_races(races: Mapping[str, Sequence[Race]]) -> None:
    """What the scheduler changes, a column per seed."""
    lines = {
        "configurations": lambda r: f"{len(r.study.trials):,}",
        "seconds of one core": lambda r: f"{r.seconds:.0f}",
        "configurations/s": lambda r: f"{len(r.study.trials) / r.seconds:.1f}",
        "epochs trained": lambda r: f"{len(r.study.history.reports.value):,}",
        "best validation loss": lambda r: f"{r.study.best_value:.4f}",
        "test accuracy, retrained": lambda r: f"{test_accuracy(r):.1%}",
    }
    print(f"\n64-{WIDTHS[0]}-10, {LONG_EPOCHS} epochs, a column for each seed")
    for label, cell in lines.items():
        for name, runs in races.items():
            print(f"{label:<26}{name:<12}" + "".join(f"{cell(each):>10}" for each in runs))


def test_accuracy(result: Sweep | Race) -> float:
    """Accuracy of the best network on images that no choice was based on."""
    best = result.study.best_trial
    network = result.objective.train(best.params, seed=best.seed).model(build)
    images, digits = splits()["test"]
    with torch.no_grad():
        return (network(images).argmax(1) == digits).float().mean().item()


def print_summary(results: Mapping[int, Sweep]) -> None:
    """The best configuration, and what the cohorts cost."""
    first = results[WIDTHS[0]]
    print(f"best configuration of 64-{WIDTHS[0]}-10 (trial {first.study.best_trial.number})")
    for key, value in first.study.best_params.items():
        print(f"  {key:<18}{value:.4g}" if isinstance(value, float) else f"  {key:<18}{value}")
    table = {
        "trainings": lambda r: f"{len(r.study.trials):,}",
        "  failed (diverged)": lambda r: f"{len(r.study.trials.where('failed'))}",
        "best validation loss": lambda r: f"{r.study.best_value:.4f}",
        "test accuracy, retrained": lambda r: f"{test_accuracy(r):.1%}",
        "seconds": lambda r: f"{r.seconds:.1f}",
        "trainings/s in cohorts": lambda r: f"{r.rate:.1f}",
        "trainings/s, plain loop": lambda r: f"{r.plain_rate:.1f}",
        "times as many": lambda r: f"{r.rate / r.plain_rate:.1f}",
        "time in the sampler": lambda r: f"{r.study.suggest_seconds / r.seconds:.2%}",
    }
    print("\n" + f"{'':<26}" + "".join(f"{f'64-{width}-10':>12}" for width in results))
    for label, cell in table.items():
        print(f"{label:<26}" + "".join(f"{cell(result):>12}" for result in results.values()))


def draw_trials(ax: Axes, study: hpo.Study) -> None:
    """Learning rate against validation loss, a point per training."""
    trials = study.trials.where("complete")
    for name, colour in COLOURS.items():
        chosen = trials[trials["optimizer"] == name]
        ax.plot(chosen["lr"], chosen.value, "o", color=colour, markersize=4, alpha=0.45, mew=0, label=name)
    best = study.best_trial
    ax.plot(best["lr"], best.value, "*", color="#404040", markersize=13, label="best")
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="validation loss, best epoch")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title(f"{len(study.trials):,} trainings of 64-{WIDTHS[0]}-10", loc="left")
    ax.legend(frameon=False, loc="lower left")


def draw_rates(ax: Axes, results: Mapping[int, Sweep]) -> None:
    """Trainings per second on one core, in cohorts and in the plain loop."""
    at = np.arange(len(results))
    rates = {
        "cohorts": ([result.rate for result in results.values()], "#009E73"),
        "plain loop": ([result.plain_rate for result in results.values()], "#999999"),
    }
    for shift, (label, (column, colour)) in zip((-0.2, 0.2), rates.items(), strict=True):
        bars = ax.bar(at + shift, column, 0.38, color=colour, label=label)
        ax.bar_label(bars, fmt="%.1f", padding=2)
    ax.set_xticks(at, [f"64-{width}-10" for width in results])
    ax.set(ylabel="trainings per second, one core")
    ax.margins(y=0.1)
    ax.set_title(f"{EPOCHS} epochs of batches of 32", loc="left")
    ax.legend(frameon=False)


def save_picture(results: Mapping[int, Sweep], path: Path) -> None:
    """Write both panels to a file."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_trials(left, results[WIDTHS[0]].study)
        draw_rates(right, results)
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(color="#E0E0E0", axis="y")
            ax.set_axisbelow(True)
        figure.savefig(path, dpi=140)


def main(arguments: list[str] | None = None) -> None:
    """Run the sweep, time the wider network beside it, and report."""
    parser = argparse.ArgumentParser(description="Train a thousand small networks in cohorts.")
    parser.add_argument("--trials", type=int, default=1024, help="trainings of the sweep (default 1024)")
    parser.add_argument("--seed", type=int, default=0, help="of the study (default 0)")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each long sweep (default 40)")
    parser.add_argument("--seeds", type=int, default=1, help="long sweeps of each kind (default 1)")
    parser.add_argument("--out", type=Path, default=Path("cohort_sweep.png"), help="the picture to write")
    options = parser.parse_args(arguments)
    trials = dict(zip(WIDTHS, (options.trials, min(options.trials, BATCH)), strict=True))
    results = {width: sweep(width, n, seed=options.seed) for width, n in trials.items()}
    print_summary(results)
    seeds = range(options.seed, options.seed + options.seeds)
    print_races(
        {
            name: [race(scheduler, batch, options.seconds, seed=seed) for seed in seeds]
            for name, (scheduler, batch) in SCHEDULERS.items()
        }
    )
    save_picture(results, options.out)
    print(f"\nwrote {options.out}")


if __name__ == "__main__":
    main()
