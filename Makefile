# `make` checks everything, as CI does; `make help` lists the rest. Only Python 3.11 needs to be installed; the tests
# also take Chromium, PostgreSQL and Go.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := check
.PHONY: help check lint fmt types unit test slow lowest demo docs bench faults mutants package engine lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

check: lint types lowest test slow ## lint, types and all tests: what CI does

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

engine: $(VENV)/installed ## build the Pulumi engine, unless there is one
	$(BIN)/codat-iac engine install

lint: $(VENV)/installed ## style, and the imports between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/installed ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/installed ## mypy
	$(BIN)/mypy

unit: $(VENV)/installed ## the tests that need no engine and no server: under a minute
	$(BIN)/pytest -n auto --dist worksteal -q -m "not slow" tests/unit

test: engine ## the tests, with coverage: all but the slow ones
	$(BIN)/pytest -n auto --dist worksteal -m "not slow" --cov --cov-report=term

slow: engine ## the slow tests: more cases of what the others show, most on the engine
	$(BIN)/pytest -n auto --dist worksteal -m slow

LOWEST := $(shell sed -n 's/^    "pulumi>=\([0-9.]*\),.*/\1.0/p' pyproject.toml)

build/pulumi-$(LOWEST): | $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $@ pulumi==$(LOWEST)

lowest: build/pulumi-$(LOWEST) ## what is registered, with the lowest SDK that pyproject allows; the lock has the newest
	PYTHONPATH=$< $(BIN)/pytest -q tests/unit/program/test_registration.py

demo: engine ## the whole loop, step by step, on an emulated Codat
	$(BIN)/python examples/demo.py

docs: $(VENV)/installed ## the site, in build/site; any warning is an error
	$(BIN)/python docs/build.py

bench: engine ## codat-iac beside its peers; N=10000 ROUNDS=1 BENCH="plan apply" for less or more
	$(BIN)/python benchmarks/bench.py -n $(or $(N),1000) --rounds $(or $(ROUNDS),5) $(BENCH)

faults: engine ## the campaigns under faults, whole; CAMPAIGN="operations --runs 300" for one
	$(BIN)/python -m tests.campaign $(CAMPAIGN)

mutants: $(VENV)/installed ## mutation testing of what decides; N=2 at once
	$(BIN)/python benchmarks/mutants.py $(N)

package: engine ## build wheel and sdist, and try the wheel in a clean virtualenv; PYTHONS="python3.11 python3.13"
	$(BIN)/python -m tests.package $(PYTHONS)

lock: $(VENV)/installed ## resolve the dependencies anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra emulator --group dev pyproject.toml --output-file requirements.lock

clean: ## remove what was made, but for the engine
	rm -rf $(VENV) build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
