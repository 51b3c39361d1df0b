"""Choose a scikit-learn model and its parameters at once, as one conditional space.

    python examples/cash_sklearn.py

Support vector machine, random forest, gradient boosting or neural network: each brings its own parameters,
which exist only where it is chosen. The objective is the cross-validated area under the ROC curve on the
breast cancer data that scikit-learn ships; a test set is seen only by the winner of each model. Prints a
table of the models and writes ``cash_sklearn.png``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import hpo_core as hpo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

FOLDS = 3
SCORE = "roc_auc"

# Okabe and Ito's colours, told apart with any colour vision.
COLOURS = {"svm": "#0072B2", "forest": "#009E73", "boosting": "#D55E00", "mlp": "#CC79A7"}


def search_space() -> hpo.Space:
    """Four models, each with parameters of its own."""
    return hpo.Space(
        {
            "model": hpo.Categorical(
                {
                    "svm": {
                        "C": hpo.Float(1e-2, 1e3, log=True),
                        "gamma": hpo.Float(1e-5, 1.0, log=True),
                    },
                    "forest": {
                        "max_features": hpo.Float(0.05, 1.0),
                        "min_samples_leaf": hpo.Int(1, 20, log=True),
                    },
                    "boosting": {
                        "learning_rate": hpo.Float(0.02, 0.5, log=True),
                        "max_leaf_nodes": hpo.Int(2, 32, log=True),
                        "l2_regularization": hpo.Float(1e-6, 10.0, log=True),
                    },
                    "mlp": {
                        "width": hpo.Int(4, 64, log=True),
                        "alpha": hpo.Float(1e-6, 10.0, log=True),
                        "learning_rate_init": hpo.Float(1e-4, 1e-1, log=True),
                    },
                }
            )
        }
    )


def build(params: Mapping[str, Any]) -> BaseEstimator:
    """The estimator of a configuration; what is left beside ``model`` are its keyword arguments."""
    chosen = {name: value for name, value in params.items() if name != "model"}
    if params["model"] == "svm":
        return make_pipeline(StandardScaler(), SVC(**chosen))
    if params["model"] == "forest":
        return RandomForestClassifier(60, random_state=0, **chosen)
    if params["model"] == "boosting":
        return HistGradientBoostingClassifier(max_iter=60, random_state=0, **chosen)
    width = chosen.pop("width")
    return make_pipeline(StandardScaler(), MLPClassifier((width,), max_iter=60, random_state=0, **chosen))


def splits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """75 % of the 569 patients to search on, the rest to judge the winners."""
    table, malignant = load_breast_cancer(return_X_y=True)
    return tuple(train_test_split(table, malignant, test_size=0.25, stratify=malignant, random_state=0))


def objective(trial: hpo.Trial) -> float:
    """Cross-validated area under the ROC curve of one configuration."""
    table, _, malignant, _ = splits()
    return float(cross_val_score(build(trial.params), table, malignant, cv=FOLDS, scoring=SCORE).mean())


def best_of(study: hpo.Study, model: str) -> hpo.Trial | None:
    """The best trial of one model."""
    trials = study.trials.where("complete")
    trials = trials[trials["model"] == model]
    return trials[int(trials.value.argmax())] if len(trials) else None


def test_score(trial: hpo.Trial) -> float:
    """Area under the ROC curve on patients that no choice was based on."""
    table, test_table, malignant, test_malignant = splits()
    return float(get_scorer(SCORE)(build(trial.params).fit(table, malignant), test_table, test_malignant))


def print_summary(study: hpo.Study) -> None:
    """The models side by side, the best configuration of each."""
    print(f"{'model':<12}{'trials':>8}{'cross-validated':>18}{'test':>10}   parameters")
    counts = dict(zip(*np.unique(study.trials["model"], return_counts=True), strict=True))
    for model in COLOURS:
        trial = best_of(study, model)
        if trial is None:
            print(f"{model:<12}{0:>8}")
            continue
        params = {name: value for name, value in trial.params.items() if name != "model"}
        words = ", ".join(f"{name}={value:.3g}" for name, value in params.items())
        print(f"{model:<12}{counts[model]:>8}{trial.value:>18.4f}{test_score(trial):>10.4f}   {words}")
    print(f"\nchosen: {study.best_params['model']}, trial {study.best_trial.number}")


def draw_search(ax: Axes, study: hpo.Study) -> None:
    """Every trial in the colour of its model, and the best so far."""
    trials = study.trials.where("complete")
    loss = 1 - trials.value
    for model, colour in COLOURS.items():
        chosen = trials["model"] == model
        ax.plot(
            trials.number[chosen] + 1, loss[chosen], "o", color=colour, markersize=5, alpha=0.7, label=model
        )
    best = np.minimum.accumulate(loss)
    ax.plot(
        trials.number + 1, best, color="#404040", linewidth=2, drawstyle="steps-post", label="best so far"
    )
    ax.set(yscale="log", xlabel="trial", ylabel="1 - area under the ROC curve")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title("what was tried", loc="left")
    ax.legend(frameon=False, loc="upper right", ncols=2)


def draw_shares(ax: Axes, study: hpo.Study) -> None:
    """How many trials each model has had so far."""
    trials = study.trials
    so_far = [np.cumsum(trials["model"] == model) for model in COLOURS]
    ax.stackplot(trials.number + 1, so_far, colors=list(COLOURS.values()), labels=list(COLOURS), alpha=0.8)
    ax.set(xlim=(1, len(trials)), ylim=(0, len(trials)), xlabel="trial", ylabel="trials of each model so far")
    ax.set_title("where they went", loc="left")


def save_picture(study: hpo.Study, path: Path) -> None:
    """Write both panels to a file."""
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_search(left, study)
        draw_shares(right, study)
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(color="#E0E0E0")
            ax.set_axisbelow(True)
        figure.savefig(path, dpi=140)


def main(arguments: list[str] | None = None) -> None:
    """Search and report."""
    parser = argparse.ArgumentParser(description="Choose a scikit-learn model and its parameters at once.")
    parser.add_argument(
        "--trials", type=int, default=100, help="how many configurations to try (default 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the study (default 0)")
    parser.add_argument("--out", type=Path, default=Path("cash_sklearn.png"), help="the picture to write")
    options = parser.parse_args(arguments)
    study = hpo.Study(search_space(), direction="maximize", seed=options.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a network cut short is a fair candidate
        study.optimize(objective, n_trials=options.trials)
        print_summary(study)
    save_picture(study, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
