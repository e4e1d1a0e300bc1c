# Two commands do everything on a machine that has only python3 (3.11 or newer, with venv) and make:
#   make demo     watch a fleet of agents stop polling
#   make test     run every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo | test | check | format | bench | clean"

# The stamp goes stale with pyproject.toml, so a second run installs nothing.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kresilient needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "installing into $(VENV) (once) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,demo,testing]' --group dev
	@touch $@

demo: $(STAMP)
	@$(BIN)/kresilient demo --json demo.json

test: $(STAMP)
	@$(BIN)/python -m pytest

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy --strict --config-file= tests/typing
	@$(BIN)/basedpyright --pythonpath $(BIN)/python --project tests/typing

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo-report.html demo.json
