# Two commands do everything on a machine that has only python3 (3.11 or newer, with venv) and make:
#   make demo     watch a fleet of agents stop polling
#   make test     run every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-oldest soak check format bench bench-page outage clean
.DEFAULT_GOAL := help

help:
	@echo "make demo | test | test-oldest | soak | check | format | bench | bench-page | outage | clean"

# The stamp goes stale with pyproject.toml, so a second run installs nothing. It names the interpreter and the
# place it was made for: one that is gone, or a clone that was moved, installs anew.
FRESH := $(shell test -x $(BIN)/python && $(BIN)/python -c 'import sys; print(sys.prefix)' 2>/dev/null)
ifneq ($(FRESH),$(CURDIR)/$(VENV))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kresilient needs Python 3.11 or newer; say which with make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into $(VENV) (once) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1,<27'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[cli,demo,testing]' --group dev
	@touch $@

demo: $(STAMP)
	@$(BIN)/python -m kresilient.cli demo --json demo.json

# A worker for each core, up to four; the tests of one file stay together.
test: $(STAMP)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# The adapter stands on parts of kubernetes_asyncio that are no promise of it: its tests, with the oldest
# version that pyproject.toml allows. Any other: make test-oldest KUBERNETES_ASYNCIO=34.3.3
OLDEST := .venv-oldest
KUBERNETES_ASYNCIO ?= $(shell sed -n 's/.*"kubernetes-asyncio>=\([0-9.]*\)".*/\1/p' pyproject.toml)
test-oldest:
	@$(PYTHON) -m venv --clear $(OLDEST)
	@grep -iv '^kubernetes_asyncio==' constraints.txt >$(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1,<27'
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint $(OLDEST)/constraints.txt --editable '.[testing]' 'kubernetes-asyncio~=$(KUBERNETES_ASYNCIO)' \
	  hypothesis looptime pytest pytest-asyncio pytest-xdist
	@$(OLDEST)/bin/python -m pip list --disable-pip-version-check 2>/dev/null | grep -i '^kubernetes'
	@$(OLDEST)/bin/python -m pytest tests/adapters tests/transport/test_config.py

# What a cache promises, after every step of 5,000 stories of writes, faults and time (some minutes). A failure
# prints its story; the next run begins with it.
soak: $(STAMP)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --hypothesis-profile soak tests/consistency

check: $(STAMP)
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m mypy --strict --config-file= tests/typing
	@$(BIN)/basedpyright --pythonpath $(BIN)/python --project tests/typing

format: $(STAMP)
	@$(BIN)/python -m ruff format .
	@$(BIN)/python -m ruff check --fix .

# Every row of benchmarks/README.md, in less than 15 minutes of two cores; the figures are in bench.json then. One
# part, which leaves that file alone: make bench ONLY=sync (or several: ONLY="sync limiter"); other options:
# make bench OPTIONS=--quick
bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(or $(ONLY),--json bench.json) $(OPTIONS)

# docs/benchmarks.md and its charts, from the bench.json of the last `make bench` and a run of the demo.
bench-page: $(STAMP)
	@cp bench.json docs/benchmarks.json
	@$(BIN)/python -m kresilient.cli demo --json docs/demo.json
	@$(BIN)/python -m benchmarks.page

# The figures of docs/outage.md, and its table; some four minutes of one core. It fails where a promise is missed.
outage: $(STAMP)
	@$(BIN)/python -m kresilient.cli simulate outage --nodes 2500 --seed 1 --json docs/outage.json --page docs/outage.md

clean:
	rm -rf $(VENV) $(OLDEST) .venv-peers demo-report.html demo.json bench.json
