# Everything starts from here. A fresh machine needs Python 3.11 (or later), make and a package registry;
# `make demo` and `make test` set up the rest in .venv, and again only when pyproject.toml changes.

PYTHON ?= python3
PYTHON312 ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Real data of the tests, used where it is there and the variable is not set already.
DATA := $(abspath ../shared/data)
PYFAIRME_DATA ?= $(if $(wildcard $(DATA)),$(DATA))
ifneq ($(PYFAIRME_DATA),)
export PYFAIRME_DATA
endif
# Annotated shapes are checked (tests/conftest.py); one thread a worker, so that workers do not fight.
# Tests mostly compile: LLVM's dear passes are left out here, and here only (tests/conftest.py leaves out
# more); so are the emitters of fused loops, and programs are cut into few parts, where the XLA of an
# environment knows these flags, since it stops at any other: each is a quarter less time. Modules are
# kept as bytecode whatever the environment says: a worker that compiles them all begins 7 s later.
# Each run of pytest reads what earlier ones compiled, of today or before: programs are told by their
# source. Beyond MOST_COMPILED megabytes the folder begins anew.
MOST_COMPILED := 1000
COMPILED := $(abspath $(VENV))/.compiled
KEPT = JAX_COMPILATION_CACHE_DIR=$(COMPILED) JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.1 \
	JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
TEST_ENV = PYFAIRME_TYPECHECK=1 PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	XLA_FLAGS="$(strip $(XLA_FLAGS) --xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=1) $$(cat $(1)/.flags 2> /dev/null)"
QUICK_XLA := --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=4
FLAGS = for flag in $(QUICK_XLA); do \
	XLA_FLAGS=$$flag $(1)/bin/python -c 'import jax; jax.devices()' 2> /dev/null && echo $$flag; \
	done > $(1)/.flags || :

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long lint types pytest docs test-arviz1 versions release notebooks bench format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime  ## fit medl and medl_adb on Adult, print and draw the comparison
	$(BIN)/pyfairme demo

test: lint types pytest  ## everything that must pass before a commit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/pyright

# `make test` leaves out what is marked `long`, and `make test-long` runs that (CONTRIBUTING.md). Each in
# several runs: a process that has compiled and dropped hundreds of programs holds gigabytes, and XLA on
# the CPU has crashed in one that did all (a segfault in the stack unwinder).
SHORT := -m "not long and not slow and not gpu"
LONG := -m "long and not slow and not gpu"
PYTEST = $(KEPT) $(call TEST_ENV,$(VENV)) $(BIN)/pytest -n $(WORKERS) --nbmake --durations=15 --dist
FIRST := tests/estimators tests/postprocessing
SECOND := tests/inference tests/model tests/study
PAGES := tests/test_docs.py notebooks pyfairme
NOTEBOOKS ?= $(wildcard notebooks/*.py)

SWEEP = @[ "$$(du -sm $(COMPILED) 2> /dev/null | cut -f1)" -lt $(MOST_COMPILED) ] 2> /dev/null || rm -rf $(COMPILED)

pytest: $(VENV)/.test
	$(SWEEP)
	$(PYTEST) loadfile $(SHORT) $(FIRST)
	$(PYTEST) loadfile $(SHORT) $(SECOND)
	$(PYTEST) loadfile $(SHORT) tests notebooks pyfairme $(addprefix --ignore=,$(FIRST) $(SECOND))

test-long: $(VENV)/.test  ## the tests that take long: all pages and notebooks, studies, processes of their own
	$(SWEEP)
	$(PYTEST) loadfile $(LONG) $(FIRST)
	$(PYTEST) loadfile $(LONG) $(SECOND)
	$(PYTEST) load $(LONG) $(PAGES)
	$(PYTEST) loadfile $(LONG) tests $(addprefix --ignore=,$(FIRST) $(SECOND) tests/test_docs.py)

docs: $(VENV)/.docs  ## the documentation site in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -c docs . docs/_build/html -d docs/_build/doctrees -q -j $(WORKERS) --fail-on-warning --keep-going
	@echo "The site is docs/_build/html/index.html."

test-arviz1: .venv312/.test  ## the tests that touch ArviZ, on Python 3.12 with ArviZ 1.x
	.venv312/bin/python -c 'import arviz; assert int(arviz.__version__.split(".")[0]) >= 1, arviz.__version__'
	$(call TEST_ENV,.venv312) .venv312/bin/pytest -m "arviz and not slow and not gpu" -n $(WORKERS) --dist loadfile

versions:  ## tests with the lowest versions that pyproject.toml allows, and with the newest
	.ci/versions

release:  ## wheel, source archive and bill of materials in dist/; licences and advisories are checked
	.ci/release

notebooks: $(VENV)/.test  ## execute the notebooks at full size and store their outputs
	$(BIN)/python tests/notebook_outputs.py $(NOTEBOOKS)

bench: $(VENV)/.test  ## training speed and compile time, printed
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

format: $(VENV)/.test  ## fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environments and every cache
	rm -rf $(VENV) .venv312 .venv-* build dist docs/_build docs/reference .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: a stamp for each step, inside the environment -------------------------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pyfairme needs Python 3.11 or later; \`$(PYTHON)\` is" "$$($(PYTHON) --version)"; \
		echo "Name another one: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Setting up $(VENV), once: this takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.runtime: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group test
	@$(call FLAGS,$(VENV))
	touch $@ $(VENV)/.runtime

$(VENV)/.docs: $(VENV)/.test pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

.venv312/.test: pyproject.toml
	$(PYTHON312) -m venv .venv312
	.venv312/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv312/bin/python -m pip install --quiet --editable . --group test
	@$(call FLAGS,.venv312)
	touch $@
