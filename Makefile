# Two commands are enough: `make demo` and `make test`. Each makes its own virtual environment from
# constraints.txt; Python 3.11 or newer and make are all they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# `make demo SURVEY=rave` simulates and runs on the release whose description begins so.
SURVEY ?= dr3
RELEASE = $(notdir $(basename $(firstword $(wildcard schemas/releases/$(SURVEY)*.yaml))))
DEMO ?= demo-workdir$(if $(filter-out dr3,$(SURVEY)),-$(SURVEY))

INSTALL_DOCS = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[run,dev,docs]'

# What Python has compiled is kept, whatever the environment says: a command starts a sixth sooner,
# and several times as soon where an installer has compiled nothing (uv, in test-minimum).
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint unit test-minimum faults check-long rehearsal bench science test-cluster test-kubernetes slurm kubernetes bubblewrap image test-image docs clean

demo: $(VENV)/.installed
	$(BIN)/catalog-builder run --release $(RELEASE)-demo --workdir $(DEMO) $(OPTIONS)

test: lint unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# In three processes, folder by folder: most of a run's tests wait for a process to start.
unit: $(VENV)/.installed
	$(BIN)/pytest --numprocesses 3 --no-loadscope-reorder

# The unit tests at the oldest versions that pyproject.toml allows, as uv resolves them. Old packages
# beside new ones warn of each other, so that warnings are no errors here.
MINIMUM ?= .venv-minimum
test-minimum:
	$(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/pip install --quiet --disable-pip-version-check uv
	$(MINIMUM)/bin/uv pip compile --quiet --resolution lowest-direct --extra run --extra dev \
	    --python $(MINIMUM)/bin/python --output-file $(MINIMUM)/versions.txt pyproject.toml
	$(MINIMUM)/bin/uv pip install --quiet --python $(MINIMUM)/bin/python --requirement $(MINIMUM)/versions.txt
	$(MINIMUM)/bin/uv pip install --quiet --python $(MINIMUM)/bin/python --no-deps --editable .
	$(MINIMUM)/bin/pytest tests/unit --override-ini filterwarnings=default --numprocesses 3 --no-loadscope-reorder

# Twenty kills at random times, each followed by the same command: about 15 minutes.
faults: $(VENV)/.installed
	$(BIN)/python tests/faults/kills.py

# All that takes minutes, and the page of its results; CHECKS=kills runs that part and writes its line.
CHECKS ?= kills,hostile,interrupts,skies,rehearsal,tutorials,alarms,verdicts
check-long: $(VENV)/.installed
	$(INSTALL_DOCS)
	$(BIN)/python -m tests.long --parts '$(CHECKS)' --record docs/check-long.md

# The move to the next release, on one simulated sky in two: about 10 minutes for two seeds.
rehearsal: $(VENV)/.installed
	$(BIN)/python -m tests.long.rehearsal

# Ratios to physical limits and to other programs, about 15 minutes; ONLY=rvs runs those of that name
# and writes no page. One thread for each library: rates are per core. Memory as workers have it.
bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[run,dev,bench]'
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 POLARS_MAX_THREADS=1 NUMBA_NUM_THREADS=1 \
	MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_ARENA_MAX=1 \
	$(BIN)/pytest tests/benchmarks --bench docs --bench-only '$(ONLY)' -q --capture no --timeout 1800

# How good the labels of a run on a simulated sky are, on a sky of another seed; it can be stopped
# and goes on: make science WORKDIR=... TEST=... OUT=... [PARTS=coverage,limit] [STARS=1000]
PARTS ?= coverage,limit,peers,evidence,galaxy,anomalies
STARS ?= 1000
science: $(VENV)/.installed
	$(BIN)/python -m tests.benchmarks.science --workdir '$(WORKDIR)' --test-archive '$(TEST)' \
	    --out '$(OUT)' --parts '$(PARTS)' --stars '$(STARS)' --docs docs

# The manifests, strictly, and the Dask operator on an emulated Kubernetes, which needs root and
# bubblewrap: as root on Debian it installs that, elsewhere those tests say why they skip.
test-kubernetes: kubernetes
	$(BIN)/pytest tests/kubernetes

kubernetes: $(VENV)/.installed bubblewrap
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --requirement tests/kubernetes/requirements.txt

bubblewrap:
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v bwrap >/dev/null; then \
	    { apt-get update -qq && apt-get install -qq --yes --no-install-recommends \
	      bubblewrap iproute2; } >/dev/null || echo "bubblewrap cannot be installed."; \
	fi

# A private Slurm on this machine: whole runs by Slurm and PBS through lost jobs and dead drivers. As
# root on Debian it installs what it needs; where there is no Slurm the tests say why they skip.
test-cluster: $(VENV)/.installed slurm
	$(BIN)/pytest tests/cluster

slurm:
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v slurmctld >/dev/null; then \
	    { apt-get update -qq && apt-get install -qq --yes --no-install-recommends \
	      slurm-wlm munge slurm-wlm-torque; } >/dev/null || echo "Slurm cannot be installed."; \
	fi

# The image, without a daemon; deploy/build-image.sh says what can be set.
image:
	deploy/build-image.sh

# The image on a base made of Debian's packages, then what it promises: as root on Debian, 10 minutes.
test-image: $(VENV)/.installed
	apt-get update -qq && apt-get install -qq --yes --no-install-recommends buildah podman runc crun mmdebstrap >/dev/null
	deploy/base-image.sh localhost/debian-python:bookworm
	$(BIN)/pip download --quiet --only-binary :all: --dest $(VENV)/wheels --constraint constraints.txt '.[run]' cryptography hatchling
	$(BIN)/pip download --quiet --only-binary :all: --dest $(VENV)/wheels cyclonedx-bom==7.5.0
	BASE=localhost/debian-python:bookworm WHEELS=$(VENV)/wheels deploy/build-image.sh
	CATALOG_BUILDER_IMAGE=localhost/catalog-builder:cpu $(BIN)/pytest tests/image

# The reference pages, from the program itself, then the site in build/site: seconds, and no data.
docs: $(VENV)/.installed
	$(INSTALL_DOCS)
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx --builder html --nitpicky --fail-on-warning --keep-going --quiet docs build/site
	@echo 'The site: build/site/index.html'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[run,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(MINIMUM) $(DEMO) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
