PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint proof bench clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)        ## the main job on the built-in sandbox, no keys
	$(BIN)/regulars demo

test: $(READY)        ## the test suite
	$(BIN)/pytest

lint: $(READY)        ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

proof: $(READY)       ## make proof DATA=<folder>: a real shop's year, end to end
	@test -n "$(DATA)" || { echo "usage: make proof DATA=<folder with the shop's tables>"; exit 2; }
	REGULARS_PROOF_DATA="$(DATA)" $(BIN)/pytest -m proof tests/proof

bench: $(READY)       ## targets, ratios and verdicts
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) regulars-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
