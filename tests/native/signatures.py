"""Signatures as headers, extensions, stubs, doors and the numba twin write them, in the words of one list.

``csrc/signatures.json`` holds the C prototypes of each header, and the functions of each extension with the
types of its arguments in Cython. A class's function is written ``Class.function``, its constructor ``Class``.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "hpo_core" / "native"
LIST = json.loads((ROOT / "csrc" / "signatures.json").read_text())

# What a stub calls the types of an extension.
STUB_TYPES = {"double": "float", "int64_t": "int", "uint64_t": "int", "Py_ssize_t": "int"}
STUB_ENTRIES = {"double": "float64"}


def one_line(text):
    return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", " ".join(text.split()))


def split(arguments):
    """Arguments between commas that are in no bracket."""
    parts = re.split(r",(?![^\[]*\])", arguments)
    return [part.strip() for part in parts if part.strip() not in ("", "self")]


def prototypes(text):
    """C functions that a header or a Cython file declares and nothing defines here."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(
        r"^ *((?:void|int|int64_t|double) \w+\([^()]*\))(?:;| *noexcept\n|\n)", text, re.MULTILINE
    )
    return [one_line(declaration) for declaration in found]


def definitions(text):
    """Python functions of a Cython file: ``{name: [argument, ...]}`` with types."""
    found, owner = {}, ""
    pattern = r"^cdef class (\w+)|^( *)def (\w+)\(([^()]*)\):"
    for cdef_class, indent, name, arguments in re.findall(pattern, text, re.MULTILINE):
        if cdef_class:
            owner = cdef_class
            continue
        full = f"{owner}.{name}" if indent else name
        found[full.replace(".__cinit__", "").replace(".__init__", "")] = split(one_line(arguments))
    left_out = [*re.findall(r"@property\n +def (\w+)", text), "__dealloc__"]
    return {name: arguments for name, arguments in found.items() if name.split(".")[-1] not in left_out}


def listed(topic):
    """The list's functions of an extension: ``{name: ([argument, ...], result)}``."""
    functions = [re.fullmatch(r"([\w.]+)\((.*)\) -> (.+)", line).groups() for line in LIST["python"][topic]]
    return {name: (split(arguments), result) for name, arguments, result in functions}


def name_of(argument):
    return argument.split()[-1]


def stub_type(argument):
    """What a stub says of an argument written in Cython; None if it may say more."""
    kind = argument.rpartition(" ")[0].removeprefix("const ")
    if "[" in kind:
        entry = kind.split("[")[0]
        return f"NDArray[np.{STUB_ENTRIES.get(entry, entry.removesuffix('_t'))}]"
    return STUB_TYPES.get(kind, kind) if kind not in ("", "list", "tuple") else None


def functions_of(path):
    """Functions of a stub or a module: ``{name: ([(argument, annotation), ...], result)}``; no properties."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        owner, inner = (f"{node.name}.", node.body) if isinstance(node, ast.ClassDef) else ("", [node])
        for function in inner:
            if not isinstance(function, ast.FunctionDef) or _is_property(function):
                continue
            arguments = [a for a in function.args.args if a.arg != "self"]
            typed = [(a.arg, a.annotation and ast.unparse(a.annotation)) for a in arguments]
            name = f"{owner}{function.name}".replace(".__init__", "")
            found[name] = typed, function.returns and ast.unparse(function.returns)
    return found


def _is_property(function):
    return any(
        ast.unparse(d) == "property" or ast.unparse(d).endswith(".setter") for d in function.decorator_list
    )
