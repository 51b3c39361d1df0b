"""The extension list and the compiler flags; everything else is in pyproject.toml."""

import copy
import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

SOURCES = {
    "_normal": ["normal.c"],
    "_domain": ["domain.c", "sobol.c"],
    "_parzen": ["parzen.c", "domain.c"],
    "_tpe": ["tpe.c", "tpe_ask.c", "parzen.c", "domain.c"],
    "_pool": ["pool.c", "tpe.c", "tpe_ask.c", "parzen.c", "domain.c", "sobol.c"],
    "_covariance": ["covariance.c"],
    "_improvement": ["improvement.c"],
    "_ehvi": ["ehvi.c"],
    "_linalg": ["solve.c"],
    "_climb": ["climb.c"],
    "_surrogate": ["covariance.c", "solve.c", "improvement.c", "climb.c"],
    "_hypervolume": ["hypervolume.c"],
    "_importance": ["importance.c"],
}
ROOM = "hpo_core.native"
SHARED = f"{ROOM}._cyutility"  # what Cython would otherwise put into each module, two thirds of its C


def switch(name: str) -> bool:
    """Whether an environment variable turns a build option on."""
    return os.environ.get(name, "0") not in ("", "0")


DEBUG, SANITIZE = switch("HPO_CORE_DEBUG"), switch("HPO_CORE_SANITIZE")
# One build for Python 3.11 and later. CPython without the global lock has no stable ABI that early.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ABI3 = not FREE_THREADED and not DEBUG

# Never -ffast-math: NaN marks inactive values.
CFLAGS = ["-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
CFLAGS += ["-Og", "-g", "-Wall", "-Wextra"] if DEBUG or SANITIZE else ["-O3", "-g0"]
# The kernels use vector types that MSVC's own compiler lacks; clang-cl takes its place and has GCC's flags.
WINDOWS = sys.platform == "win32"
if WINDOWS:
    CFLAGS = [f"/clang:{flag}" for flag in CFLAGS]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
LDFLAGS = SANITIZERS if SANITIZE else []
CHECKS = {"boundscheck": DEBUG, "initializedcheck": DEBUG, "wraparound": False, "cdivision": True}


def extension(name: str, sources: list[str]) -> Extension:
    """One module of hpo_core.native and what it is compiled from."""
    return Extension(
        name,
        sources,
        include_dirs=["csrc"],
        libraries=[] if WINDOWS else ["m"],
        depends=[str(header) for header in sorted(Path("csrc").glob("*.h"))],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
        extra_compile_args=CFLAGS + LDFLAGS,
        extra_link_args=LDFLAGS,
    )


class BuildExtensions(build_ext):
    """Compile all extensions, or none of them: hpo_core uses them together or numba in their place.

    A wheel without them is tagged ``py3-none-any``. pip then prefers one that has them.
    """

    def run(self) -> None:
        """Build, or say why there is nothing compiled."""
        try:
            super().run()
        except (BaseError, CCompilerError) as error:
            if switch("HPO_CORE_REQUIRE_NATIVE"):
                raise
            print(f"hpo_core is built without compiled code: {error}", file=sys.stderr)
            for compiled in self.get_outputs():
                Path(compiled).unlink(missing_ok=True)
            self.extensions = self.distribution.ext_modules = []
            self.distribution.get_command_obj("bdist_wheel").root_is_pure = True

    def build_extension(self, ext: Extension) -> None:
        """Build one, its objects in a folder of their own: some share a source, and all run in parallel."""
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp) / ext.name)
        if self.compiler.compiler_type == "msvc":
            own.compiler = copy.copy(self.compiler)
            own.compiler.initialize()
            own.compiler.cc = "clang-cl"
        build_ext.build_extension(own, ext)


MODULES = {
    f"{ROOM}.{name}": [f"hpo_core/native/{name}.pyx", *(f"csrc/{source}" for source in sources)]
    for name, sources in SOURCES.items()
}
setup(
    ext_modules=cythonize(
        [extension(name, sources) for name, sources in {**MODULES, SHARED: []}.items()],
        compiler_directives={"language_level": 3, "freethreading_compatible": True, **CHECKS},
        shared_utility_qualified_name=SHARED,
    ),
    cmdclass={"build_ext": BuildExtensions},
    options={
        "build_ext": {"parallel": os.cpu_count() or 1},
        "bdist_wheel": {"py_limited_api": "cp311"} if ABI3 else {},
    },
)
