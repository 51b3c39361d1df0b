"""Search light architectures for MNIST under budgets of parameters, beside random search and a hand-made net.

    python examples/light_search.py

For 5,000, 15,000, 50,000 and 150,000 parameters, each with at most a million multiply-accumulates,
two searches choose architecture, learning rate and weight decay by the cross-entropy on the
validation set. One training says little: of two that differ in nothing but the seed, one may lose half
as much again. A quarter of the trials therefore trains the best networks twice more, and the least
mean wins. The winner is trained anew, on training and validation images, and judged on
test images that no choice was based on. The hand-made net is a small MobileNet; its table was
written down before any search, its learning rate is the default of the optimiser times ten.
Prints a table and writes it as ``light.csv``, with the picture ``light.png``.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import mnist
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

import hpo_core as hpo
from hpo_core.nn import LightNet, measure_counts, measure_latency

if TYPE_CHECKING:
    from collections.abc import Sequence

BUDGETS = (5_000, 15_000, 50_000, 150_000)
MACS = 1e6
EPOCHS = 5
# One finalist for this many trials, each trained so often again.
TRIALS_PER_FINALIST, REPEATS = 8, 2
RETRAININGS = 3
SAMPLERS = ("auto", "random")

LIGHT = LightNet(mnist.SHAPE, mnist.CLASSES, stages=3, max_width=128)

# Width and stride of a 3 x 3 stem, then of depthwise-separable 3 x 3 blocks (MobileNet, Howard et al. 2017).
HAND_MADE = ((16, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1))
HAND_MADE_LR, HAND_MADE_DECAY = 1e-2, 1e-2


class Job(NamedTuple):
    """One search, or with no sampler the training of the hand-made net."""

    sampler: str | None
    budget: int
    seed: int
    trials: int


def search_space(budget: int) -> hpo.Space:
    """Architectures within the budget, and how they are trained."""
    training = {
        "lr": hpo.Float(1e-3, 1e-1, log=True),
        "weight_decay": hpo.Float(1e-4, 1.0, log=True),
    }
    return hpo.Space(LIGHT.parameters() | training, feasible=LIGHT.budget(params=budget, macs=MACS))


def hand_made() -> nn.Sequential:
    """The network of the table."""
    (width, stride), *blocks = HAND_MADE
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, stride=stride, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(width), nn.ReLU()]
    for wider, stride in blocks:
        layers += [
            nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, wider, 1, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU(),
        ]
        width = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, mnist.CLASSES))


def trained(params: dict[str, Any] | None, split: str, seed: int) -> nn.Module:
    """Train the network of a configuration, or the hand-made one."""
    torch.manual_seed(seed)
    # Channels last would be faster on a CPU, but PyTorch 2.13 corrupts memory with some of these networks.
    network = (LIGHT.build(params) if params else hand_made()).to(mnist.device())
    lr = params["lr"] if params else HAND_MADE_LR
    decay = params["weight_decay"] if params else HAND_MADE_DECAY
    mnist.train(network, mnist.splits()[split], epochs=EPOCHS, lr=lr, weight_decay=decay, seed=seed)
    return network


def objective(trial: hpo.Trial) -> float:
    """Validation loss of one configuration."""
    return mnist.evaluate(trained(trial.params, "train", trial.seed), mnist.splits()["validation"])[0]


def search(study: hpo.Study, trials: int) -> dict[str, Any]:
    """Search, train the finalists again, and return the configuration of the least mean loss."""
    finalists = trials // TRIALS_PER_FINALIST
    study.optimize(objective, n_trials=trials - REPEATS * finalists)
    if not finalists:
        return study.best_params
    best = study.trials[np.argsort(study.trials.value)[:finalists]]
    repeats = [study.ask(REPEATS, repeat=int(number)) for number in best.number]
    for batch in repeats:
        study.tell(batch, [objective(trial) for trial in batch])
    means = [np.mean([trial.value, *batch.value]) for trial, batch in zip(best, repeats, strict=True)]
    return best[int(np.argmin(means))].params


def run(job: Job) -> dict[str, Any]:
    """Search if there is something to search; train the winner again and judge it."""
    torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first
    started = time.perf_counter()
    params, suggesting = None, 0.0
    if job.sampler:
        # Of one seed, searches under two budgets would begin with the same small networks.
        seed = len(BUDGETS) * job.seed + BUDGETS.index(job.budget)
        study = hpo.Study(search_space(job.budget), sampler=job.sampler, seed=seed)
        params, suggesting = search(study, job.trials), study.suggest_seconds
    searching = time.perf_counter() - started
    seeds = [1_000 * job.seed + k for k in range(RETRAININGS)]
    winners = [trained(params, "train+validation", seed) for seed in seeds]
    image = torch.zeros(1, *mnist.SHAPE, device=mnist.device())
    counts = measure_counts(winners[0], image)
    return {
        "net": job.sampler or "hand-made",
        "budget": job.budget if job.sampler else counts.params,
        "seed": job.seed,
        "parameters": counts.params,
        "macs": counts.macs,
        "latency_ms": 1e3 * measure_latency(winners[0], image),
        "test_accuracy": float(np.mean([mnist.evaluate(net, mnist.splits()["test"])[1] for net in winners])),
        "search_s": searching,
        "sampler_s": suggesting,
    }


def compare(trials: int, seeds: Sequence[int], jobs: int) -> pd.DataFrame:
    """All searches and the hand-made net, a row each; every search repeats itself whatever ``jobs`` is."""
    todo = [Job(None, 0, seed, 0) for seed in seeds]
    todo += [Job(*job, trials) for job in itertools.product(SAMPLERS, BUDGETS, seeds)]
    if jobs == 1:
        return pd.DataFrame([run(job) for job in todo])
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pd.DataFrame(list(pool.map(run, todo)))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds."""
    columns = ["parameters", "macs", "latency_ms", "test_accuracy"]
    return table.groupby(["net", "budget"])[columns].mean()


