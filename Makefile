# Every target does the set-up that it needs. STEWARD_HOME moves var/, PORT the site, MLFLOW_PORT MLflow.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
PLOTLY := static/vendor/plotly.min.js

export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE  # a dozen processes would each compile every package anew

.PHONY: help install demo up test check bench drill lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

install: $(INSTALLED) $(PLOTLY)  ## the virtual environment in .venv, from requirements.lock

$(INSTALLED): requirements.lock
	@$(PYTHON) deploy/require_python.py
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet 'uv>=0.8,<1'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

$(PLOTLY): $(INSTALLED) deploy/copy_static.py
	@$(BIN)/python deploy/copy_static.py

demo: install  ## the stories on real claims data, then the site (ARGS=--exit: only the stories)
	@$(BIN)/python -m mlops_site.demo $(ARGS)

up: install  ## the site without demo data
	@exec deploy/start site

test: install  ## every test, on SQLite and on private PostgreSQL and Redis servers
	@$(BIN)/python -m tests.run $(ARGS)

check: install  ## style, types, imports, migrations and settings
	@deploy/check

bench: install  ## the measurements of benchmarks/
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python -m "benchmarks.$$(basename $$script .py)"; done

drill: install  ## the long forms of the crash, race and state machine tests, on both engines
	@$(BIN)/python -m tests.run --only drill --only drill-sqlite $(ARGS)

lock: $(INSTALLED)  ## requirements.lock again, at the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --all-extras pyproject.toml -o requirements.lock
	@! grep -nE '[a-z]+://' requirements.lock || { echo 'requirements.lock must name no address'; exit 1; }

clean:  ## remove the environment and caches; what the site stored stays in var/
	rm -rf .venv $(PLOTLY) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
