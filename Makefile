# Two commands do all the set-up on a machine with Python 3.11+ and make:
#   make demo   the quickstart, from nothing to a running platform
#   make test   everything that CI checks
# The first interpreter that really runs, is new enough and can make environments: a version manager's shim may be on the
# PATH for a Python that is not there, and Debian splits venv from python3.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin

# Bytecode is kept, whatever the shell says: without it each start of a command compiles a thousand files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-docker demo-down test lint types unit acceptance lock benchmarks benchmarks-docker clean

$(BIN)/mlinfra: pyproject.toml
	@test -n "$(PYTHON)" || { echo "mlinfra needs Python 3.11 or newer with venv (on Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable .
	@touch $(BIN)/mlinfra

$(VENV)/.dev: $(BIN)/mlinfra pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@

demo: $(BIN)/mlinfra
	@cd examples/quickstart && ../../$(BIN)/mlinfra apply --auto-approve
	@cd examples/quickstart && ../../$(BIN)/python demo.py --mlinfra ../../$(BIN)/mlinfra

demo-docker: $(BIN)/mlinfra
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[docker]'
	@cd examples/quickstart && MLINFRA_ENV=ci ../../$(BIN)/mlinfra apply --auto-approve
	@cd examples/quickstart && MLINFRA_ENV=ci ../../$(BIN)/python demo.py --mlinfra ../../$(BIN)/mlinfra

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
	$(BIN)/python -m pytest tests/e2e tests/acceptance -n 2 --dist loadfile --no-loadscope-reorder

lock: $(VENV)/.dev
	$(BIN)/python scripts/lock_tools.py

benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks.engine

benchmarks-docker: $(VENV)/.dev
	$(BIN)/python -m benchmarks.docker

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
