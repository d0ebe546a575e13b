# Two commands do everything on a machine with Python 3.11+, git and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN := runs/demo

.PHONY: demo test check lint types contracts tests bench clean

demo: $(VENV)/.light
	$(BIN)/socialsim run --limit 2 --out $(RUN)
	$(BIN)/socialsim show $(RUN) --turns 8
	$(BIN)/socialsim stats $(RUN)
	@echo "The same model without the adapter that was trained on the authored demonstrations:"
	$(BIN)/socialsim run --limit 1 --lm embedded:base --out $(RUN)-base
	$(BIN)/socialsim show $(RUN)-base --turns 4
	@echo "The whole dialogue: $(BIN)/socialsim show $(RUN)    Files: $(RUN)/"

test: $(VENV)/.full check tests

check: lint types contracts

lint: $(VENV)/.full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.full
	$(BIN)/mypy

contracts: $(VENV)/.full
	$(BIN)/lint-imports

# Side by side, but for those that time the embedded model or keep every core busy.
tests: $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m 'not embedded'
	$(BIN)/pytest -m embedded

# The product, a bare aiohttp loop and a bare AsyncOpenAI loop against a simulated endpoint: one table.
bench: $(VENV)/.full
	$(BIN)/python -m tests.bench

# The light install has no torch; the full one has everything the tests need.
$(VENV)/.light: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[local]'
	@touch $@

$(VENV)/.full: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,train,eval,report,web,share,cluster]'
	@touch $@ $(VENV)/.light

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "socialsim needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) runs build dist
