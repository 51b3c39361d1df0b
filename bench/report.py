"""``python -m bench report``: the figures below the marker of ``bench/README.md``, from ``results/``.

Every section gives its tables and what it lost; the losses stand first, then the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import records

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from bench.records import Record

README = Path(__file__).parent / "README.md"
MARKER = "<!-- Below this line: python -m bench report -->"


@dataclass
class Section:
    """A part of the report, and the sentences that say where we lose or miss a target."""

    title: str
    body: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def hold(self, *, met: bool, otherwise: str) -> None:
        if not met:
            self.losses.append(otherwise)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=README, help="the pictures go to plots/ beside it")


def run(arguments: argparse.Namespace) -> int:
    from bench import repeat
    from bench.native import report as native
    from bench.quality import failures_report
    from bench.quality import report as quality
    from bench.samplers import report as samplers
    from bench.study import report as study
    from bench.surrogates import report as fit

    sections = [pictures(arguments.out.parent), quality.section(), failures_report.section()]
    sections += [
        samplers.section(),
        fit.section(),
        fit.posteriors(),
        study.section(),
        study.durable(),
        native.section(),
        repeat.section(),
    ]
    page = arguments.out.read_text().split(MARKER)[0] if arguments.out.exists() else ""
    arguments.out.write_text(page.rstrip() + "\n\n" + render(sections))
    return 0


def pictures(folder: Path) -> Section:
    """Regret of every optimiser on file, and latency against n."""
    from bench import figures
    from bench.quality.report import recorded

    section = Section("Pictures")
    runs, held = recorded()
    if runs:
        figures.regret(runs, provenance(held, versions=False), folder / "plots" / "regret.png")
        section.body.append("![Regret against trials, by family](plots/regret.png)")
    timed = [r for r in records.read(records.RESULTS / "samplers.jsonl") if not r["error"]]
    cycles = records.of_one_machine(r for r in timed if r["case"] in ("cycle", "growth", "model"))
    if cycles:
        figures.latency(cycles, provenance(cycles, versions=False), folder / "plots" / "latency.png")
        section.body.append("![Latency of ask and tell against trials on file](plots/latency.png)")
    return section


def signed(tables: Iterable[tuple[str, Sequence[Record]]]) -> list[str]:
    """Tables with what they were measured on: a line for all of one machine, else a line each."""
    listed = list(tables)
    held = [r for _, records_of in listed for r in records_of]
    if len({machine_of(r) for r in held}) < 2:
        return [*(table for table, _ in listed), provenance(held)]
    return [f"{table}\n\n{provenance(records_of)}" for table, records_of in listed]


def render(sections: Iterable[Section]) -> str:
    held = [s for s in sections if s.body]
    losses = [f"- {s.title}: {loss}" for s in held for loss in s.losses]
    parts = [MARKER, "## Where we lose, or miss a target", "\n".join(losses) or "Nowhere below."]
    for section in held:
        parts += [f"## {section.title}", *filter(None, section.body)]
    return "\n\n".join(parts) + "\n"


def machine_of(record: Record) -> str:
    m = record["machine"]
    return f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']}"


def provenance(held: Iterable[Record], *, versions: bool = True) -> str:
    """Machine, versions, threads and dates of the records, each distinct value once."""
    listed = list(held)
    machines = {machine_of(r) for r in listed if "machine" in r}
    packages = {f"{k} {v}" for r in listed for k, v in r.get("versions", {}).items() if k != "code"}
    threads = {str(r["threads"]) for r in listed if "threads" in r}
    dates = sorted({r["date"] for r in listed})
    span = dates[0] if dates[:1] == dates[-1:] else f"{dates[0]} to {dates[-1]}"
    parts = ["; ".join(sorted(machines)), f"threads {'/'.join(sorted(threads))}", span]
    if not versions:
        return ". ".join(parts)
    return f"<sub>{'. '.join([parts[0], ', '.join(sorted(packages)), *parts[1:]])}.</sub>"
