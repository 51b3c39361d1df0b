"""The report's pictures, from the checked-in figures, as PNG files in bench/plots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.quality.statistics import Runs
    from bench.records import Record

    Series = dict[str, list[tuple[float, float, float, float]]]

PLOTS = Path(__file__).parent / "plots"
RESAMPLES = 1000
LEAST_REGRET = 1e-5  # a logarithmic axis has no 0
OURS = ("auto", "gp", "tpe", "random", "sobol")
# Ours are solid and take the first colours; the others are dashed.
COLOURS = (
    "#1b6ca8", "#d1495b", "#2a9d5c", "#8d6cab", "#c98a1b",
    "#4d4d4d", "#17a2b8", "#a65628", "#e377c2", "#7f9b21", "#9e9e9e", "#111111",
)  # fmt: skip


def style(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each name, the same in every picture that shows the same names."""
    ours = [name for own in OURS for name in (own, f"hpo_core {own}") if name in names]
    others = sorted(set(names) - set(ours))
    lines = {name: {"color": COLOURS[i], "linewidth": 2.2, "zorder": 3} for i, name in enumerate(ours)}
    for i, name in enumerate(others):
        colour = COLOURS[(len(ours) + i) % len(COLOURS)]
        lines[name] = {"color": colour, "linewidth": 1.4, "linestyle": (0, (5, 1.5 + i % 3))}
    return lines


def regret(runs: Mapping[str, Runs], caption: str, path: Path = PLOTS / "regret.png") -> Path:
    """Mean normalised regret against trials, a panel for each family; bands are bootstrap over seeds."""
    from bench.quality import problems

    families: dict[str, set[str]] = {}
    for problem in {problem for r in runs.values() for problem, _ in r.regret}:
        families.setdefault(problems.get(problem).family, set()).add(problem)
    figure, panels = _panels(len(families), caption)
    looks = style(list(runs))
    most = max(_seeds(r) for r in runs.values())
    for panel, (family, names) in zip(panels, sorted(families.items()), strict=False):
        lowest = []
        for name, r in runs.items():
            if names <= {problem for problem, _ in r.regret}:  # a mean over other problems would mislead
                label = name if _seeds(r) == most else f"{name} ({_seeds(r)} seeds)"
                lowest.append(_curve(panel, r, names, {**looks[name], "label": label}))
        panel.set_title(f"{family}: {len(names)} problem{'s' * (len(names) > 1)}", fontsize=10)
        panel.set(yscale="log", xlabel="trials", ylabel="mean normalised regret")
        panel.set_ylim(bottom=0.6 * min(lowest))  # a band may reach 0
    return _save(figure, panels, len(families), path)


def _seeds(runs: Runs) -> int:
    return len({seed for _, seed in runs.regret})


def _curve(panel: Any, runs: Runs, names: set[str], look: dict[str, Any]) -> float:
    """Mean over problems of the mean over seeds, whose least value is returned.

    The band is of means with the seeds of each problem drawn anew.
    """
    by_problem = [
        np.array([curve for (problem, _), curve in runs.regret.items() if problem == name]) for name in names
    ]
    rng = np.random.default_rng(0)
    mean = np.mean([c.mean(axis=0) for c in by_problem], axis=0)
    resampled = [
        np.mean([c[rng.integers(0, len(c), len(c))].mean(axis=0) for c in by_problem], axis=0)
        for _ in range(RESAMPLES)
    ]
    low, high = np.maximum(np.quantile(resampled, [0.025, 0.975], axis=0), LEAST_REGRET)
    trials = np.arange(1, len(low) + 1)
    panel.plot(trials, np.maximum(mean, LEAST_REGRET), **look)
    panel.fill_between(trials, low, high, color=look["color"], alpha=0.12, linewidth=0)
    return float(max(mean.min(), LEAST_REGRET))


def latency(records: Sequence[Record], caption: str, path: Path = PLOTS / "latency.png") -> Path:
    """Seconds of ask and tell against trials on file, both logarithmic, a panel for each space."""
    spaces: dict[str, Series] = {}
    for r in records:
        ours = r["library"] == "hpo_core"
        name = f"hpo_core {r.get('sampler', 'tpe')}" if ours else r.get("sampler", f"{r['library']}-tpe")
        point = (r["n"], *(1e3 * r["seconds"][k] for k in ("median", "p10", "p90")))
        held = spaces.setdefault(r["space"], {}).setdefault(name, [])
        held[:] = [p for p in held if p[0] != r["n"]] + [point]  # the last record of a row counts
    figure, panels = _panels(len(spaces), caption)
    names = sorted({name for series in spaces.values() for name in series})
    looks = style(names)
    for panel, (space, series) in zip(panels, sorted(spaces.items()), strict=False):
        for name, points in sorted(series.items()):
            n, median, p10, p90 = np.array(sorted(points)).T
            panel.errorbar(
                n, median, [median - p10, p90 - median], label=name, marker="o", capsize=2, **looks[name]
            )
        panel.set_title(space, fontsize=10)
        panel.set(
            xscale="log",
            yscale="log",
            xlabel="trials on file",
            ylabel="ms: ask, read, tell (median, p10-p90)",
        )
    return _save(figure, panels, len(spaces), path)


def _panels(count: int, caption: str) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(3, count)
    down = math.ceil(count / across)
    figure = Figure(figsize=(max(7.0, 4.4 * across), 3.4 * down + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(np.atleast_1d(figure.subplots(down, across)).ravel())
    figure.supxlabel(caption, fontsize=7, color="#555555")
    return figure, panels


def _save(figure: Any, panels: list[Any], used: int, path: Path) -> Path:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for panel in panels[:used]:
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    shown = {
        label: handle
        for p in panels[:used]
        for handle, label in zip(*p.get_legend_handles_labels(), strict=True)
    }
    for panel in panels[used:]:
        panel.set_axis_off()
    figure.legend(
        shown.values(),
        shown.keys(),
        loc="outside upper center",
        ncols=min(6, len(shown)),
        fontsize=8,
        frameon=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path
