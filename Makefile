# redline: `make demo` shows it, `make test` tests it; both set up .venv when it is missing or stale.
VENV := .venv
BIN := $(VENV)/bin
COMPLETE := $(VENV)/.complete
OVERLAY := build/overlay
ROOMS := dsl sandbox replay actors learner cluster

.PHONY: help setup demo test long unit lint format docs lock clean

help:
	@echo "make demo    train the demo policy on this machine's CPUs and show what it learned (18 min)"
	@echo "make test    tests that need no GPU (16 min)"
	@echo "make long    tests of whole clusters, fleets and kills, a minute or more each (30 min)"
	@echo "make unit    unit tests only (a minute)"
	@echo "make lint    ruff, mypy and the layers between the rooms"
	@echo "make format  let ruff write the code its way"
	@echo "make docs    write docs/configuration.md and docs/metrics.md anew"
	@echo "make lock    pin requirements/cpu.in anew (needs uv)"
	@echo "make clean   remove .venv and caches; runs/ stays"

setup: $(COMPLETE)

$(COMPLETE): requirements/install.sh requirements/torch.txt requirements/cpu.txt pyproject.toml
	@requirements/install.sh $(VENV)

# Each demo gets a name of its own, so that it can be run again: make demo NAME=mine SEED=2
NAME ?= demo-$(shell date +%Y%m%d-%H%M%S)
SEED ?= 0
demo: $(COMPLETE)
	@echo "demo: a policy of 1 to 4 M parameters learns to repair code; about 18 minutes on two cores"
	@$(BIN)/redline train --config demo name=$(NAME) seed=$(SEED)

test: $(COMPLETE)
	@echo "test: unit, process, integration and chaos tests"
	@$(BIN)/pytest --numprocesses=auto tests/unit
	@$(BIN)/pytest --numprocesses=auto tests/processes
	@$(BIN)/pytest --durations=15 -m "not gpu and not long" tests/integration tests/chaos

long: $(COMPLETE)
	@echo "long: whole clusters, fleets and kills, which take a minute or more each"
	@$(BIN)/pytest --hypothesis-profile=thorough --numprocesses=auto tests/unit
	@$(BIN)/pytest -m "long and not gpu" tests/integration tests/chaos

unit: $(COMPLETE)
	@echo "unit: tests without engines and other processes"
	@$(BIN)/pytest --numprocesses=auto tests/unit

lint: $(COMPLETE) $(OVERLAY)
	@echo "lint: ruff check, ruff format, mypy, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=$(OVERLAY) $(BIN)/mypy -p redline
	@PYTHONPATH=$(OVERLAY) $(BIN)/lint-imports --no-cache

# Type and import checkers see the rooms under the names they are imported by.
$(OVERLAY): Makefile
	@mkdir -p $(OVERLAY)/redline
	@for room in $(ROOMS); do ln -sfn ../../../$$room $(OVERLAY)/redline/$$room; done
	@touch $(OVERLAY)

format: $(COMPLETE)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(COMPLETE)
	@$(BIN)/python -m redline.cluster.config_reference > docs/configuration.new
	@mv docs/configuration.new docs/configuration.md
	@$(BIN)/python -m redline.cluster.monitoring.reference docs/metrics.md

lock:
	@command -v uv >/dev/null || { echo "lock: needs uv on PATH (pip install uv)" >&2; exit 2; }
	@cd requirements && { \
	  echo '# Locked from cpu.in by `make lock`; installed with --no-deps --require-hashes.'; \
	  echo 'torch==2.13.0+cpu' > ../build/torch-constraint.txt; \
	  uv pip compile cpu.in --override overrides.txt --constraint ../build/torch-constraint.txt \
	    --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-package torch \
	    $${PIP_FIND_LINKS:+--find-links $$PIP_FIND_LINKS} --quiet; } > cpu.new && mv cpu.new cpu.txt

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
