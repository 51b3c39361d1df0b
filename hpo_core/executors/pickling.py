"""Sending objectives and parameter values to another process."""

from __future__ import annotations

import ast
import io
import os
import pickle
import sys
import tokenize
from dis import get_instructions
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from hpo_core.errors import ArgumentError
from hpo_core.executors.failures import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INSTALL = "or install cloudpickle: pip install 'hpo-core[parallel]'"


def pack(value: object, *, what: str, here: bool = True) -> bytes:
    """Pickle by reference if the worker can import the value, otherwise by value (cloudpickle).

    Reference comes first: a module's data is then loaded by each worker instead of being copied.
    Workers that were not spawned ``here`` have another main module.

    Raises
    ------
    ArgumentError
        ``value`` can be pickled only by value, and cloudpickle is not installed or fails as well.
    """
    try:
        packed = pickle.dumps(value)
    except Exception as error:
        advice = "it is local or a lambda. Move it to the top level of a module"
        return _pack_by_value(value, f"{what} cannot be sent to a worker process by pickle: {advice}", error)
    if b"__main__" in packed and (obstacle := _obstacle(value, here=here)):
        return _pack_by_value(value, f"{what} cannot be sent to a worker process by pickle: {obstacle}", None)
    return packed


def _pack_by_value(value: object, message: str, cause: Exception | None) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        raise ArgumentError(f"{message}, {INSTALL}") from cause
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        what, _, _ = message.partition(" by pickle: ")
        raise ArgumentError(f"{what}: {describe(error)}") from error


def main_can_be_imported() -> bool:
    """Whether spawn can import the main module: yes for scripts, not for notebooks or standard input.

    A worker of a frozen program runs the same program as far as its call of ``freeze_support``.
    """
    if getattr(sys, "frozen", False):
        return True
    main = sys.modules["__main__"]
    return getattr(main, "__spec__", None) is not None or _is_script(getattr(main, "__file__", None))


def _is_script(path: str | None) -> bool:
    if path is None or not Path(path).is_file():
        return False
    try:
        return not os.path.samestat(Path(path).stat(), os.fstat(0))  # /dev/stdin, which has been read
    except OSError:
        return True


def _obstacle(value: object, *, here: bool) -> str:
    """Return why a worker lacks names of the main module that a value needs, and a remedy; else ""."""
    if not here:
        return "it lives in the main program, which that worker does not have. Move it to a module"
    if not main_can_be_imported():
        return (
            "it lives in a notebook, an interactive session or a program on standard input, which a worker "
            "cannot import. Move it to a module"
        )
    guarded = _guarded_names(getattr(sys.modules["__main__"], "__file__", None))
    if guarded and (names := guarded & _Referrer.names(value)):
        return (
            f'it needs {", ".join(sorted(names))}, defined under `if __name__ == "__main__":`, which '
            "workers do not run. Move the definition above that line"
        )
    return ""


class _Referrer(pickle.Pickler):
    """Notes which names of the main module a pickle refers to, and its functions read."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.found: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType) and obj.__module__ == "__main__":
            self.found.add(obj.__qualname__.partition(".")[0])
        if isinstance(obj, FunctionType) and obj.__module__ == "__main__":
            self.found.update(i.argval for i in get_instructions(obj) if i.opname == "LOAD_GLOBAL")
        return NotImplemented

    @classmethod
    def names(cls, value: object) -> set[str]:
        referrer = cls()
        referrer.dump(value)
        return referrer.found


def _guarded_names(path: str | None) -> set[str]:
    """Return the names that a script defines only when it is run, not when it is imported."""
    try:
        with tokenize.open(path or "") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError):  # an archive, a compiled file
        return set()
    guarded = [branch for branch in body if isinstance(branch, ast.If) and _is_guard(branch.test)]
    always = [branch for branch in body if branch not in guarded]
    always += [statement for branch in guarded for statement in branch.orelse]
    return _defined(statement for branch in guarded for statement in branch.body) - _defined(always)


def _is_guard(test: ast.expr) -> bool:
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _defined(statements: Iterable[ast.stmt]) -> set[str]:
    """Return the names that statements of a module bind, in any branch."""
    return {name for statement in statements for name in _bound(statement)}


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return  # what it binds inside is its own
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.alias(name=name, asname=alias):
            yield alias or name.partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)
