# Everything a fresh machine needs is made here; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A machine's own mirror settings come from pip's configuration, never from here.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/run.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-deps --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --require-hashes -r requirements-build.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(PIP) install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/dev.stamp  ## make .venv with everything for development

demo: $(VENV)/run.stamp  ## meter, rate and debit a simulated month, then serve the live page (Ctrl-C ends it)
	$(BIN)/stratometer demo $(ARGS)

test: setup  ## lint, types, contracts and every test, on real servers
	$(MAKE) lint
	$(BIN)/python -m pytest $(ARGS)

lint: setup  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup  ## end-to-end throughput beside baselines, as JSON
	$(BIN)/python -m bench $(ARGS)

chaos: setup  ## long kill tests: workers and broker killed, counts compared at the end
	$(BIN)/python -m pytest tests/chaos --chaos-long $(ARGS)

mutation: setup  ## mutation score of rating/: MODULE="tiers scale" for some files, ARGS="--sample 300 --minutes 20"
	$(BIN)/python -m tests.mutation $(addprefix --module ,$(MODULE)) $(ARGS)

dev-up: setup  ## start Kafka, ClickHouse and PostgreSQL on loopback and load the demo provider
	@$(BIN)/python -m infra.dev up
	@eval "$$($(BIN)/python -m infra.dev env)" && $(BIN)/stratometer migrate && $(BIN)/stratometer apply stratometer/demo/provider.yaml

dev-down: setup  ## stop what dev-up started
	@$(BIN)/python -m infra.dev down

lock: setup  ## resolve the dependencies again and write the locks
	$(BIN)/python -m uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	  --custom-compile-command "make lock" --extra dev pyproject.toml -o requirements-dev.lock
	$(BIN)/python -m uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	  --custom-compile-command "make lock" -c requirements-dev.lock pyproject.toml -o requirements.lock
	printf 'hatchling\neditables\n' | $(BIN)/python -m uv pip compile -q --generate-hashes --no-emit-index-url --universal \
	  --python-version 3.11 --custom-compile-command "make lock" -c requirements-dev.lock - -o requirements-build.lock

.PHONY: help setup demo test lint bench chaos mutation dev-up dev-down lock
