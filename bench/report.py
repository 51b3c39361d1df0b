"""``python -m bench report``: the figures below the marker of ``bench/README.md``, from ``results/``.

Every section gives its tables and what it lost; the losses stand first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

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
    parser.add_argument("--out", type=Path, default=README)


def run(arguments: argparse.Namespace) -> int:
    from bench.native import report as native
    from bench.quality import report as quality
    from bench.samplers import report as samplers
    from bench.study import report as study

    sections = [part.section() for part in (quality, samplers, study, native)]
    page = arguments.out.read_text().split(MARKER)[0] if arguments.out.exists() else ""
    arguments.out.write_text(page.rstrip() + "\n\n" + render(sections))
    return 0


def render(sections: Iterable[Section]) -> str:
    held = [s for s in sections if s.body]
    losses = [f"- {s.title}: {loss}" for s in held for loss in s.losses]
    parts = [MARKER, "## Where we lose, or miss a target", "\n".join(losses) or "Nowhere below."]
    for section in held:
        parts += [f"## {section.title}", *filter(None, section.body)]
    return "\n\n".join(parts) + "\n"


def provenance(records: Iterable[Record]) -> str:
    """Machine, versions, threads and dates of the records, each distinct value once."""
    listed = list(records)
    machines = {
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']}"
        for m in (r["machine"] for r in listed if "machine" in r)
    }
    versions = {f"{k} {v}" for r in listed for k, v in r.get("versions", {}).items() if k != "code"}
    threads = {str(r["threads"]) for r in listed if "threads" in r}
    dates = sorted({r["date"] for r in listed})
    span = dates[0] if dates[:1] == dates[-1:] else f"{dates[0]} to {dates[-1]}"
    parts = (
        "; ".join(sorted(machines)),
        ", ".join(sorted(versions)),
        f"threads {'/'.join(sorted(threads))}",
        span,
    )
    return f"<sub>{'. '.join(parts)}.</sub>"
