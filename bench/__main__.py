"""``python -m bench``: measure, and write the tables. Run it from the root of a checkout."""

from __future__ import annotations

import argparse
import sys

from bench.quality import ablation
from bench.quality import command as quality
from bench.samplers import command as samplers

COMMANDS = {
    "quality": (quality, "regret on the development suite, beside the peers"),
    "ablate": (ablation, "regret of our sampler with one option changed at a time"),
    "samplers": (samplers, "latency, throughput, memory and import time, beside the peers"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, summary) in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=summary, description=module.__doc__))
    arguments = parser.parse_args()
    return COMMANDS[arguments.command][0].run(arguments)


if __name__ == "__main__":
    sys.exit(main())
