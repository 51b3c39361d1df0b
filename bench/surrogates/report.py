"""The cold fit beside the peers', and what a posterior of many trials costs, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.section import Section, signed
from bench.surrogates import posterior
from bench.surrogates.command import FILE, table

# n -> how many times as fast as each peer a fit is to be.
RATIO = {50: 10, 200: 10, 1000: 5}
# n -> seconds that a suggestion, or 64 at n = 500, may take.
ASK = {500: 0.1, 1000: 0.25, 10_000: 0.25}
AS_GOOD = 0.05  # log posteriors closer than this are equal


def section() -> Section:
    section = Section("A Gaussian process's cold fit")
    good = [r for r in records.read(FILE) if not r["error"]]
    if not good:
        return section
    here = records.of_one_machine(good)
    latest = records.latest(here, "n", "library")
    held = sorted(latest.values(), key=lambda r: (r["n"], r["library"] != "hpo_core", r["library"]))
    ours = {r["n"]: r for r in held if r["library"] == "hpo_core"}
    for theirs in held:
        if theirs["library"] != "hpo_core" and theirs["n"] in ours:
            _compare(section, ours[theirs["n"]], theirs)
    title = (
        "Matern-5/2, d = 20, the same data; hyperparameters scored by one oracle, mean and scale at their"
        " best. BoTorch maximises the posterior, scikit-learn the likelihood, which has no priors."
    )
    section.body += signed([(f"{title}\n\n{table(held)}", here)])
    return section


def posteriors() -> Section:
    section = Section("A Gaussian process of many trials")
    good = records.of_one_machine(r for r in records.read(posterior.FILE) if not r["error"])
    if not good:
        return section
    held = list(records.latest(good, "case", "n", "q").values())
    for r in held:
        if r["case"] == "pool":
            full, pruned = (r[k]["median"] / r["solve"]["median"] for k in ("full", "pruned"))
            section.hold(
                met=full <= 1.5, otherwise=f"the whole pool: {full:.2f} triangular solves, target 1.5"
            )
            section.hold(met=pruned <= 0.5, otherwise=f"its best: {pruned:.2f} solves, target a third of 1.5")
        else:
            slow = f"ask({r['q']}) at n = {r['n']:,}: {1e3 * r['seconds']['median']:.0f} ms"
            section.hold(met=r["seconds"]["median"] <= ASK[r["n"]], otherwise=slow)
            section.hold(
                met=r["seconds"]["max"] <= 1.0, otherwise=f"{slow}, at most {r['seconds']['max']:.2f} s"
            )
            section.hold(met=r["mebibytes"] <= 1024, otherwise=f"{r['mebibytes']:.0f} MiB at n = {r['n']:,}")
    section.body += signed([("\n\n".join(posterior.tables(held)), held)])
    return section


def _compare(section: Section, ours: records.Record, theirs: records.Record) -> None:
    n, name = ours["n"], theirs["library"]
    ratio = theirs["seconds"]["median"] / ours["seconds"]["median"]
    slow = f"fit at n = {n:,}: {ratio:.1f}x {name}, target {RATIO[n]}x"
    section.hold(met=n not in RATIO or ratio >= RATIO[n], otherwise=slow)
    worse = (
        f"fit at n = {n:,}: log posterior {ours['log_posterior']:.2f}, {name} {theirs['log_posterior']:.2f}"
    )
    section.hold(met=ours["log_posterior"] >= theirs["log_posterior"] - AS_GOOD, otherwise=worse)
