"""A study in a file, for tests of what others do to it meanwhile."""

from __future__ import annotations

import pytest
from studies import make_study


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "s.db")


@pytest.fixture
def study(file):
    return make_study(storage=file, name="s")
