# Every verb sets up .venv first if that is needed. `make` alone lists the verbs.

# PYTHON: any Python >= 3.11.  PROFILE: smoke, laptop, t4 or paper.
# WORKERS: test processes, one thread each; "logical" is one for each core.
# SCALE: simulation, small or gpu.
# TORCH_INDEX: address of a package index with CPU-only torch.  UPGRADE=1: `make lock` moves the pins.
# LOWEST=1: `make lock` takes the lowest versions that pyproject.toml allows.
PYTHON ?= python3
PROFILE ?= laptop
SCALE ?= simulation
WORKERS ?= logical

# Python compiles a package when it is first imported. Where that may not be kept, every process compiles PyTorch anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Extras that requirements.lock holds.
LOCKED := lm gguf images cluster book dev
RECENT := sys.exit(sys.version_info < (3, 11))

.PHONY: help setup book release test test-all verify lab lint lock clean clean-all
.DEFAULT_GOAL := help

help:
	@echo "make book    run every chapter and build _build/html/index.html   (PROFILE=smoke for a quick one)"
	@echo "make release  make book, and put it, its EPUB and PDF and the records into files to publish"
	@echo "make test    run the test suite, without what is marked slow"
	@echo "make test-all  run all of it"
	@echo "make verify  check every claim afresh                            (SCALE=small for small models, 20 minutes)"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make lint    check style and types, notebooks and workflows too"
	@echo "make lock    write requirements.lock from pyproject.toml          (UPGRADE=1 to move the pins)"
	@echo "make setup   only set up .venv                                    (TORCH_INDEX=... for CPU-only torch)"
	@echo "make clean   remove what was built, keep .venv                    (make clean-all removes both)"

book: setup
	@$(BIN)/model-collapse run --profile $(PROFILE)
	@$(BIN)/model-collapse build --profile $(PROFILE)

release: book
	@$(BIN)/model-collapse release

test: setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

verify: setup
	@$(BIN)/model-collapse verify --scale $(SCALE)

lab: setup
	@$(BIN)/jupyter lab --notebook-dir notebooks

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/zizmor --offline --quiet .github/workflows

# The stamps are written last: a set-up that was cut short starts again. --no-compile halves its time: Python compiles
# what is used on first import.
setup: .venv/.installed
	@:

.venv/.locked: requirements.lock
	@$(BIN)/python -c 'import pip, sys; $(RECENT)' 2>/dev/null || { \
	    $(PYTHON) -c 'import sys; $(RECENT)' 2>/dev/null \
	        || { echo "Python >= 3.11 is needed, $(PYTHON) is not: make ... PYTHON=python3.12" >&2; exit 1; }; \
	    $(PYTHON) -m venv --clear .venv; }
	@echo "Setting up .venv from requirements.lock: a few minutes, once ..."
	@start=$$(date +%s); \
	    $(PIP) install -q --no-compile -r requirements.lock $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	    && echo "Set up in $$(( $$(date +%s) - start )) s, $$(du -sh .venv | cut -f1)B."
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

# No hashes: a CPU build of torch has another hash than the CUDA build of the same version.
lock: setup
	@$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 $(addprefix --extra ,$(LOCKED)) \
	    --no-header --no-annotate $(if $(UPGRADE),--upgrade) $(if $(LOWEST),--upgrade --resolution lowest-direct) \
	    -o requirements.lock

clean:
	rm -rf _build
	@echo "Kept .venv; make clean-all removes it too."

clean-all:
	rm -rf _build .venv
