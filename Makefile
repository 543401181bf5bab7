# Everything sets up .venv itself; a machine needs Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO_READY := $(VENV)/ready-for-demo
DOCS_READY := $(VENV)/ready-for-docs

# Compiled tests are kept: to compile them again in each worker costs a fifth of the time of a quick run.
unexport PYTHONDONTWRITEBYTECODE

export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What soak plays: for so many seconds, by this seed (a number or a commit; any where it is empty), these tests.
SOAK_SECONDS ?= 3300
SEED ?=
TESTS ?=
# For so many seconds, mutants are tried.
MUTANTS_SECONDS ?= 900
# Options of the bench: --any-load starts it on a busy machine.
BENCH ?=

.PHONY: demo test soak check docs bench bench-full mutants screenshot clean

demo: $(DEMO_READY)  ## The main job on a local AWS and a local Ploy; ends by itself.
	@$(BIN)/ploy-connector demo

test: $(READY)  ## The quick tests: all that are not long.
	$(BIN)/pytest -n auto --dist worksteal

soak: $(READY)  ## The long tests and random examples, an hour at most: make soak [SEED=...] [SOAK_SECONDS=240] [TESTS=...]
	$(BIN)/pytest -n auto --dist worksteal --soak --soak-seconds=$(SOAK_SECONDS) $(if $(SEED),--hypothesis-seed=$(SEED)) $(TESTS)

check: $(READY)  ## Lint, format, types, layers, documents, manifest.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_layers.py tests/test_docs.py tests/test_manifest.py

docs: $(DOCS_READY)  ## The documents as a site, in build/docs; a broken link or reference fails.
	$(BIN)/sphinx-build -W -n --keep-going -q -j auto -b html -d build/doctrees docs build/docs
	@echo "The site: build/docs/index.html"

bench: $(READY)  ## Time, calls and memory beside their bounds, in ten minutes: make bench [BENCH=--any-load]
	$(BIN)/python -m benchmarks.bench $(BENCH)

bench-full: $(READY)  ## The same with AWS's rate limits at full size, in 75 minutes at most.
	$(BIN)/python -m benchmarks.bench --full $(BENCH)

screenshot: $(READY)  ## Take the README's screenshot again.
	$(BIN)/python -m tools.screenshot

mutants: $(READY)  ## Mutation tests of one module: make mutants MODULE=runtime/sync/deletion_guard.py [TESTS=...] [MUTANTS_SECONDS=...]
	$(BIN)/python -m tools.mutants --seconds=$(MUTANTS_SECONDS) $(MODULE) $(TESTS)

# The demo needs neither linters nor a browser; what it has installed, the other targets complete.
$(DEMO_READY): pyproject.toml constraints.txt
	@$(PYTHON) tools/set_up_venv.py $(VENV) sandbox
	@touch $(DEMO_READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) tools/set_up_venv.py $(VENV) dev
	@touch $(READY) $(DEMO_READY)

$(DOCS_READY): pyproject.toml constraints.txt
	@$(PYTHON) tools/set_up_venv.py $(VENV) docs
	@touch $(DOCS_READY)

clean:  ## Remove everything that was made here.
	rm -rf $(VENV) .axe .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
