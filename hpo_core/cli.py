"""The command line: ``hpo-core info``, and commands for the studies in a storage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from hpo_core import __version__, native
from hpo_core.errors import ArgumentError, BackendError, HpoError, StorageError, StudyError
from hpo_core.exports import WRITERS, export, plain
from hpo_core.printable import displayed, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpo_core.study import ReadOnlyStudy


EXPORT_TO = (
    "where to write: 'file' (the default), or 'optuna' for a storage of Optuna such as "
    "sqlite:///optuna.db, which optuna-dashboard shows"
)
ARGUMENTS = {
    "storage": "path of an SQLite file, or URL of a PostgreSQL database",
    "name": "name of the study",
    "target": "file to write, or the URL of a storage with --to optuna",
    "backup target": "file to write; it must not exist yet",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        The exit status: 1 for an error, 2 for wrong usage, 130 after Ctrl-C, and 141 if the reader of the
        output has gone, as for other programs.
    """
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_output()
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2
    except OSError as error:
        _let_go_of_output()
        what = "standard output" if error.filename is None else repr(error.filename)
        _complain(f"{what} cannot be used: {error.strerror}")
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BackendError as error:
        _complain_of_backend(error)
        return 1
    except HpoError as error:
        _complain(str(error))
        return 1


def _complain(text: str) -> None:
    print(f"hpo-core: {printable(text)}", file=sys.stderr)


def _complain_of_backend(error: BackendError) -> None:
    """It lists modules, one a line."""
    first, *others = str(error).split("\n")
    _complain(first)
    for line in others:
        print(printable(line), file=sys.stderr)


