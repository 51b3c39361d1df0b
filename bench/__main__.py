"""``python -m bench``: measure, and write the tables. Run it from the root of a checkout."""

from __future__ import annotations

import argparse
import sys

from bench import report
from bench.fidelity import command as fidelity
from bench.fidelity.optimiser import ENTRIES as FIDELITIES
from bench.gate import command as gate
from bench.native import command as native
from bench.quality import ablation, failure_rows, failures
from bench.quality import command as quality
from bench.quality.fronts import command as fronts
from bench.quality.fronts.optimiser import ENTRIES as FRONTS
from bench.samplers import command as samplers
from bench.study import command as study
from bench.study import reports, stored
from bench.surrogates import command as fit
from bench.surrogates import posterior

COMMANDS = {
    "quality": (quality, "regret on the development suite, beside the peers"),
    "failures": (failures, "failed trials and best values where trials can fail, beside the peers"),
    "fronts": (fronts, "hypervolume of several objectives, beside the peers"),
    "fidelity": (fidelity, "the best training against epochs spent, beside the peers that stop early"),
    "ablate": (ablation, "regret of our sampler with one option changed at a time"),
    "samplers": (samplers, "latency, throughput, memory and import time, beside the peers"),
    "fit": (fit, "a Gaussian process's cold fit, beside the peers"),
    "posterior": (posterior, "a Gaussian process of many trials, beside the BLAS under it"),
    "study": (study, "trials per second of a whole study, beside the peers"),
    "reports": (reports, "a report and whether to stop, beside the peers"),
    "stored": (stored, "trials per second that are durable when told, beside the peers"),
    "native": (native, "every kernel beside NumPy or SciPy, and beside the machine's limits"),
    "gate": (gate, "what must not get slower: instruction counts, growth, ratios to NumPy"),
    "report": (report, "write the tables of bench/README.md from bench/results"),
}
# What ``all`` and ``quick`` run. ``all`` leaves its figures in bench/results; ``quick`` prints them.
CHEAP = ("optuna-tpe", "optuna-tpe-group", "hyperopt", "plain-random", "random", "sobol")
SLOW = {"optuna-gp": 5, "smac3": 5, "botorch": 2}  # seeds: a run takes from tens of seconds to nine minutes
ALL = (
    *(f"quality --optimiser {name} --record --against" for name in CHEAP),
    *(f"quality --optimiser {name} --record --seeds {seeds} --against" for name, seeds in SLOW.items()),
    "quality --optimiser tpe --record",
    f"failures --rows {' '.join(failure_rows.ROWS)} --record",
    f"fronts --rows {' '.join(FRONTS)} --record",
    f"fidelity --rows {' '.join(FIDELITIES)} --record",
    *2 * ("samplers --record",),  # two passes of each row: those that differ are marked
    *2 * ("fit --record",),
    *2 * ("posterior --record",),
    "study --record",
    *2 * ("stored --record",),
    *2 * ("reports --record",),
    "native --record",
    "report",
)
QUICK = ("gate", "native", "samplers --cases cycle --space mixed20 --sizes 1000")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, (module, summary) in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=summary, description=module.__doc__))
    commands.add_parser("all", help="every bench, resuming where it can, and the report")
    commands.add_parser("quick", help="the gate, kernels and one latency row: a few minutes")
    return top


def run(words: list[str]) -> int:
    arguments = parser().parse_args(words)
    if arguments.command in ("all", "quick"):
        lines = ALL if arguments.command == "all" else QUICK
        return max([run(line.split()) for line in lines])
    status: int = COMMANDS[arguments.command][0].run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
