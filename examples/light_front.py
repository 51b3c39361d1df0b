"""The front of error against parameters for MNIST by one search, beside four searches and random search.

    python examples/light_front.py

We want few errors and few parameters. One search of two metrics gets 64
trainings; the parameters are a formula over columns, known for every candidate without a training. Beside
it, with as many trainings in all, the way of ``light_search.py``, a search for the least error under each
of four budgets, and random search. The images are halved to 14 x 14, so that a training takes a second.

The second metric is the logarithm of the parameters, to which halving them is worth the same at 500 as at
20,000; in plain numbers, networks above 8,000 would make three quarters of the area. The hypervolume is the
area between a front and the reference point, in error times powers of ten: 0.1 is ten points of error over
one power of ten.

The error of one short training is a lucky draw as well, and a front collects the lucky ones. Each network of
a front is therefore trained again with other seeds, on training and validation images, and judged on
test images that no choice was based on. Prints both hypervolumes, and writes the trainings and
the networks judged as ``light_front.csv``, with the picture ``light_front.png``.
"""

from __future__ import annotations

import argparse
import functools
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
from torch.nn import functional as F  # noqa: N812 - the name PyTorch's own pages use

import hpo_core as hpo
from hpo_core.nn import LightNet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

BUDGETS = (500, 2_000, 8_000, 32_000)
MACS = 2e5
LARGEST_ERROR = 0.5
EPOCHS = 3
RETRAININGS = 2

LIGHT = LightNet((1, 14, 14), mnist.CLASSES, stages=2, max_width=64, max_repeats=2)


def log10_params(columns: Mapping[str, Any]) -> NDArray[np.float64]:
    """Powers of ten of parameters."""
    return np.log10(LIGHT.counts_of("params")(columns))


METRICS = {
    "error": hpo.Minimize(reference=LARGEST_ERROR),
    "log10_params": hpo.Minimize(reference=float(np.log10(BUDGETS[-1])), known=log10_params),
}
# Okabe and Ito's colours, told apart with any colour vision.
COLOURS = {"one search": "#0072B2", "four searches": "#D55E00", "random search": "#7F7F7F"}


class Job(NamedTuple):
    """One way to spend the trainings."""

    way: str
    seed: int
    trainings: int


class Tried(NamedTuple):
    """A configuration and the error of its network."""

    params: dict[str, Any]
    error: float


class Result(NamedTuple):
    """What was trained for a job, in order, and the networks of the front, judged."""

    job: Job
    tried: list[Tried]
    judged: list[Tried]
    searching: float  # seconds
    suggesting: float


def search_space(budget: int) -> hpo.Space:
    """Architectures within the budget, and how they are trained."""
    training = {
        "lr": hpo.Float(1e-3, 1e-1, log=True),
        "weight_decay": hpo.Float(1e-4, 1.0, log=True),
    }
    return hpo.Space(LIGHT.parameters() | training, feasible=LIGHT.budget(params=budget, macs=MACS))


@functools.cache
def split(name: str) -> mnist.Split:
    """Images of half the height and width, and their digits."""
    images, digits = mnist.splits()[name]
    return mnist.Split(F.avg_pool2d(images, 2), digits)


def error(params: Mapping[str, Any], seed: int, trained_on: str, judged_on: str) -> float:
    """Train the network of a configuration; the share of the images that it gets wrong."""
    torch.manual_seed(seed)
    network = LIGHT.build(params).to(mnist.device())
    lr, decay = params["lr"], params["weight_decay"]
    mnist.train(network, split(trained_on), epochs=EPOCHS, lr=lr, weight_decay=decay, seed=seed)
    return 1 - mnist.evaluate(network, split(judged_on))[1]


def objective(trial: hpo.Trial) -> dict[str, float]:
    """Validation error; what is known need not be told."""
    return {"error": error(trial.params, trial.seed, "train", "validation")}


