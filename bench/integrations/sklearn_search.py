"""``HpoSearchCV`` beside other searches of its kind: ``python -m bench.integrations.sklearn_search``.

Three data sets that ship with scikit-learn (``bench/integrations/searches.py`` says which, and what is
searched), equal budgets, one process a search and data set. Best mean score on the folds, the score of that
configuration on held-out rows, and what a fit costs beside fitting and scoring. With ``--record`` what is on
file is kept, so that a run can be resumed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import isolate, records
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = records.RESULTS / "sklearn-search.jsonl"
TASKS = ("digits", "breast_cancer", "diabetes")
BUDGETS = ("10", "25", "50")
OURS = ('HpoSearchCV("auto")', 'HpoSearchCV("tpe")', 'HpoSearchCV("auto", "asha")')
PEERS = ("RandomizedSearchCV", "OptunaSearchCV", "HalvingRandomSearchCV", "BayesSearchCV")
SLOW = ("HalvingRandomSearchCV", "BayesSearchCV")  # half of the seeds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--searches", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--seeds", type=int, default=10, help="slow searches have half as many")
    parser.add_argument("--turns", type=int, default=5, help="of the overhead of a fit")
    parser.add_argument("--record", action="store_true", help="append to results/sklearn-search.jsonl")


def run(arguments: argparse.Namespace) -> int:
    held = {}
    for record in records.read(FILE) if arguments.record else []:
        held[record["case"], record["search"]] = record
    for task in arguments.tasks:
        for search in arguments.searches:
            seeds = arguments.seeds // 2 if search in SLOW else arguments.seeds
            if (task, search) in held and held[task, search]["seeds"] == seeds:
                continue
            record = _stamped(task, search, "measure", task=task, seeds=seeds)
            if record["error"]:
                print(record["error"], file=sys.stderr)
                continue
            held[task, search] = record
            if arguments.record:
                records.append(FILE, record)
            print(f"{task}, {search}: {sum(record['wall']):.0f} s", file=sys.stderr, flush=True)
    for search in arguments.searches if arguments.turns else ():
        record = _stamped("overhead", search, "overheads", turns=arguments.turns)
        if record["error"]:
            print(record["error"], file=sys.stderr)
            continue
        held["overhead", search] = record
        if arguments.record:
            records.append(FILE, record)
    tables = (scores("cv", held), scores("held_out", held), pairs(held), costs(held), overheads(held))
    print("\n\n".join(tables))
    return 0


def _stamped(case: str, search: str, function: str, **arguments: Any) -> records.Record:
    figures = isolate.call(
        "bench.integrations.searches",
        function,
        peer="searches" if search in PEERS else None,
        search=search,
        **arguments,
    )
    return isolate.stamped("sklearn-search", case, {"search": search, **arguments, **figures})


Held = dict[tuple[str, str], records.Record]


def scores(which: str, held: Held) -> str:
    """Mean scores after each budget, and the standard error after the last."""
    rows = []
    for search in OURS + PEERS:
        cells = []
        for task in TASKS:
            found = held.get((task, search))
            if found is None:
                cells.append("-")
                continue
            means = [f"{np.mean(found[which][budget]):.4f}" for budget in BUDGETS]
            error = np.std(found[which][BUDGETS[-1]], ddof=1) / np.sqrt(found["seeds"])
            cells.append(" ".join(means) + f" ± {error:.4f}")
        rows.append([f"{search}, half of the seeds" if search in SLOW else search, *cells])
    title = {"cv": "best mean score on the folds", "held_out": "its score on held-out rows"}[which]
    return markdown([title, *TASKS], rows)


def pairs(held: Held) -> str:
    """In how many seeds one of ours is better, equal and worse than a peer, on the folds and held out."""
    rows = []
    for ours in OURS:
        for peer in PEERS:
            cells = []
            for task in TASKS:
                a, b = held.get((task, ours)), held.get((task, peer))
                cells.append("-" if a is None or b is None else "; ".join(_counts(a, b)))
            rows.append([f"{ours} and {peer}", *cells])
    return markdown(["seeds better, equal, worse (mean gap): folds; held out", *TASKS], rows)


def _counts(a: records.Record, b: records.Record) -> Sequence[str]:
    n, last = min(a["seeds"], b["seeds"]), BUDGETS[-1]
    found = []
    for which in ("cv", "held_out"):
        gap = np.array(a[which][last][:n]) - np.array(b[which][last][:n])
        counts = ", ".join(str(int(np.sum(k))) for k in (gap > 0, gap == 0, gap < 0))
        found.append(f"{counts} ({np.mean(gap):+.4f})")
    return found


def costs(held: Held) -> str:
    """Milliseconds a fit beside fitting and scoring, median and extremes; seconds of a search."""
    rows = []
    for search in OURS + PEERS:
        cells = []
        for task in TASKS:
            found = held.get((task, search))
            if found is None:
                cells.append("-")
                continue
            each = found["overhead_ms"]
            spread = f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
            wall = statistics.median(found["wall"])
            cells.append(f"{spread}; {statistics.median(found['fits']):.0f} fits in {wall:.1f} s")
        rows.append([search, *cells])
    return markdown(["ms a fit beside fit and score", *TASKS], rows)


def overheads(held: Held) -> str:
    """What a fit costs beside fitting and scoring, and its ratio to ``RandomizedSearchCV`` in the turn."""
    rows = []
    for search in OURS + PEERS:
        found = held.get(("overhead", search))
        if found is None:
            continue
        ratios = sorted(a / b for a, b in zip(found["ms"], found["randomized_ms"], strict=True))
        times = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        rows.append([search, f"{statistics.median(found['ms']):.2f}", times])
    return markdown(["breast_cancer, 50 units", "ms a fit, median", "times RandomizedSearchCV"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
