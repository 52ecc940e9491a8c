# Everything here sets up what it needs by itself in .venv, and is quick the second time.
#
#   PYTHON  interpreter for .venv, 3.10 or newer
#   TORCH   what is given to pip for torch. On Linux without an NVIDIA GPU the CPU-only build is much smaller:
#           take its packages from PyTorch's CPU wheel index, see pytorch.org/get-started, for example
#           make setup TORCH="torch torchvision --index-url <that index>"

PYTHON ?= python3
TORCH ?= torch torchvision
VENV := .venv
BIN := $(VENV)/bin
EXAMPLES = $(wildcard $(addprefix examples/*.,png jpg jpeg webp tif tiff))

.PHONY: help setup demo test lint ui bench
.DELETE_ON_ERROR:

help:
	@echo "make setup   create .venv with everything"
	@echo "make demo    cloak the pictures of examples/ into demo/ and show what was reached"
	@echo "make test    run the tests"
	@echo "make lint    check format, style and types"
	@echo "make ui      open the page on this machine"
	@echo "make bench   measure time and memory here"

setup: $(addprefix $(VENV)/.installed-,dev ui eval provenance cluster)

demo: $(VENV)/.installed-dev
	$(BIN)/python -m cloak.cli protect $(EXAMPLES) --output demo/ --effort fast --overwrite

test: setup $(VENV)/.chromium
	$(BIN)/python -m pytest -q

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

ui: $(VENV)/.installed-dev $(VENV)/.installed-ui
	$(BIN)/python -m cloak.cli ui

bench: $(VENV)/.installed-dev
	$(BIN)/python -m cloak_eval.benchmarks speed

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "artcloak needs Python 3.10 or newer; give one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The page is tested in a real browser. Debian's is taken where it can be installed; without one, those tests are skipped.
$(VENV)/.chromium: $(VENV)/.created
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && echo "Installing Chromium for the tests of the page." \
	    && apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium >/dev/null; } \
	  || echo "No Chromium here and it cannot be installed by itself: the tests in a browser are skipped."
	@touch $@

$(VENV)/.installed-torch: $(VENV)/.created
	@echo "Installing torch; the first time this takes some minutes."
	$(BIN)/python -m pip install --quiet $(TORCH)
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(VENV)/.installed-torch
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
