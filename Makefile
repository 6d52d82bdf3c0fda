# Rushes: `make demo` and `make test` are all that a newcomer needs; the rest is for those who carry on.
SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
DEMO   := --profile profiles/local --configfile config/demo.yaml
AREA   ?= scale

.PHONY: help setup setup-models setup-test demo test lint bench docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.lock  ## make .venv from the complete, pinned lock

$(VENV)/.lock: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rushes needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the lock into $(VENV) …"
	@$(PIP) -r requirements.txt
	@touch $@

setup-models: $(VENV)/.lock-models  ## what networks need on top: torch, lightning, face-alignment, faster-whisper

# torch comes first and with its own dependencies, so that pip picks the build which suits the machine.
$(VENV)/.lock-models: $(VENV)/.lock requirements-torch.txt requirements-models.txt
	@echo "Installing what networks need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt -c requirements-models.txt
	@$(PIP) -r requirements-models.txt
	@touch $@

setup-test: $(VENV)/.lock-test  ## what tests need on top of all that: pytest, linters, what reads our files

$(VENV)/.lock-test: $(VENV)/.lock-models requirements-test.txt
	@echo "Installing what the tests need …"
	@$(PIP) -r requirements-test.txt
	@touch $@

demo: setup  ## the whole DAG on synthetic recordings, with a truth table and a report
	@$(BIN)/python -m rushes.synthetic demo/recordings
	@$(BIN)/snakemake $(DEMO)
	@$(BIN)/snakemake $(DEMO) --report demo/results/reports/report.html --quiet all
	@$(BIN)/python -m rushes.synthetic.check demo/recordings demo/results

test: setup-test  ## every test, and the linters
	@$(BIN)/python -m pytest

lint: setup-test  ## linters alone
	@$(BIN)/python -m pytest tests/unit/test_house.py

bench: $(if $(filter faces faces_gpu,$(AREA)),setup-models,setup)  ## measure: make bench AREA=scale
	@$(BIN)/python -m benchmarks.$(AREA)

docs: setup  ## make the pictures of the docs again
	@$(BIN)/python -m docs.pictures

clean:  ## remove caches and the demo; with ARGS=--delete-all-output the results, too
	@rm -rf demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@if [ "$(ARGS)" = "--delete-all-output" ]; then $(BIN)/snakemake --cores 1 --delete-all-output; fi