def studies(job: Job) -> list[hpo.Study]:
    """The searches of a job, which share its trainings."""
    least_error = {"error": METRICS["error"]}
    if job.way == "four searches":
        return [
            # Of one seed, searches under two budgets would begin with the same small networks.
            hpo.Study(search_space(budget), metrics=least_error, seed=len(BUDGETS) * job.seed + k)
            for k, budget in enumerate(BUDGETS)
        ]
    sampler = "random" if job.way == "random search" else "auto"
    return [hpo.Study(search_space(BUDGETS[-1]), metrics=METRICS, sampler=sampler, seed=job.seed)]


def gathered(tried: Iterable[Tried]) -> hpo.Study:
    """A study that holds these results, whoever chose them."""
    study = hpo.Study(search_space(BUDGETS[-1]), metrics=METRICS, sampler="random")
    for params, value in tried:
        study.add(params, {"error": value})
    return study


def judge(front: hpo.TrialBatch, seed: int) -> list[Tried]:
    """The front's networks, trained again; mean errors on the test images."""
    seeds = range(1_000 * seed, 1_000 * seed + RETRAININGS)
    return [
        Tried(
            trial.params,
            float(np.mean([error(trial.params, each, "train+validation", "test") for each in seeds])),
        )
        for trial in front
    ]


def run(job: Job) -> Result:
    """Search, then train the networks of the front again and judge them."""
    torch.set_num_threads(1)  # on images this small, a second thread mostly waits for the first
    started = time.perf_counter()
    searches = studies(job)
    for study in searches:
        study.optimize(objective, n_trials=job.trainings // len(searches))
    searching = time.perf_counter() - started
    columns = [[Tried(trial.params, trial.values["error"]) for trial in study.trials] for study in searches]
    tried = [each for turn in zip(*columns, strict=True) for each in turn]
    judged = judge(gathered(tried).front(), job.seed)
    return Result(job, tried, judged, searching, sum(study.suggest_seconds for study in searches))


def compare(trainings: int, seeds: Sequence[int], jobs: int) -> list[Result]:
    """All ways and seeds; each result repeats itself whatever ``jobs`` is."""
    todo = [Job(*job, trainings) for job in itertools.product(COLOURS, seeds)]
    if jobs == 1:
        return [run(job) for job in todo]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(run, todo))


def hypervolume(study: hpo.Study) -> float:
    """Hypervolume of a front; 0 as long as no network has less than the largest error."""
    worst = study.trials.values["error"] >= LARGEST_ERROR
    return 0.0 if worst.all() else study.hypervolume()


def progress(tried: Sequence[Tried]) -> list[float]:
    """Hypervolume after each training."""
    study = gathered([])
    volumes = []
    for params, value in tried:
        study.add(params, {"error": value})
        volumes.append(hypervolume(study))
    return volumes


def table(results: Sequence[Result]) -> pd.DataFrame:
    """Every training and every network judged, a row each."""
    return pd.DataFrame(
        {"way": result.job.way, "seed": result.job.seed, "kind": kind, **row}
        for result in results
        for kind, tried in (("tried", result.tried), ("judged", result.judged))
        for row in rows(tried)
    )


