# Two commands do all the set-up: `make up` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Where pip finds PyTorch. Its plain wheel brings gigabytes of CUDA on Linux; Kasnec needs the CPU
# build only: make up TORCH='--index-url <PyTorch's CPU index> torch==2.13.0'
TORCH ?= torch==2.13.0

# Where bytecode may not be written, every start of a worker compiles all of Kasnec again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: up test install check schemas clean

up: install
	@$(BIN)/kasnec up $(ARGS)

test: install .venv/dev
	$(BIN)/python -m pytest $(ARGS)

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Kasnec needs Python 3.11 or newer: make PYTHON=python3.11'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo 'No virtual environment could be made. On Debian: apt install python3-venv'; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements-dev.lock .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-dev.lock
	@touch $@

# What CI runs before the tests.
check: install .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

schemas: install
	$(BIN)/python -m pipeline.schemas

clean:
	rm -rf .venv .kasnec