def save_picture(table: pd.DataFrame, path: Path) -> None:
    """Test accuracy against parameters: every winner a pale dot, means over seeds joined at their budgets."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        looks = {"auto": ("C0", "o", "auto"), "random": ("C7", "s", "random search")}
        for net, (colour, marker, label) in looks.items():
            rows = table[table.net == net]
            means = rows.groupby("budget").test_accuracy.mean()
            axes.plot(rows.parameters, 100 * rows.test_accuracy, marker, color=colour, alpha=0.35, mew=0)
            axes.plot(means.index, 100 * means, marker=marker, color=colour, label=label)
        rows = table[table.net == "hand-made"]
        mean = 100 * rows.test_accuracy.mean()
        axes.plot(rows.parameters.iloc[0], mean, "*", color="C3", markersize=14, label="hand-made MobileNet")
        axes.axhline(0.98 * mean, color="C3", linewidth=1, linestyle=":", label="98 % of its accuracy")
        axes.axvline(0.3 * rows.parameters.iloc[0], color="C3", linewidth=1, linestyle="--")
        axes.text(0.31 * rows.parameters.iloc[0], 0.03, "30 % of its parameters", rotation=90, va="bottom",
                  color="C3", transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set(xscale="log", xlabel="parameters: budget, and (pale) the winner's own", xlim=(1e3, 2e5))
        axes.set_xticks(BUDGETS, [f"{budget:,}" for budget in BUDGETS])
        axes.minorticks_off()
        axes.set_ylabel("test accuracy [%]")
        figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=10)
        figure.savefig(path, dpi=160)


def main(arguments: list[str] | None = None) -> None:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description="Search light architectures for MNIST under budgets.")
    parser.add_argument("--trials", type=int, default=30, help="per search (default 30)")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions (default 1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    table = compare(options.trials, range(options.seeds), options.jobs)
    shown = {"parameters": "{:,.0f}".format, "macs": "{:,.0f}".format, "test_accuracy": "{:.2%}".format}
    print(summary(table).to_string(formatters=shown, float_format="{:.2f}".format))
    searched = table[table.net == "auto"]
    share = searched.sampler_s.sum() / searched.search_s.sum()
    print(
        f"\n{options.trials} trials a search, {options.seeds} seeds, {time.perf_counter() - started:.0f} s; "
        f"{share:.2%} of auto's time was spent choosing"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "light.csv", index=False)
    save_picture(table, options.out / "light.png")
    print(f"wrote {options.out / 'light.png'} and {options.out / 'light.csv'}")


if __name__ == "__main__":
    main()
