"""The command line: ``hpo-core info`` and what looks after the studies in a storage."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from hpo_core import __version__, native
from hpo_core.errors import ArgumentError, HpoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpo_core.study import StoredResults

FORMATS = ("csv", "json", "parquet")


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
    _add(commands, "info", _info, "print backend, SIMD level, BLAS, threads and versions")
    _add(commands, "ls", _ls, "list the studies of a storage", "storage")
    _add(commands, "show", _show, "print what a study is and how far it has come", "storage", "name")
    _add(commands, "best", _best, "print the best trial", "storage", "name")
    export = _add(commands, "export", _export, "write the trials to a file", "storage", "name", "file")
    export.add_argument("--format", choices=FORMATS, help="else the ending of the file says it")
    _add(commands, "delete", _delete, "delete a study; its log stays in the storage", "storage", "name")
    _add(commands, "doctor", _doctor, "check the logs of a storage", "storage")
    return parser


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str, *arguments: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    for argument in arguments:
        command.add_argument(argument)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run)
    return command


def _info(options: argparse.Namespace) -> int:
    return _print(native.info(), options)


def _ls(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage

    storage = open_storage(options.storage, must_exist=True)
    found = [_summary(_open(storage, name)) for name in storage.studies()]
    if options.json:
        print(json.dumps(found, indent=2))
    for facts in [] if options.json else found:
        best = "no result" if facts["best_value"] is None else f"best {facts['best_value']:.6g}"
        print(
            f"{facts['name']!r}  {facts['sampler']}, {facts['direction']}, {facts['trials']} trials, {best}"
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    study = _open(options.storage, options.name)
    if not options.json:
        print(study.space)
    return _print(
        _summary(study) | ({"space": json.loads(study.space.to_json())} if options.json else {}), options
    )


def _best(options: argparse.Namespace) -> int:
    trial = _open(options.storage, options.name).best_trial
    return _print({"number": trial.number, "value": trial.value, "params": trial.params}, options)


def _export(options: argparse.Namespace) -> int:
    study = _open(options.storage, options.name)
    kind = options.format or options.file.rpartition(".")[2]
    if kind not in FORMATS:
        raise ArgumentError(
            f"file must end in {', '.join(FORMATS)}, or --format must say one; got {options.file!r}"
        )
    try:
        _WRITERS[kind](study, options.file)
    except OSError as error:
        raise ArgumentError(f"file {options.file!r} cannot be written: {error.strerror}") from error
    return _print({"file": options.file, "trials": len(study.trials)}, options)


def _delete(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import delete

    storage = open_storage(options.storage, must_exist=True)
    delete(storage, options.name)
    return _print({"deleted": options.name}, options)


def _doctor(options: argparse.Namespace) -> int:
    from hpo_core.storage import open_storage
    from hpo_core.study import examine

    storage = open_storage(options.storage, must_exist=True)
    file = storage.check()
    studies = [examine(storage, name, key) for name, key in storage.studies().items()]
    if options.json:
        print(json.dumps({"file": file, "studies": studies}, indent=2))
    else:
        print(f"file: {file or 'good'}")
        for each in studies:
            print(f"{each['study']!r}: {each['problem'] or 'good'}; last good event {each['last_good']}")
    return int(file is not None or any(each["problem"] for each in studies))


def _open(place: Any, name: str) -> StoredResults:
    from hpo_core.storage import open_storage
    from hpo_core.study import StoredResults

    return StoredResults(open_storage(place, must_exist=True), name)


def _summary(study: StoredResults) -> dict[str, Any]:
    best = study.best_value if study.history.best >= 0 else None
    states = {state: len(study.trials.where(state)) for state in ("running", "complete", "stopped", "failed")}
    facts = {
        "name": study.name,
        "sampler": study.sampler.name,
        "direction": study.direction,
        "seed": study.seed,
    }
    return facts | {"trials": len(study.trials), **states, "best_value": best}


def _rows(study: StoredResults) -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            "reason": study.history.reasons.get(trial.number),
            **{f"params.{name}": value for name, value in trial.params.items()},
        }
        for trial in study.trials
    ]


def _write_csv(study: StoredResults, path: str) -> None:
    names = ["number", "state", "value", "reason", *(f"params.{name}" for name in study.space.parameters)]
    with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123 - a name from the command line
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(_rows(study))


def _write_json(study: StoredResults, path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(_rows(study), file, indent=1, default=str)


def _write_parquet(study: StoredResults, path: str) -> None:
    try:
        frame = study.to_pandas()
        for name, column in frame.items():
            if len(set(map(type, column.dropna()))) > 1:  # a column of Parquet has one type
                frame[name] = column.map(str, na_action="ignore")
        frame.to_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ArgumentError("parquet needs pandas and pyarrow: pip install 'hpo-core[parquet]'") from error


_WRITERS = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}


def _print(facts: dict[str, Any], options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps(facts, indent=2, default=str))
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
    text = "-" if fact is None else str(fact)
    return text if text.isprintable() else repr(text)  # a name may hold what a terminal would obey


if __name__ == "__main__":
    sys.exit(main())
