# Two commands do everything: `make up` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/watchkeeper
export UV_PROJECT_ENVIRONMENT := .venv
LONG_SECONDS ?= 3600

.PHONY: help setup setup-dev up demo test test-long bench lint lint-quick format servers bundle lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.runtime ## make .venv with the `watchkeeper` command, from the hashed lock

setup-dev: .venv/.dev ## the same with everything the tests need

.venv/.runtime: requirements.lock requirements-uv.lock pyproject.toml deploy/setup.sh
	@[ -e .venv/.dev ] && [ .venv/.dev -nt requirements-dev.lock ] && [ .venv/.dev -nt requirements.lock ] \
	  && [ .venv/.dev -nt pyproject.toml ] || PYTHON="$(PYTHON)" CACHE="$(CACHE)" bash deploy/setup.sh requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock requirements-uv.lock pyproject.toml deploy/setup.sh
	@PYTHON="$(PYTHON)" CACHE="$(CACHE)" bash deploy/setup.sh requirements-dev.lock
	@touch $@

up: setup ## start engine, dashboard and actuator on this host
	@exec $(BIN)/watchkeeper up

demo: setup ## play a shop on this host that can be broken and is mended before your eyes
	@exec $(BIN)/watchkeeper demo

test: setup-dev ## lint, types, walls and every test; with CI=true against real servers, nothing skipped
	@bash tests/run.sh

test-long: setup-dev ## fuzz, soak, crash and simulation programmes; LONG_SECONDS is the time budget
	@LONG_SECONDS=$(LONG_SECONDS) $(BIN)/python -m pytest -m long -p no:cacheprovider

bench: setup-dev ## every benchmark, one after the other, with the calibration of the same minute
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: lint-quick ## ruff, formatting, mypy --strict, import walls
	@$(BIN)/mypy

lint-quick: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log

format: setup-dev ## put every file into the house form
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

servers: ## install the real servers that tests use (Debian or Ubuntu packages; starts no service)
	@bash tests/servers/install.sh

bundle: setup-dev ## wheels and systemd units in one archive for hosts without internet
	@CACHE="$(CACHE)" bash deploy/bundle.sh

lock: ## resolve the locks anew (needs the network; the only thing that resolves)
	@bash deploy/lock.sh

clean: ## remove what can be made again
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .coverage .coverage.* .lint-imports.log
