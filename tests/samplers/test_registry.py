"""Samplers by name, and imports of them in any order."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hpo_core as hpo
from hpo_core import samplers


@pytest.mark.parametrize(
    "module",
    [
        "acquisition",
        "gp.failures",
        "gp.sampler",
        "samplers",
        "samplers.auto",
        "samplers.startup",
        "tpe.sampler",
    ],
)
def test_a_fresh_process_may_import_any_of_the_rooms_first(module):
    done = subprocess.run(
        [sys.executable, "-c", f"import hpo_core.{module}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_package_has_every_name_it_promises():
    for name in samplers.__all__:
        assert getattr(samplers, name) is not None
        assert name in dir(samplers)
    with pytest.raises(AttributeError, match="no attribute 'Pool'"):
        samplers.Pool  # noqa: B018 - the error is the point


def test_names_are_those_of_the_classes():
    for name, kind in samplers.BY_NAME.items():
        assert kind.name == name
        assert type(samplers.resolve(name)) is kind
    assert hpo.TPESampler is samplers.TPESampler
