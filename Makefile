# The same set-up serves both: a virtual environment, then the pinned packages, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.PHONY: run test lint bench kills fuzz assets setup setup-dev browser clean
.DEFAULT_GOAL := run

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tiller needs Python 3.11 or newer. Set PYTHON=/path/to/python3.11 and try again."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt requirements-peers.txt | $(BIN)/python
	$(BIN)/python -m pip install -r requirements-dev.txt
	$(BIN)/python -m pip install --no-deps -r requirements-peers.txt
	@touch $@ $(VENV)/.run

setup: $(VENV)/.run
setup-dev: $(VENV)/.dev

run: setup ## open the app; the embedded model is fetched the first time
	$(BIN)/python -m core fetch --model smollm2-135m
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

test: setup-dev lint ## everything: lint, types, tests
	$(BIN)/python -m core fetch --model smollm2-135m
	$(BIN)/python -m pytest -m "not browser" -n auto --maxprocesses 4 --dist loadfile
	# a real browser on a busy machine can miss a moment: what failed is tried once more, alone
	$(BIN)/python -m pytest -m browser || $(BIN)/python -m pytest -m browser --last-failed --last-failed-no-failures none

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-dev ## speed beside others' programs, in one table; ARGS="--quick" or "--model random-1.5b --device cuda"
	$(BIN)/python -m core fetch --model smollm2-135m
	$(BIN)/python -m benchmarks $(ARGS)

kills: setup-dev ## kill the store and every long verb, start them again, compare; ARGS="--store 30 --each 2"
	$(BIN)/python -m tests.kills $(ARGS)

fuzz: setup-dev ## mutated files and texts for every reader; ARGS="--each 20000 --seed 7"
	$(BIN)/python -m tests.fuzz $(ARGS)

assets: setup ## make every shipped adapter, direction and example again
	$(BIN)/python -m core fetch --model smollm2-135m
	$(BIN)/python -m core assets

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
