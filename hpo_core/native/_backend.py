"""Which implementation serves: compiled extensions, or the same functions in numba.

``HPO_CORE_BACKEND=native|numba`` chooses; unset, native serves wherever every extension is there.
``HPO_CORE_REQUIRE_NATIVE=1`` makes a missing extension an error when hpo_core is imported.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.errors import ArgumentError, BackendError
from hpo_core.native.threads import get_num_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

BACKENDS = ("native", "numba")
TOPICS = (
    "normal", "domain", "parzen", "tpe", "covariance", "improvement", "ehvi", "climb", "hypervolume",
    "importance", "pool",
)  # fmt: skip
# Importing it loads SciPy, 0.1 s: only those who use it do. Until then its file is what counts.
ON_SCIPY = ("linalg", "surrogate")
SIMD_LEVELS = ("baseline", "x86-64-v3", "x86-64-v4")
OPTIONAL = ("scipy", "numba", "torch", "threadpoolctl")
# pip's cache may hold the build without compiled code; it has the version that is asked for.
CURE = "pip install --force-reinstall --no-deps --no-cache-dir hpo-core"
# Its modules are imported by name, which programs that freeze others do not see; PyInstaller has our hook.
FROZEN_CURE = (
    "this frozen program lacks modules of hpo_core. Include the whole package: --collect-submodules hpo_core "
    "(PyInstaller), --include-package=hpo_core (Nuitka), packages=['hpo_core'] (cx_Freeze)"
)

logger = logging.getLogger("hpo_core")

_modules: dict[str, ModuleType] = {}
_chosen: list[str] = []  # the backend in use, once it has been needed


def backend() -> str:
    """Return the name of the backend in use, which is chosen at the first call.

    Returns
    -------
    {"native", "numba"}
    """
    if not _chosen:
        _chosen.append(_choose(os.environ.get("HPO_CORE_BACKEND", "")))
    return _chosen[0]


def module(topic: str) -> ModuleType:
    """The module that implements a topic: ``native._<topic>`` or its numba twin."""
    try:
        return _modules[topic]
    except KeyError:
        return _modules.setdefault(topic, _load(backend(), topic))


def _load(name: str, topic: str) -> ModuleType:
    path = f"_{topic}" if name == "native" else f"numba_backend.{topic}"
    return import_module(f"hpo_core.native.{path}")


def _choose(wanted: str) -> str:
    if wanted not in ("", *BACKENDS):
        raise BackendError(f"HPO_CORE_BACKEND must be native or numba, got {wanted!r}")
    missing = missing_extensions() if wanted != "numba" else {}
    if missing and wanted == "native":
        raise BackendError(f"HPO_CORE_BACKEND=native, but {_describe(missing)}")
    if wanted != "numba" and not missing:
        return "native"
    if missing and getattr(sys, "frozen", False):
        raise BackendError(f"{FROZEN_CURE}; {_describe(missing)}")
    if find_spec("numba") is None:
        because = _describe(missing) if missing else "HPO_CORE_BACKEND=numba asks for it"
        raise BackendError(
            "numba is not installed. pip install 'hpo-core[numba]', or install a C compiler and run: "
            f"{CURE}; for now {because}"
        )
    if missing:
        logger.warning(
            "hpo_core runs on numba, without its compiled code: the first suggestions wait while numba "
            "compiles. For compiled code, install a C compiler and run: %s",
            CURE,
        )
    return "numba"


def missing_extensions() -> dict[str, str]:
    """The compiled modules that cannot be imported, with the reason."""
    missing = {}
    for topic in TOPICS:
        try:
            _load("native", topic)
        except ImportError as error:
            missing[f"_{topic}"] = str(error)
    missing |= {f"_{topic}": "not compiled" for topic in ON_SCIPY if not _is_compiled(topic)}
    return missing


def _is_compiled(topic: str) -> bool:
    return find_spec(f"hpo_core.native._{topic}") is not None


def _describe(missing: dict[str, str]) -> str:
    reasons = "".join(f"\n  {name}: {reason}" for name, reason in missing.items())
    return f"the compiled extensions cannot be imported:{reasons}"


def require_native() -> None:
    """Raise BackendError unless every extension is there, if HPO_CORE_REQUIRE_NATIVE asks for it."""
    if os.environ.get("HPO_CORE_REQUIRE_NATIVE", "0") in ("", "0"):
        return
    if missing := missing_extensions():
        raise BackendError(f"HPO_CORE_REQUIRE_NATIVE is set, but {_describe(missing)}")


@contextmanager
def use(name: str) -> Iterator[None]:
    """Use a backend inside a ``with`` block. For tests: handles made outside do not fit inside."""
    if name not in BACKENDS:
        raise ArgumentError(f"name must be 'native' or 'numba', got {name!r}")
    before = _chosen.copy()
    _switch([_choose(name)])
    try:
        yield
    finally:
        _switch(before)


def _switch(chosen: list[str]) -> None:
    _chosen[:] = chosen
    _modules.clear()


def simd_levels() -> tuple[str, ...]:
    """Return the SIMD levels of this CPU, slowest first; none without the compiled extensions.

    Returns
    -------
    tuple of str
    """
    if "_normal" in missing_extensions():
        return ()
    best: int = _load("native", "normal")._simd_best()
    return SIMD_LEVELS[: best + 1]


def simd() -> str | None:
    """The SIMD level in use; None on numba, which compiles for the CPU at hand."""
    return SIMD_LEVELS[module("normal")._simd_level()] if backend() == "native" else None


@contextmanager
def simd_level(name: str) -> Iterator[None]:
    """Limit all compiled modules to a SIMD level inside a ``with`` block, for tests.

    Parameters
    ----------
    name : str
        One of ``simd_levels()``.
    """
    if name not in (allowed := simd_levels()):
        raise ArgumentError(f"name must be a level of this machine, {allowed}, got {name!r}")
    compiled_all = [_load("native", topic) for topic in (*TOPICS, *ON_SCIPY)]
    modules = [compiled for compiled in compiled_all if hasattr(compiled, "_set_simd_level")]
    before = [compiled._simd_level() for compiled in modules]
    for compiled in modules:
        compiled._set_simd_level(SIMD_LEVELS.index(name))
    try:
        yield
    finally:
        for compiled, level in zip(modules, before, strict=True):
            compiled._set_simd_level(level)


def info() -> dict[str, Any]:
    """Return the backend, SIMD level, threads, BLAS and versions in use, without importing anything.

    Returns
    -------
    dict
        As shown by ``hpo-core info``.
    """
    import platform

    from hpo_core import __version__

    packages = {name: _version(name) for name in OPTIONAL}
    return {
        "hpo_core": __version__,
        "backend": backend(),
        "simd": simd(),
        "simd_levels": list(simd_levels()),
        "missing_extensions": missing_extensions(),
        "threads": get_num_threads(),
        "blas": blas(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        **packages,
    }


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # 20 ms that few need

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def blas() -> str:
    """The BLAS that numpy was built with, as "name version"."""
    config = np.show_config(mode="dicts")
    found = config.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def build_id() -> str:
    """Return version, backend, SIMD level, BLAS and SciPy in one string.

    Builds with equal ids give bit-equal suggestions. SciPy's release identifies the LAPACK that it ships, so
    that nothing needs to be loaded.

    Returns
    -------
    str
    """
    from hpo_core import __version__

    parts = __version__, backend(), simd() or "jit", blas(), f"scipy {_version('scipy')}"
    return "/".join(parts).replace(" ", "-")
