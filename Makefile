# A machine with Python 3.11 or newer and make needs nothing else: `make plan`, `make test`.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# Many small fits side by side: threads of the linear algebra only get in each other's way.
export OPENBLAS_NUM_THREADS ?= 1
# Modules and tests are compiled once, also where the environment says otherwise: tests start planner in processes.
export PYTHONDONTWRITEBYTECODE :=
# One process a core, tests in random order (pytest-randomly prints the seed; repeat with TESTS='-p randomly_seed=...').
TESTS ?= -n auto --dist worksteal
# What keeps the pages true, and writes them anew.
PAGES := tests/docs/test_docs_examples.py tests/docs/test_docs_models.py tests/interop/test_interop_assumptions.py tests/interop/test_interop_frameworks.py

.PHONY: help setup plan test test-slow lint style types layers docs refresh accuracy backtest bench fuzz check lock clean

help: ## what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## .venv with the locked packages and planner itself, at .venv/bin/planner

$(READY): pyproject.toml requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "planner needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	$(BIN)/python -m compileall -q planner
	@touch $@

plan: $(READY) ## the main job: the best plan for GPT-NeoX-20B, four passes
	$(BIN)/planner optimize scenarios/neox20b.yaml

test: $(READY) ## the tests, on all cores, in random order; of those that take seconds a part
	$(BIN)/python -m pytest -m "not slow" $(TESTS)

test-slow: $(READY) ## the others: more seeds, whole enumerations, long simulations
	$(BIN)/python -m pytest -m slow $(TESTS)

lint: style types layers ## style, types and import layers

style: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

docs: $(READY) ## the examples of README and docs/, run and compared with what they print
	$(BIN)/python -m pytest -q -p no:randomly $(PAGES)

refresh: $(READY) ## the examples of README and docs/, written anew
	PLANNER_REFRESH_DOCS=1 $(BIN)/python -m pytest -q -p no:randomly $(PAGES)

fuzz: $(READY) ## broken and bent files for every command, for longer than the tests do: FUZZ=200 a command
	PLANNER_FUZZ=$(or $(FUZZ),200) $(BIN)/python -m pytest $(TESTS) tests/fuzz/test_fuzz.py

backtest: $(READY) ## what planner would have said of whole public runs: docs/backtest.md, after each fit
	$(BIN)/python benchmarks/backtest.py

accuracy: $(READY) ## the tables of docs/accuracy.md, from the stored fit
	$(BIN)/python benchmarks/accuracy.py

bench: $(READY) ## speed, as ratios in one run: commands, search, step time, price imports, logs
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/edges.py
	$(BIN)/python benchmarks/steptime.py
	$(BIN)/python benchmarks/catalog_import.py
	$(BIN)/python benchmarks/track_log.py 1
	$(BIN)/python benchmarks/programme.py

check: ## all that CI runs
	.ci/run

lock: ## new versions into the lock files (needs uv)
	uv pip compile pyproject.toml --extra charts --extra dask --extra parquet --extra proposals $(LOCK) -o requirements.lock
	uv pip compile pyproject.toml --extra charts --extra dask --extra parquet --extra proposals --group dev -c requirements.lock $(LOCK) -o requirements-dev.lock

LOCK := --no-config --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-strip-markers --custom-compile-command "make lock" --upgrade --quiet

clean: ## remove what setup, tests and builds left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
