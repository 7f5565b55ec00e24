# Thin aliases over dvc; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONHASHSEED := 0
# The revision that changes are compared with.
BASE ?= HEAD
# DVC runs one stage after another; a small network keeps one core busy, so each core takes a cell.
# xargs starts nothing more after an exit status of 255: one failed cell stops the rest.
JOBS ?= $(shell nproc)
side_by_side = dvc stage list --name-only | grep '^$(1)@' | \
	xargs --max-procs $(JOBS) --replace={} sh -c 'dvc --wait-for-lock repro --single-item {} || exit 255'

.PHONY: help install repro test lint check dryrun train_e1 aggregate figures report full_e1 verify_hashes hash_missing solve_widths compose intact diff

help:  ## list the targets
	@grep -hE '^[a-z_0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

install: .venv/installed  ## the environment that everything below needs, in .venv

.venv/installed: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

repro: intact  ## the whole experiment: only what has changed runs, JOBS cells side by side
	dvc repro verify parity
	$(call side_by_side,train)
	$(call side_by_side,evaluate)
	dvc repro

test: lint  ## linters, types, configuration and every test
	python -m pytest --numprocesses 2 --dist loadgroup

lint: .venv/installed-dev
	ruff check .
	ruff format --check .
	mypy
	python -m chimera.stages.compose --check
	python -m chimera.stages.stats --check-deviations
	python -m chimera.stages.log check --base $(BASE)

intact: install
	python -m chimera.stages.verify --intact

check: intact  ## verify the data hashes and run the parity gate
	dvc repro verify parity

verify_hashes: install  ## fail if any file deviates from its manifest
	python -m chimera.stages.verify

hash_missing: install  ## write sha256 where a manifest has none, and show the diff
	python -m chimera.stages.verify --hash-missing

train_e1: check  ## both models on IND, all replicates
	$(call side_by_side,train)

aggregate: install  ## collate the metrics of all runs, and their statistics
	dvc repro aggregate stats

figures: install  ## draw the figures and write plots/report.html
	dvc repro figures report

report: figures  ## the same

full_e1: check train_e1 aggregate figures  ## check, train_e1, aggregate, figures

diff: install  ## what changed against BASE=HEAD, IND and OOD means, in one screen
	dvc metrics diff $(BASE) --md --no-path --precision 4 --targets metrics/summary.json \
	| grep -E '^\| Metric|^\|--|\.ind\.|\.ood\.|gap' | grep -v '_sd '

solve_widths: install  ## channel lists that bring every model to parity with the baseline
	python -m chimera.stages.parity --solve-widths

compose: install  ## params.yaml from conf/
	python -m chimera.stages.compose

dryrun: install  ## the whole pipeline at smoke scale without training, in a temporary workspace
	workspace=$$(mktemp -d) && trap 'rm -rf "$$workspace"' EXIT && \
	git ls-files --cached --others --exclude-standard -z \
	| while IFS= read -r -d '' f; do if test -e "$$f"; then printf '%s\0' "$$f"; fi; done \
	| tar --create --null --files-from - | tar --extract --directory "$$workspace" && \
	cd "$$workspace" && git init --quiet && \
	python -m chimera.stages.compose scale=smoke train.steps=0 && dvc repro
