# Every target does all that it needs, on a machine that has Python 3.11+ and a C compiler:
#   make demo      tune a PyTorch model on a real data set       make test      the test suite and the doctests
#   make lint      ruff, mypy --strict, stubtest                 make sanitize  kernels under ASan and UBSan
#   make bench     benchmarks, recorded in bench/results/        make soak      the long versions of the tests
# PYTHON=python3.12 chooses the interpreter. What is installed is a wheel, never the checkout.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: demo test lint bench bench-quick soak sanitize clean

PYTHON ?= python3
VENV := .venv
SANITIZED := .venv-sanitize
WHEELS := build/wheels
SOURCES := pyproject.toml setup.py MANIFEST.in \
    $(shell find csrc hpo_core -name '*.[ch]' -not -path 'hpo_core/*' -o -name '*.py' -o -name '*.py[xi]')

# -P and PYTHONSAFEPATH keep the checkout off the import path, here and in every child process.
export PYTHONSAFEPATH := 1
export PIP_CONSTRAINT := $(CURDIR)/constraints-dev.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PYTEST := $(VENV)/bin/python -m pytest

demo: $(VENV)/demo.stamp
	$(VENV)/bin/python examples/tune_digits.py

test: $(VENV)/test.stamp
	@$(PYTEST) -q --doctest-modules --pyargs hpo_core tests

lint: $(VENV)/test.stamp
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m mypy.stubtest --mypy-config-file pyproject.toml \
	    $(patsubst hpo_core/native/%.pyi,hpo_core.native.%,$(wildcard hpo_core/native/*.pyi))

soak: $(VENV)/test.stamp
	@HPO_CORE_SOAK=1 $(PYTEST) -q tests | tee "bench/results/$$(date +%F)-soak.txt"

bench bench-quick: $(VENV)/bench.stamp
	$(VENV)/bin/python -m bench $(if $(filter bench-quick,$@),--quick)

# The kernels and the C under them, at every SIMD level; numba's own code cannot be instrumented.
sanitize: $(SANITIZED)/test.stamp
	@export LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so)"
	export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	$(SANITIZED)/bin/python -m pytest -q -p no:cacheprovider tests/native

clean:
	rm -rf build dist $(VENV) $(SANITIZED) *.egg-info hpo_core/native/_*.c hpo_core/native/*.so

%/created.stamp:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make PYTHON=..."'
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install -q Cython setuptools
	touch $@

# build/ is emptied first: setuptools would pack what a removed module left there.
$(WHEELS)/built.stamp: $(SOURCES) | $(VENV)/created.stamp
	rm -rf build
	$(VENV)/bin/python -m pip wheel -q --no-build-isolation --no-deps -w $(WHEELS) .
	touch $@

define install
	$(VENV)/bin/python -m pip install -q --force-reinstall --no-deps $(WHEELS)/*.whl
	$(VENV)/bin/python -m pip install -q "$$(echo $(WHEELS)/*.whl)[$(1)]" $(2)
	touch $@
endef

$(VENV)/test.stamp: $(WHEELS)/built.stamp constraints-dev.txt
	$(call install,dev)

$(VENV)/demo.stamp: $(WHEELS)/built.stamp constraints-dev.txt
	$(call install,torch,sklearn,plots,pandas,progress)

$(VENV)/bench.stamp: $(WHEELS)/built.stamp constraints-dev.txt
	$(call install,dev,optuna)

$(SANITIZED)/test.stamp: $(SOURCES) constraints-dev.txt | $(SANITIZED)/created.stamp
	rm -rf build
	HPO_CORE_SANITIZE=1 HPO_CORE_REQUIRE_NATIVE=1 \
	    $(SANITIZED)/bin/python -m pip install -q --force-reinstall --no-build-isolation ".[dev]"
	touch $@
