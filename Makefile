# Everything the project does, from a bare machine with Python 3.11 or later, git and make.
# All that is made here stays in the checkout: .venv (with pip's and matplotlib's caches), build, tool caches.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help review test check static docs quick format search floors bench clean

JOBS ?= 2
PEERS ?= PyMARE==0.0.13 PyMetaAnalysis==0.9.0 threadpoolctl
VENV := .venv
PY := $(VENV)/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
export PIP_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache/pip
export MPLCONFIGDIR ?= $(CURDIR)/$(VENV)/cache/matplotlib
export MPLBACKEND := Agg

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: PYTHON=python3.12 for a new environment, JOBS=8 and ARGS="-k pool" for the tests'

review: $(VENV)/installed ## redo the liver-metastases review into build/nethm
	@$(PY) examples/nethm_review.py

test: $(VENV)/installed-test ## all tests, with doctests and examples
	@$(PY) -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

check: test static docs ## everything: tests, format, lint, types, docs

static: $(VENV)/installed-dev ## format, lint and types, changing nothing
	@$(PY) -m ruff format --check --output-format concise .
	@$(PY) -m ruff check --output-format concise .
	@$(PY) -m mypy

docs: $(VENV)/installed-docs ## the documentation into build/docs
	@$(PY) -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Documentation: $(CURDIR)/build/docs/index.html"

quick: static ## ten seconds: static, the layers, the imports, the tests of changed files
	@$(PY) -m pytest -q -x tests/test_architecture.py tests/test_import.py $$($(changed-tests)) $(ARGS)

# netsynth/data/study.py has its tests in tests/data/test_study.py
changed-tests = git status --porcelain --untracked-files=all -- netsynth tests 2>/dev/null \
	| sed -n -E 's|^.* ||; s|^netsynth/((.*/)?)([^/]+)\.py$$|tests/\1test_\3.py|; /^tests\/.*test_[^/]*\.py$$/p' \
	| sort -u | while read -r file; do [ ! -f "$$file" ] || echo "$$file"; done

format: $(VENV)/installed-dev ## rewrite the code in the project's format
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .

search: $(VENV)/installed-test ## the tests of properties on examples drawn anew; ARGS=--hypothesis-seed=7 for the same again
	@$(PY) -m pytest -q -n $(JOBS) --dist loadfile -m hypothesis --hypothesis-profile=search $(ARGS) tests

floors: build/floors/installed ## all tests against the oldest versions that pyproject.toml allows
	@build/floors/bin/python -m pytest -q -n $(JOBS) --dist loadfile \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(ARGS)

bench: build/bench/installed ## netsynth and its peers timed side by side; ARGS=--write for docs/benchmarks.md
	@build/bench/bin/python benchmarks/run.py $(ARGS)

clean: ## remove what was built and cached; .venv stays
	@rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# --- environments: made once, and again when pyproject.toml changes -------------------------------------

find-python = \
	for python in $(PYTHON) $(if $(PYTHON),,python3.11 python3.12 python3.13 python3); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "netsynth needs Python 3.11 or later, and $(if $(PYTHON),$(PYTHON) is not that,found none)." \
			"Install one, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python cannot make a virtual environment: its ensurepip module is missing." \
			"On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi

$(PY):
	@$(find-python); echo "Making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV)

$(VENV)/installed: pyproject.toml | $(PY)
	@echo "Installing netsynth"
	@$(PY) $(PIP) --editable .
	@touch $@

$(VENV)/installed-%: pyproject.toml | $(PY)
	@echo "Installing netsynth[$*]"
	@$(PY) $(PIP) --editable '.[$*]'
	@touch $@ $(VENV)/installed

print-floors = 'import tomllib; \
	project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = project["optional-dependencies"]; \
	print(*(need.replace(">=", "==") for need in project["dependencies"] + extras["excel"] + extras["test"] \
		if ">=" in need), sep="\n")'

build/floors/installed: pyproject.toml
	@$(find-python); echo "Making build/floors with $$("$$python" --version)"; \
		"$$python" -m venv --clear build/floors
	@build/floors/bin/python -c $(print-floors) > build/floors/constraints.txt
	@build/floors/bin/python $(PIP) --constraint build/floors/constraints.txt --editable '.[test]'
	@touch $@

# one by one, so that a peer that cannot be had is left out
build/bench/installed: pyproject.toml
	@$(find-python); echo "Making build/bench with $$("$$python" --version)"; \
		"$$python" -m venv --clear build/bench
	@build/bench/bin/python $(PIP) --editable .
	@for peer in $(PEERS); do \
		build/bench/bin/python $(PIP) "$$peer" || echo "$$peer cannot be installed and is left out"; \
	done
	@touch $@
