# Two commands do all the set-up on a machine with Python 3.11+ and make:
#   make demo   the quickstart, from nothing to a running platform
#   make test   everything that CI checks
PYTHON ?= $(shell command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-down test lint types unit acceptance lock benchmarks clean

$(BIN)/mlinfra: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "mlinfra needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable .
	@touch $(BIN)/mlinfra

$(VENV)/.dev: $(BIN)/mlinfra pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@

demo: $(BIN)/mlinfra
	@cd examples/quickstart && ../../$(BIN)/mlinfra apply --auto-approve
	@cd examples/quickstart && ../../$(BIN)/python demo.py ../../$(BIN)/mlinfra

demo-down: $(BIN)/mlinfra
	cd examples/quickstart && ../../$(BIN)/mlinfra destroy --auto-approve

test: lint types unit acceptance

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests/unit tests/engine tests/providers -n 2

acceptance: $(VENV)/.dev
	$(BIN)/python -m pytest tests/acceptance tests/e2e

lock: $(VENV)/.dev
	$(BIN)/python scripts/lock_tools.py

benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks.engine

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
