# `make` checks everything, as CI does. `make demo` shows it; nothing needs to be installed but Python 3.11.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := check
.PHONY: check lint fmt types test demo bench faults mutants engine lock clean

check: lint types test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

engine: $(VENV)/installed
	$(BIN)/codat-iac engine install

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

fmt: $(VENV)/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/installed
	$(BIN)/mypy

test: engine
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term

demo: engine
	$(BIN)/python examples/demo.py

bench: engine
	$(BIN)/python benchmarks/doors.py $(N)

faults: engine
	$(BIN)/python -m tests.campaign $(CAMPAIGN)

mutants: $(VENV)/installed
	$(BIN)/python benchmarks/mutants.py $(N)

lock: $(VENV)/installed
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra emulator --group dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
