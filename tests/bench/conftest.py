"""bench is no part of the wheel: it is made importable by its path alone, so that nothing else is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "bench"

if "bench" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "bench", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench"] = module
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path  # the checkout stays off the path of the tests
