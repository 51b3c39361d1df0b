"""One list of signatures, and all that follows it: headers, extensions, stubs, doors, the numba twin."""

from __future__ import annotations

import re

import pytest
from native.signatures import (
    LIST,
    NATIVE,
    ROOT,
    definitions,
    functions_of,
    listed,
    name_of,
    prototypes,
    stub_type,
)

every_topic = pytest.mark.parametrize("topic", sorted(LIST["python"]))
PROTOTYPES = {re.search(r"(\w+)\(", line)[1]: line for lines in LIST["c"].values() for line in lines}
CYTHON = sorted([*NATIVE.glob("*.pyx"), *NATIVE.glob("*.pxd")])


def test_every_extension_and_every_header_with_prototypes_is_on_the_list():
    assert sorted(LIST["python"]) == sorted(path.stem[1:] for path in NATIVE.glob("*.pyx"))
    headers = {path.name for path in (ROOT / "csrc").glob("*.h") if prototypes(path.read_text())}
    assert sorted(LIST["c"]) == sorted(headers)


@pytest.mark.parametrize("header", sorted(LIST["c"]))
def test_a_header_declares_what_the_list_says(header):
    assert prototypes((ROOT / "csrc" / header).read_text()) == LIST["c"][header]


@pytest.mark.parametrize("path", CYTHON, ids=lambda path: path.name)
def test_cython_declares_c_functions_as_their_headers_do(path):
    """The C compiler would not see two pointers of one type change places."""
    blocks = re.findall(r'cdef extern from "(\w+\.h)"[^\n]*:\n((?: +[^\n]*\n|\n)+)', path.read_text())
    for header, block in blocks:
        for declared in prototypes(block) if header in LIST["c"] else []:
            name = re.search(r"(\w+)\(", declared)[1]
            assert declared == PROTOTYPES.get(name, declared)  # an inline function is on no list


@every_topic
def test_an_extension_takes_what_the_list_says(topic):
    found = definitions((NATIVE / f"_{topic}.pyx").read_text())
    assert found == {name: arguments for name, (arguments, _) in listed(topic).items()}


@every_topic
def test_a_stub_says_what_the_list_says(topic):
    stub = functions_of(NATIVE / f"_{topic}.pyi")
    assert sorted(stub) == sorted(listed(topic))
    for name, (arguments, result) in listed(topic).items():
        typed, returned = stub[name]
        assert ([argument for argument, _ in typed], returned) == ([*map(name_of, arguments)], result), name
        for argument, (_, annotation) in zip(arguments, typed, strict=True):
            assert stub_type(argument) in (None, annotation), (name, argument)


@every_topic
def test_the_numba_twin_takes_the_same_arguments(topic):
    pytest.importorskip("numba")
    twin = parameters_of_twin(topic)
    own_to_extensions = ("_", "Scratch", "Model.new_scratch")
    for name, (arguments, _) in listed(topic).items():
        if not name.startswith(own_to_extensions):
            assert twin(name) == [*map(name_of, arguments)], name


def parameters_of_twin(topic):
    """Names of the arguments of a function of the numba backend, or of a class's method."""
    from importlib import import_module
    from inspect import signature

    module = import_module(f"hpo_core.native.numba_backend.{topic}")

    def of(name):
        found = module
        for part in name.split("."):
            found = getattr(found, part)
        names = list(signature(getattr(found, "py_func", found)).parameters)
        return [argument for argument in names if argument != "self"]

    return of


@pytest.mark.parametrize(("topic", "protocol"), [("tpe", "Model"), ("parzen", "Mixture")])
def test_a_protocol_is_what_stub_and_list_say(topic, protocol):
    stub, door = functions_of(NATIVE / f"_{topic}.pyi"), functions_of(NATIVE / f"{topic}.py")
    methods = [name for name in door if name.startswith(f"{protocol}.")]
    assert methods
    for name in methods:
        assert door[name] == stub[name]
