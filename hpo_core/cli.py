"""The command line: ``hpo-core info``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from hpo_core import __version__, native
from hpo_core.errors import HpoError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status, 1 for an ``HpoError`` and 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except HpoError as error:
        print(f"hpo-core: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hpo-core", description="Hyperparameter optimisation.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_info(commands)
    return parser


def _add_info(commands: Any) -> None:
    about = "print backend, SIMD level, BLAS, threads and versions"
    command = commands.add_parser("info", help=about, description=about)
    command.add_argument("--json", action="store_true", help="as one JSON object")
    command.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> int:
    facts = native.info()
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:{width}}  {_in_words(fact)}")
    return 0


def _in_words(fact: object) -> str:
    if isinstance(fact, dict):
        return "; ".join(f"{name} ({why})" for name, why in fact.items()) or "none"
    if isinstance(fact, list):
        return ", ".join(map(str, fact)) or "none"
    return "-" if fact is None else str(fact)


if __name__ == "__main__":
    sys.exit(main())
