"""``python -m bench report``: the figures below the marker of ``bench/README.md``, from ``results/``.

Every section gives its tables and what it lost; the losses stand first, then the pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench import figures, records, repeat
from bench.fidelity import report as fidelity
from bench.native import report as native
from bench.quality import failures_report
from bench.quality import report as quality
from bench.quality.fronts import report as fronts
from bench.samplers import fronts as front_times
from bench.samplers import report as samplers
from bench.section import Section, provenance
from bench.study import report as study
from bench.study import reports
from bench.surrogates import report as fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

README = Path(__file__).parent / "README.md"
MARKER = "<!-- Below this line: python -m bench report -->"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=README, help="the pictures go to plots/ beside it")


def run(arguments: argparse.Namespace) -> int:
    sections = [
        pictures(arguments.out.parent),
        quality.section(),
        failures_report.section(),
        fronts.section(),
        fidelity.section(),
    ]
    sections += [
        samplers.section(),
        front_times.section(),
        fit.section(),
        fit.posteriors(),
        study.section(),
        study.durable(),
        reports.section(),
        native.section(),
        repeat.section(),
    ]
    page = arguments.out.read_text().split(MARKER)[0] if arguments.out.exists() else ""
    arguments.out.write_text(page.rstrip() + "\n\n" + render(sections))
    return 0


def pictures(folder: Path) -> Section:
    """Regret of every optimiser on file, and latency against n."""
    section = Section("Pictures")
    runs, held = quality.recorded()
    if runs:
        figures.regret(runs, provenance(held, versions=False), folder / "plots" / "regret.png")
        section.body.append("![Regret against trials, by family](plots/regret.png)")
    timed = [r for r in records.read(records.RESULTS / "samplers.jsonl") if not r["error"]]
    cycles = records.of_one_machine(r for r in timed if r["case"] in ("cycle", "growth", "model"))
    if cycles:
        figures.latency(cycles, provenance(cycles, versions=False), folder / "plots" / "latency.png")
        section.body.append("![Latency of ask and tell against trials on file](plots/latency.png)")
    return section


def render(sections: Iterable[Section]) -> str:
    return f"{MARKER}\n\n{page(sections)}"


def page(sections: Iterable[Section]) -> str:
    """The losses of all, then each."""
    held = [s for s in sections if s.body]
    losses = [f"- {s.title}: {loss}" for s in held for loss in s.losses]
    parts = ["## Where we lose, or miss a target", "\n".join(losses) or "Nowhere below."]
    for section in held:
        parts += [f"## {section.title}", *filter(None, section.body)]
    return "\n\n".join(parts) + "\n"
