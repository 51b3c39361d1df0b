from __future__ import annotations

import json
import subprocess
import sys

import pytest

import hpo_core
from hpo_core import cli, native
from hpo_core.errors import BackendError


def test_info_prints_every_fact(capsys):
    assert cli.main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["hpo_core"] == hpo_core.__version__
    assert lines["backend"] == native.backend()
    assert lines["blas"] == native.info()["blas"]
    assert list(lines) == list(native.info())


def test_info_as_json_is_what_native_says(capsys):
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == native.info()


def test_missing_extensions_are_named_with_their_reason(capsys, monkeypatch):
    facts = {
        "backend": "numba",
        "simd": None,
        "simd_levels": [],
        "missing_extensions": {"_tpe": "no compiler"},
    }
    monkeypatch.setattr(native, "info", lambda: facts)
    cli.main(["info"])
    assert capsys.readouterr().out.splitlines() == [
        "backend             numba",
        "simd                -",
        "simd_levels         none",
        "missing_extensions  _tpe (no compiler)",
    ]


def test_an_error_is_one_line_and_a_status(capsys, monkeypatch):
    def broken():
        raise BackendError("install numba")

    monkeypatch.setattr(native, "info", broken)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == "hpo-core: install numba\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["info", "--nonsense"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments)
    assert exit_info.value.code == 2
    assert "usage: hpo-core" in capsys.readouterr().err


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "hpo_core.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hpo_core.__version__