def rows(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """Networks in order, with their costs and configurations."""
    study = gathered(tried)
    on_front = set(study.front().number.tolist())
    return [
        {
            "number": trial.number,
            "error": trial.values["error"],
            "parameters": LIGHT.counts(trial.params).params,
            "front": trial.number in on_front,
            **trial.params,
        }
        for trial in study.trials
    ]


def summary(results: Sequence[Result]) -> pd.DataFrame:
    """Hypervolumes by way and seed, as found and as judged."""
    return pd.DataFrame(
        {
            "way": result.job.way,
            "seed": result.job.seed,
            "found": hypervolume(gathered(result.tried)),
            "judged": hypervolume(gathered(result.judged)),
            "front": len(result.judged),
        }
        for result in results
    )


def draw_front(ax: Axes, tried: Sequence[Tried], colour: str, label: str) -> None:
    """Every network a pale dot, the front as the stairs below which nothing was found."""
    study = gathered(tried)
    trials, front = study.trials, study.front()
    ax.plot(10 ** trials.values["log10_params"], 100 * trials.values["error"], "o",
            color=colour, markersize=4, alpha=0.3, mew=0)  # fmt: skip
    order = np.argsort(front.values["log10_params"])
    parameters = np.append(10 ** front.values["log10_params"][order], BUDGETS[-1])
    errors = 100 * front.values["error"][order]
    ax.plot(parameters, np.append(errors, errors[-1]), color=colour, drawstyle="steps-post", label=label)
    ax.plot(parameters[:-1], errors, "o", color=colour, markersize=5)


def draw_progress(ax: Axes, results: Sequence[Result]) -> None:
    """Hypervolume against trainings: every seed pale, the mean over them."""
    for way, colour in COLOURS.items():
        volumes = np.array([progress(result.tried) for result in results if result.job.way == way])
        at = np.arange(1, volumes.shape[1] + 1)
        if len(volumes) > 1:
            ax.plot(at, volumes.T, color=colour, linewidth=0.8, alpha=0.35)
        ax.plot(at, volumes.mean(0), color=colour, linewidth=2)
    ax.set(xlabel="trainings", ylabel="hypervolume of the front found", xlim=(0, None), ylim=(0, None))


def save_picture(results: Sequence[Result], path: Path) -> None:
    """Fronts of the first seed as found and as judged, and how they grew, over all seeds."""
    with mpl.rc_context({"font.size": 11, "axes.titlesize": 11}):
        figure = Figure(figsize=(13, 4.6), layout="constrained")
        found, judged, growth = figure.subplots(1, 3)
        for result in results:
            if result.job.seed == results[0].job.seed:
                way = result.job.way
                draw_front(found, result.tried, COLOURS[way], way)
                draw_front(judged, result.judged, COLOURS[way], way)
        titles = {found: "found: one training, validation images",
                  judged: f"the fronts again: {RETRAININGS} trainings, test images"}  # fmt: skip
        for ax, title in titles.items():
            ax.set_title(title, loc="left")
            ax.set(xscale="log", xlabel="parameters", xlim=(100, BUDGETS[-1]), ylim=(0, 100 * LARGEST_ERROR))
            ticks = (125, *BUDGETS)
            ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            ax.minorticks_off()
        found.set_ylabel("error [%]")
        draw_progress(growth, results)
        seeds = len({result.job.seed for result in results})
        growth.set_title("while searching" + (f", mean of {seeds} seeds" if seeds > 1 else ""), loc="left")
        for ax in (found, judged, growth):
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(color="#E8E8E8")
            ax.set_axisbelow(True)
        handles, labels = found.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        figure.savefig(path, dpi=140)


def report(results: Sequence[Result]) -> None:
    """The front of the first search, and the hypervolumes of all."""
    front = gathered(results[0].judged).front()
    front = front[front.values["error"] < LARGEST_ERROR]
    print(f"{'parameters':>12}{'test error':>12}")
    for trial in front[np.argsort(front.values["log10_params"])]:
        print(f"{LIGHT.counts(trial.params).params:>12,}{trial.values['error']:>12.1%}")
    volumes = summary(results)
    for kind in ("found", "judged"):
        by_seed = volumes.pivot(index="way", columns="seed", values=kind).loc[list(COLOURS)]
        by_seed["mean"] = by_seed.mean(axis=1)
        print(f"\nhypervolume of the fronts {kind}, by seed")
        print(by_seed.to_string(float_format="{:.3f}".format))
    searches = [result for result in results if result.job.way == results[0].job.way]
    share = sum(result.suggesting for result in searches) / sum(result.searching for result in searches)
    print(f"\n{share:.1%} of the time of the one search was spent choosing")


def main(arguments: list[str] | None = None) -> None:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description="One search for the front of error against parameters.")
    parser.add_argument("--trials", type=int, default=64, help="trainings of each way (default 64)")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions (default 1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the report (default demo)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    results = compare(options.trials, range(options.seeds), options.jobs)
    report(results)
    print(f"\n{options.trials} trainings each, {time.perf_counter() - started:.0f} s")
    options.out.mkdir(parents=True, exist_ok=True)
    table(results).to_csv(options.out / "light_front.csv", index=False)
    save_picture(results, options.out / "light_front.png")
    print(f"wrote {options.out / 'light_front.png'} and {options.out / 'light_front.csv'}")


if __name__ == "__main__":
    main()
