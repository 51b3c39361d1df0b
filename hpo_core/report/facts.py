"""The text of a page about a study: the best trial, savings, failures, and how to reproduce the study."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.analysis.contour import contour
from hpo_core.analysis.curves import curves
from hpo_core.analysis.importance import importance
from hpo_core.analysis.savings import savings
from hpo_core.analysis.series import evenly, hypervolume, outcomes, timeline
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.log import State
from hpo_core.native import info
from hpo_core.printable import printable
from hpo_core.report.columns import column, goals, parameters, text
from hpo_core.report.recommendation import recommendation
from hpo_core.samplers.registry import SAMPLERS
from hpo_core.schedulers.registry import SCHEDULERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hpo_core.parts import Parts
    from hpo_core.report.columns import Pictured
    from hpo_core.trial import Trial

MOST_BEST: Final = 20  # configurations shown of a front
MOST_REASONS: Final = 20
# Parameters, the most important ones, of which each pair gets a surface. A surface takes 0.1 s.
MOST_CROSSED: Final = 3
MOST_BARS: Final = 600  # of a timeline
_LONGEST_TRACEBACK: Final = 5_000  # characters from its end
_VERSIONS: Final = ("hpo_core", "backend", "simd", "blas", "platform", "python", "numpy")


def about(study: Pictured, described: Mapping[str, Any], storage: str | None) -> dict[str, Any]:
    """Return what does not change while a study goes on.

    Parameters
    ----------
    study : Pictured
    described : mapping
        The study as the first event of its log says it; its space is None if JSON cannot hold it.
    storage : str, optional
        Where it is kept, as the commands of a shell take it.
    """
    return {
        "name": text(study.name) if study.name else "",
        "sampler": text(described["sampler"]["name"]),
        "scheduler": text(described["scheduler"]["name"]) if described.get("scheduler") else None,
        "metrics": goals(study.metrics),
        "parameters": parameters(study.space),
        "reproduce": _reproduce(study, described, storage),
    }


def _reproduce(study: Pictured, described: Mapping[str, Any], storage: str | None) -> dict[str, Any]:
    facts = info()
    builds = dict.fromkeys(study.history.builds.values())
    scheduler = {"scheduler": described["scheduler"]} if described.get("scheduler") else {}
    return {
        "seed": str(study.seed),  # a number of JavaScript would lose digits
        "builds": [text(build) for build in builds],
        "versions": {name: str(facts[name]) for name in _VERSIONS},
        "options": json.dumps({"sampler": described["sampler"]} | scheduler, indent=2),
        "space": str(study.space),
        "code": _code(study, described),
        "commands": "" if storage is None else _commands(study.name, storage),
    }


def _code(study: Pictured, described: Mapping[str, Any]) -> str:
    """Return the study as Python code, without its trials."""
    arguments = []
    if study.metrics.direction is None:
        arguments.append(f"metrics=hpo_core.metrics.Metrics.from_json({study.metrics.to_json()!r})")
    elif study.metrics.direction == "maximize":
        arguments.append("direction='maximize'")
    arguments.append(f"sampler={_made(SAMPLERS, 'samplers', described['sampler'])}")
    if described.get("scheduler"):
        arguments.append(f"scheduler={_made(SCHEDULERS, 'schedulers', described['scheduler'])}")
    arguments.append(f"seed={study.seed}")
    if described["allow_duplicates"]:
        arguments.append("allow_duplicates=True")
    lines = "".join(f"    {argument},\n" for argument in arguments)
    space = "...  # your own: it has choices that JSON cannot hold"
    if described["space"] is not None:
        space = f"hpo_core.Space.from_json(\n    {json.dumps(described['space'])!r}\n)"
    return f"import hpo_core\n\nspace = {space}\nstudy = hpo_core.Study(\n    space,\n{lines})\n"


def _made(parts: Parts[Any], module: str, described: Mapping[str, Any]) -> str:
    """Return the call that makes a sampler or a scheduler of this library; a placeholder for any other."""
    name = described["name"]
    if "options" not in described or name not in parts.by_name:
        return f"...,  # your own {text(name)!r}"
    options = ", ".join(f"{option}={value!r}" for option, value in described["options"].items())
    return f"hpo_core.{module}.{parts.by_name[name].__name__}({options})"


def _commands(name: str, storage: str) -> str:
    place, study = shlex.quote(storage), shlex.quote(name)
    if not (storage + name).isprintable():  # no shell takes it back as it is shown
        return ""
    return "\n".join(
        f"hpo-core {command}"
        for command in (
            f"show {place} {study}",
            f"best {place} {study}",
            f"export {place} {study} trials.csv",
            f"report {place} {study} -o report.html",
        )
    )


def findings(study: Pictured) -> dict[str, Any]:
    """Return the facts that are computed from all trials again while a study runs."""
    history = study.history
    shares = [_importance(study, metric) for metric in study.metrics.names]
    counts = {state.name.lower(): history.count(state) for state in State}
    found: dict[str, Any] = {
        "counts": counts | {"trials": len(history)},
        "best": _best(study),
        "failures": _failures(study),
        "retries": sum(map(len, history.retries.values())),
        "importance": shares,
        "hypervolume": _hypervolume(study),
        "timeline": _timeline(study),
        "contours": _contours(study, shares),
        "curves": _curves(study, study.best_trials.number),
        "seconds": float(np.nansum(history.cost)),
    }
    if counts["stopped"] or counts["paused"]:
        found["saved"] = savings(history).to_json()
    return found


def _best(study: Pictured) -> dict[str, Any]:
    trials = study.best_trials
    shown = [_configuration(study, trials[i]) for i in range(min(len(trials), MOST_BEST))]
    expected = recommendation(study, trials[0].number) if shown else None
    if expected is not None:
        recommended, best = expected
        shown.append(_configuration(study, study.trials[recommended.number]))
        shown[0]["expected"], shown[-1]["expected"] = str(best), str(recommended)
    return {"numbers": column(trials.number, "i4"), "shown": shown}


def _configuration(study: Pictured, trial: Trial) -> dict[str, Any]:
    params = trial.params
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in params.items())
    literal = f"{{\n{lines}}}" if params else "{}"
    values = trial.values or {}
    return {
        "number": trial.number,
        "values": [values[name] for name in study.metrics.names],
        "feasible": trial.feasible,
        "params": [[text(name), text(value)] for name, value in params.items()],
        "code": printable(f"params = {literal}", keep="\n"),
        "enqueue": printable(f"study.enqueue({literal})", keep="\n"),
    }


def _failures(study: Pictured) -> dict[str, Any]:
    """Return the most common reasons, each with a trial and where it was raised."""
    history, counted = study.history, outcomes(study).failed
    first: dict[str, int] = {}
    for row, reason in history.reasons.items():
        if reason not in first or (first[reason] not in history.tracebacks and row in history.tracebacks):
            first[reason] = row
    reasons = [
        {
            "reason": text(reason),
            "count": count,
            "trial": first[reason],
            "traceback": printable(
                history.tracebacks.get(first[reason], "")[-_LONGEST_TRACEBACK:], keep="\n"
            ),
        }
        for reason, count in islice(counted.items(), MOST_REASONS)
    ]
    return {"reasons": reasons, "others": len(counted) - len(reasons)}


def _importance(study: Pictured, metric: str) -> list[float] | None:
    """Return the share of each parameter, in the order of the space; None if too few trials tell it."""
    with suppress(StudyError):
        share = importance(study, metric)
        return [share[name] for name in study.space.names]
    return None


def _hypervolume(study: Pictured) -> dict[str, Any] | None:
    """Return the ends of trials after which the hypervolume grew, and its values."""
    if study.metrics.n_objectives < 2 or not study.history.count(State.COMPLETE):
        return None
    volume, reference = hypervolume(study)
    at = np.flatnonzero(np.diff(volume, prepend=0.0) > 0.0)
    return {
        "place": column(at + 1, "i4"),
        "value": column(volume[at], "f8"),
        "reference": {text(name): value for name, value in reference.items()},
    }


def _timeline(study: Pictured) -> dict[str, Any]:
    """Return when trials ran, an even sample of them."""
    found = timeline(study)
    n = len(found.number)
    at = evenly(n, MOST_BARS)
    return {
        "all": n,
        "origin": found.origin if n else None,
        "number": column(found.number[at], "i4"),
        "state": column(found.state[at], "u1"),
        "start": column(found.start[at], "f8"),
        "end": column(found.end[at], "f8"),
    }


def _contours(study: Pictured, shares: list[list[float] | None]) -> list[dict[str, Any]]:
    """Return surfaces over each pair of the most important parameters, for each objective."""
    names = study.space.names
    found = []
    for metric in study.metrics.objectives:
        at = study.metrics.names.index(metric)
        weights = shares[at] or [0.0] * len(names)
        order = sorted(range(len(names)), key=lambda p: -weights[p])
        for a, b in combinations(order[:MOST_CROSSED], 2):
            with suppress(ArgumentError):  # too few trials, or none in which both are active
                surface = contour(study, names[a], names[b], metric)
                found.append(
                    {
                        "metric": at,
                        "pair": [a, b],
                        "fitted": surface.fitted,
                        "x": column(surface.x, "f8"),
                        "y": column(surface.y, "f8"),
                        "mean": column(surface.mean, "f8"),
                    }
                )
    return found


def _curves(study: Pictured, best: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the learning curves of each metric that trials report."""
    if not len(study.history.reports.row):
        return []
    keep = best[:MOST_BEST].tolist()
    return [_curves_of(study, name, keep) for name in study.metrics.reader.measured]


def _curves_of(study: Pictured, name: str, keep: list[int]) -> dict[str, Any]:
    found = curves(study, name, keep=keep)
    return {
        "metric": study.metrics.names.index(name),
        "all": sum(found.counts.values()),
        "rungs": found.rungs.tolist(),
        "number": column(found.number, "i4"),
        "state": column(found.state, "u1"),
        "start": column(found.start, "i4"),
        "step": column(found.step, "f8"),
        "value": column(found.value, "f8"),
    }
