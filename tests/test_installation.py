"""What is installed: the wheel and not the checkout, light to import, usable without a compiler."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import hpo_core

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = {
    "_normal", "_domain", "_parzen", "_tpe", "_covariance", "_improvement", "_ehvi", "_linalg", "_climb",
    "_hypervolume", "_importance", "_pool", "_surrogate",
}  # fmt: skip

PAGES = {
    path.name for path in (ROOT / "hpo_core/report").iterdir() if path.suffix in (".css", ".html", ".js")
}


def run(*command: str | Path, **environment: str) -> str:
    """Standard output of a command that must succeed, with some environment variables set."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tests_import_the_installed_package():
    assert Path(hpo_core.__file__).parent != ROOT / "hpo_core"
    assert sys.flags.safe_path
    assert str(ROOT) not in sys.path


def test_the_version_is_that_of_the_metadata():
    assert importlib.metadata.version("hpo-core") == hpo_core.__version__


def test_importing_loads_no_heavy_package():
    heavy = ["scipy", "numba", "torch", "pandas", "matplotlib", "sklearn", "cloudpickle", "tqdm"]
    code = f"import hpo_core, sys; print([name for name in {heavy} if name in sys.modules])"
    assert run(sys.executable, "-c", code).strip() == "[]"


def test_the_command_is_installed():
    assert run(Path(sys.executable).with_name("hpo-core"), "--version").strip() == hpo_core.__version__


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution of the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def fallback(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that comes out where the C compiler fails at one of the modules."""
    folder = tmp_path_factory.mktemp("fallback")
    compiler = folder / "cc"
    compiler.write_text('#!/bin/sh\ncase "$*" in *climb*) exit 1; esac\nexec cc "$@" -O0\n')
    compiler.chmod(0o755)
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", folder)
    run(*pip, sdist, CC=str(compiler), HPO_CORE_REQUIRE_NATIVE="0")
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.build
def test_the_sdist_holds_nothing_generated(sdist):
    held = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    kernels = {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").iterdir()}
    assert kernels <= held
    assert {f"hpo_core/native/{name}.{kind}" for name in EXTENSIONS for kind in ("pyx", "pyi")} <= held
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "tests/test_installation.py",
        "constraints-dev.txt",
    } <= held
    assert {f"hpo_core/report/{name}" for name in PAGES} <= held
    assert not [name for name in held if name.endswith((".so", ".pyc"))]
    assert not [name for name in held if name.startswith("hpo_core/native/_") and name.endswith(".c")]


@pytest.mark.build
def test_without_a_compiler_the_wheel_installs_and_numba_serves(fallback, tmp_path):
    with zipfile.ZipFile(fallback) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert {"hpo_core/py.typed", "hpo_core/cli.py", "hpo_core/native/numba_backend/__init__.py"} <= names
    assert {f"hpo_core/native/{name}.pyi" for name in EXTENSIONS} <= names
    assert {f"hpo_core/report/{name}" for name in PAGES} <= names
    assert not [name for name in names if name.startswith("tests") or name.endswith((".so", ".c", ".pyx"))]
    command = "import sys; from hpo_core.cli import main; sys.exit(main(['info', '--json']))"
    site = str(tmp_path / "site")
    info = json.loads(run(sys.executable, "-c", command, PYTHONPATH=site, HPO_CORE_REQUIRE_NATIVE="0"))
    assert info["backend"] == "numba"
    assert set(info["missing_extensions"]) == EXTENSIONS


@pytest.mark.build
def test_a_compiled_wheel_goes_first(fallback, tmp_path):
    assert fallback.name.endswith("-py3-none-any.whl")
    platform = sysconfig.get_platform().translate(str.maketrans("-.", "__"))
    compiled = fallback.name.replace("py3-none-any", f"cp311-abi3-{platform}")
    for name in (fallback.name, compiled):
        shutil.copy(fallback, tmp_path / name)
    pip = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-index",
        "--no-deps",
        "-d",
        tmp_path / "chosen",
    )
    run(*pip, "--find-links", tmp_path, "hpo-core")
    assert [path.name for path in (tmp_path / "chosen").iterdir()] == [compiled]


@pytest.mark.build
def test_a_required_native_build_fails_without_a_compiler(sdist):
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-temp", "t", "--build-lib", "l"]
    environment = {**os.environ, "CC": "false", "HPO_CORE_REQUIRE_NATIVE": "1"}
    done = subprocess.run(command, cwd=sdist, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_the_installed_package_is_complete():
    package = Path(hpo_core.__file__).parent
    assert (package / "py.typed").exists()
    held = {path.relative_to(package) for path in package.rglob("*.py")}
    assert held == {path.relative_to(ROOT / "hpo_core") for path in (ROOT / "hpo_core").rglob("*.py")}
    assert {path.name for path in (package / "report").iterdir()} >= PAGES
    assert not list(package.rglob("*.pyx"))
