# Two commands are enough: `make demo` and `make test`. Each makes its own virtual environment from
# constraints.txt; Python 3.11 or newer and make are all they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-workdir

.PHONY: demo test lint unit faults docs clean

demo: $(VENV)/.installed
	$(BIN)/catalog-builder run --release dr3-demo --workdir $(DEMO)

test: lint unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.installed
	$(BIN)/pytest

# Twenty kills at random times, each followed by the same command: some 15 minutes.
faults: $(VENV)/.installed
	$(BIN)/python tests/faults/kills.py

docs: $(VENV)/.installed
	$(BIN)/python docs/generate.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis
