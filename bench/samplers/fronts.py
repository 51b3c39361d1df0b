"""The case ``fronts``: ask -> tell of two objectives on 20 floats, and 100,000 trials of them by TPE.

Optuna's NSGA-II knows the trials that it made itself alone: its n are asked and told before the clock starts.
Ratios and targets are of CPU time, which a busy machine does not stretch: every side has one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import records
from bench.samplers import sides
from bench.samplers.sides import FILE, Side
from bench.section import Section, signed
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

SPACE = "float20"
# n -> cycles and blocks of ours, by sampler: a whole refit cycle of the Gaussian process.
OURS = {"gp": {200: (64, 4)}, "tpe": {200: (200, 2), 1000: (200, 2), 10_000: (200, 2)}}
THEIRS = {"optuna-gp": {200: (4, 1)}, "optuna-tpe": {200: (20, 1), 1000: (10, 1)}}
THEIRS["optuna-nsga2"] = {200: (100, 1), 1000: (100, 1)}
KIND = {"optuna-gp": "gp", "optuna-tpe": "tpe", "optuna-nsga2": "tpe"}  # whom a peer is compared with
MANY = 100_000
# Targets: milliseconds by sampler and n, how much longer at ten times n, seconds of ``MANY`` trials.
MILLISECONDS = {("gp", 200): 15.0, ("tpe", 1000): 0.2}
FLAT, MANY_SECONDS = 1.5, 20.0


def _sides(sizes: dict[str, dict[int, tuple[int, int]]], *, peers: bool) -> Iterator[Side]:
    for name, by_n in sizes.items():
        for n, (cycles, n_blocks) in by_n.items():
            options: dict[str, Any] = {"space": SPACE, "n": n, "cycles": cycles, "n_blocks": n_blocks}
            if peers:
                yield Side("front_cycle", options, f"{name}-fronts", named={"sampler": name})
            else:
                yield Side("front_cycle", options | {"sampler": name})


def run(arguments: argparse.Namespace) -> None:
    cycles = [*_sides(OURS, peers=False), *_sides(THEIRS, peers=True)]
    held = list(sides.measure(arguments, "fronts", cycles))
    many = Side("many_fronts", {"space": SPACE, "n": MANY, "sampler": "tpe"}, named={"how": "many"})
    print(_table([*held, *sides.measure(arguments, "fronts", [many])]))


def section() -> Section:
    """From the checked-in figures."""
    section = Section("Several objectives: time of a suggestion")
    good = [r for r in records.read(FILE) if r["case"] == "fronts" and not r["error"]]
    held = records.marked(records.of_one_machine(good)) if good else []
    if held:
        section.body += signed([(_table(held), held)])
        _hold(section, held)
    return section


def _table(held: Sequence[records.Record]) -> str:
    """Milliseconds by n, a peer's also in times ours: the sampler of its kind."""
    ours = {(r["sampler"], r["n"]): r["cpu"] for r in held if "cpu" in r}
    rows = []
    for r in sorted((r for r in held if "total" not in r), key=lambda r: int(r["n"])):
        own = ours.get((KIND.get(r["sampler"]), r["n"]))
        ratio = f"{r['cpu'] / own:,.0f}" if own and "cpu" in r else "-"
        rows.append([f"{r['n']:,}", r["sampler"], sides.milliseconds(r), ratio])
    header = ["n", "sampler", "ms: mean (median, p10-p90; CPU)", "CPU, times ours"]
    text = f"Ask -> tell of two objectives, {SPACE}, all parameters read\n\n" + markdown(header, rows)
    for r in held:
        if "total" in r:
            text += f"\n\n{r['n']:,} trials by {r['sampler']}, ask and tell: {r['total']:.1f} s of CPU"
    return text


def _hold(section: Section, held: Sequence[records.Record]) -> None:
    means = {(r["sampler"], r["n"]): 1e3 * r["cpu"] for r in held if "cpu" in r}
    for (sampler, n), target in MILLISECONDS.items():
        if (sampler, n) in means:
            mean = means[sampler, n]
            slow = (
                f"{sampler} at n = {n:,}, 20 floats, two objectives: {mean:.3g} ms of CPU, target {target:g}"
            )
            section.hold(met=mean <= target, otherwise=slow)
    if {("tpe", 1000), ("tpe", 10_000)} <= means.keys():
        growth = means["tpe", 10_000] / means["tpe", 1000]
        grown = f"tpe of two objectives grows {growth:.2f}x from n = 1,000 to 10,000, target {FLAT:g}x"
        section.hold(met=growth <= FLAT, otherwise=grown)
    for r in (r for r in held if "total" in r):
        late = f"{r['n']:,} trials of two objectives by {r['sampler']}: {r['total']:.1f} s"
        section.hold(met=r["total"] <= MANY_SECONDS, otherwise=f"{late}, target {MANY_SECONDS:g}")