def _let_go_of_output() -> None:
    """Send the rest nowhere: Python writes it once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hpo-core",
        description="Inspect and manage stored studies, and show how hpo_core runs on this machine.",
        epilog="See the options of a command with: hpo-core COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="command", required=True)
    _add(commands, "info", _info, "show the backend, SIMD level, BLAS, threads and versions")
    _add(commands, "ls", _ls, "list the studies of a storage", "storage")
    _add(commands, "show", _show, "show the space, settings and progress of a study", "storage", "name")
    _add(commands, "best", _best, "show the best trial, or the trials on the front", "storage", "name")
    about = "write the trials of a study, or their reports, to a file or to a storage of Optuna"
    export = _add(commands, "export", _export, about, "storage", "name", "target")
    export.add_argument("--to", choices=("file", "optuna"), default="file", help=EXPORT_TO)
    export.add_argument("--format", choices=tuple(WRITERS), help="by default, the ending of the file name")
    export.add_argument("--reports", action="store_true", help="write a row per report, not per trial")
    report = _add(commands, "report", _report, "write a study as one HTML file", "storage", "name")
    report.add_argument(
        "-o", "--output", default="report.html", metavar="file", help="file to write (default: %(default)s)"
    )
    serve = _add(commands, "serve", _serve, "show studies in a browser while they run", "storage")
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s); others require the token that is printed",
    )
    serve.add_argument("--port", type=int, help="port to listen on (default: 8000, or a free port)")
    _add(commands, "delete", _delete, "delete a study; its log stays in the storage", "storage", "name")
    _add(commands, "doctor", _doctor, "check the logs of a storage for damage", "storage")
    _add(commands, "backup", _backup, "copy an SQLite file, even while it is in use", "storage", "target")
    return parser


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str, *arguments: str
) -> argparse.ArgumentParser:
    description = f"{about[0].upper()}{about[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=description)
    for argument in arguments:
        command.add_argument(argument, help=ARGUMENTS.get(f"{name} {argument}", ARGUMENTS[argument]))
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


def _info(options: argparse.Namespace) -> int:
    return _print(native.info(), options)


def _ls(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import overview

    found = overview(open_storage(options.storage, must_exist=True))
    damaged = [facts["name"] for facts in found if "problem" in facts]
    if options.json:
        _print_json(found)
    else:
        _say(*(f"{facts['name']!r}  {_summary(facts)}" for facts in found))
    if damaged:
        _complain(f"{len(damaged)} of {len(found)} studies are damaged: {', '.join(map(repr, damaged))}")
    return int(bool(damaged))


def _summary(facts: dict[str, Any]) -> str:
    if "problem" in facts:
        return f"damaged: {facts['problem']}"
    goal = facts["direction"] if "direction" in facts else ", ".join(map(_metric, facts["metrics"]))
    if "front" in facts:
        best = f"{facts['front']} on the front"
    elif facts["best_value"] is None:
        best = "none feasible" if facts["complete"] else "no result"
    else:
        best = f"best {facts['best_value']:.6g}"
    named = f"{facts['sampler']}, {facts['scheduler']}" if "scheduler" in facts else facts["sampler"]
    paused = f" ({facts['paused']} paused)" if facts["paused"] else ""
    return f"{named}, {goal}, {facts['trials']} trials{paused}, {best}"


def _metric(written: dict[str, Any]) -> str:
    """Return a metric in words: "minimize error", "latency <= 5", "maximize accuracy (reference 0.9)"."""
    more = [f"reference {written['reference']:.6g}"] if "reference" in written else []
    more += ["known"] if "known" in written else []
    if "bound" in written:
        goal = f"{written['name']} {'<=' if written['kind'] == 'at_most' else '>='} {written['bound']:.6g}"
    else:
        goal = f"{written['kind']} {written['name']}"
    return f"{goal} ({', '.join(more)})" if more else goal


def _show(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import find, savings, summary

    storage = open_storage(options.storage, must_exist=True)
    place, described = find(storage, options.name)
    facts = summary(storage, options.name, place.key)
    if "problem" in facts:
        raise StorageError(f"study {options.name!r} in {str(storage)!r}: {facts['problem']}")
    saved = savings(_open(storage, options.name).history) if facts["stopped"] or facts["paused"] else None
    if options.json:
        facts |= {"savings": saved.to_json()} if saved else {}
        return _print_json(facts | {"space": json.loads(described.space.to_json())})
    _say(*str(described.space).split("\n"))
    metrics = {"metrics": [*map(_metric, facts["metrics"])]} if "metrics" in facts else {}
    return _print(_in_python(facts) | metrics | (saved.in_words() if saved else {}), options)


def _best(options: argparse.Namespace) -> int:
    study = _open(options.storage, options.name)
    metrics = study.metrics
    several = metrics.n_objectives > 1
    found: list[dict[str, Any]] = []
    for trial in study.best_trials if several else [study.best_trial]:
        facts: dict[str, Any] = {"number": trial.number}
        facts |= {} if several else {"value": trial.value}
        facts |= {"values": trial.values} if len(metrics) > 1 else {}
        facts |= {"feasible": trial.feasible} if metrics.constraints else {}
        found.append(facts | {"params": trial.params})
    if not found:
        raise StudyError(f"study {options.name!r}: no trial has completed yet")
    if options.json:
        return _print_json(found if several else found[0])
    return _print_front(found) if several else _print(_in_python(found[0]), options)


def _print_front(found: list[dict[str, Any]]) -> int:
    """Print a table with a row for each trial."""
    if not found[0].get("feasible", True):
        _complain("no trial keeps all bounds; this one violates them least")
    rows = [["number", *found[0]["values"], "params"]]
    for each in found:
        values = (f"{value:.6g}" for value in each["values"].values())
        rows.append([str(each["number"]), *values, ", ".join(_assignments(each["params"]))])
    rows = [[*map(printable, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    _say(*("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))
    return 0


def _export(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage

    storage = open_storage(options.storage, must_exist=True)
    study = _open(storage, options.name)
    if options.to == "optuna":
        return _print(_copy_to_optuna(study, options), options)
    kind = options.format or options.target.rpartition(".")[2]
    if kind not in WRITERS:
        raise ArgumentError(
            f"target must end in .{', .'.join(WRITERS)}, or --format must be given, got {options.target!r}"
            + ("; add --to optuna to write to a storage of Optuna" if "://" in options.target else "")
        )
    export(study, options.target, kind, storage=str(storage), reports=options.reports)
    facts: dict[str, Any] = {"file": options.target, "trials": len(study.trials)}
    facts |= {"reports": len(study.history.reports.row)} if options.reports else {}
    if options.json:
        facts |= {} if study.metrics.direction else {"metrics": study.metrics.to_json()}
        facts |= {"notes": study.notes} if study.notes else {}
    return _print(facts, options)


def _copy_to_optuna(study: ReadOnlyStudy, options: argparse.Namespace) -> dict[str, Any]:
    if options.format or options.reports:
        raise ArgumentError(
            "--format and --reports must be left out with --to optuna, which copies everything"
        )
    try:
        from hpo_core.integrations.optuna import to_optuna
    except ImportError as error:
        raise ArgumentError("--to optuna needs Optuna: pip install 'hpo-core[optuna]'") from error
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    copied = to_optuna(study, options.target)
    return {"optuna": options.target, "study": copied.study_name, "trials": len(study.trials)}


def _report(options: argparse.Namespace) -> int:
    study = _open(options.storage, options.name)
    study.report(options.output)
    return _print({"file": options.output, "trials": len(study.history)}, options)


def _serve(options: argparse.Namespace) -> int:
    from hpo_core.live import serve

    def say(address: str) -> None:
        _print({"address": address}, options)
        sys.stdout.flush()

    serve(options.storage, host=options.host, port=options.port, say=say)
    return 0


def _backup(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage

    open_storage(options.storage, must_exist=True).backup(options.target)
    return _print({"copied": options.storage, "to": options.target}, options)


def _delete(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import delete

    storage = open_storage(options.storage, must_exist=True)
    delete(storage, options.name)
    return _print({"deleted": options.name}, options)


def _doctor(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import check

    storage = open_storage(options.storage, must_exist=True)
    file = storage.check()
    studies = [check(storage, name, key) for name, key in storage.studies().items()]
    if options.json:
        _print_json({"file": file, "studies": studies})
    else:
        _say(
            f"file: {file or 'good'}",
            *(f"{e['study']!r}: {e['problem'] or 'good'}; last good event {e['last_good']}" for e in studies),
        )
    return int(file is not None or any(each["problem"] for each in studies))


def _open(place: Any, name: str) -> ReadOnlyStudy:
    from hpo_core.storage import open_storage
    from hpo_core.study import ReadOnlyStudy

    return ReadOnlyStudy(open_storage(place, must_exist=True), name)


def _print(facts: dict[str, Any], options: argparse.Namespace) -> int:
    if options.json:
        return _print_json(facts)
    width = max(map(len, facts))
    for name, fact in facts.items():
        first, *others = _in_words(fact)
        _say(f"{name:{width}}  {first}", *(f"{'':{width}}  {line}" for line in others))
    return 0


def _print_json(facts: object) -> int:
    print(json.dumps(plain(facts), indent=2))
    return 0


def _say(*lines: str) -> None:
    """Print lines of which each may hold anything."""
    for line in lines:
        print(displayed(line))


def _assignments(values: dict[str, Any]) -> list[str]:
    """Return values as they are written in Python."""
    return [f"{name}={value!r}" for name, value in values.items()]


def _in_python(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts with the values that have names as they are written in Python."""
    return {name: _assignments(fact) if isinstance(fact, dict) else fact for name, fact in facts.items()}


def _in_words(fact: object) -> list[str]:
    """Return a fact as lines of text."""
    if isinstance(fact, dict):
        return [f"{name} ({why})" for name, why in fact.items()] or ["none"]
    if isinstance(fact, list):
        return [", ".join(map(str, fact)) or "none"]
    return ["-" if fact is None else str(fact)]


if __name__ == "__main__":
    sys.exit(main())
