# One-word commands. Each sets up what it needs: a newcomer has Python 3.10 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORE := tests/integration/operators/test_modes.py tests/integration/triggers/test_ends.py tests/integration/processing
# The longest first, for whoever runs several at a time; those that keep most processes busy aren't neighbours. The
# acceptance tier runs the demo too.
PARTS := acceptance integration crashes compat production parity browser unit lint docs
# uv checks what it downloads against the hashes of constraints.txt, in dependencies and in build environments too.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt
CRASHES := tests/acceptance/test_crash_matrix.py
UPGRADE ?= --upgrade
CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome))
# The environment's own programs come first, whatever else the user has installed.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Hundreds of processes import Airflow: where bytecode isn't kept, each compiles it anew, which is most of its work.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup test verify core house unit integration acceptance crashes production browser soak matrix parity compat docs lint format images demo ui bench dist constraints clean parts

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

parts: # of `make verify`, for whoever runs them one by one
	@echo $(PARTS)

setup: $(STAMP) ## Create .venv with everything that development needs

$(STAMP): pyproject.toml constraints.txt
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement $(VENV)/uv.txt
	@echo "Installing Airflow, the amazon provider and the tools for development: half a minute to some minutes"
	@$(INSTALL) --editable '.[crt,local]' --group dev
	@touch $@
	@echo "$(VENV) is ready"

test: unit core demo ## What shows most faults: the fast tier, the core of integration, one pipeline through Airflow

verify: $(PARTS) ## Everything: each tier, lint and docs; .ci/run does the same, two parts at a time

unit: $(STAMP) ## The fast tier: no server, no Airflow process
	$(BIN)/pytest -n logical --dist loadfile --timeout 300 tests/unit

# Four processes on two cores too, for it waits more than it computes. A file stays in one process, where its costly
# fixtures are made once; pytest-xdist 3.8 passes over its own groups under pytest 9.2.
integration: $(STAMP) ## Against the local SageMaker over HTTP
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder tests/integration

# A job's life, each mode of waiting for it, and the two ways to define it: what most changes could break.
core: $(STAMP)
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(CORE)

acceptance: $(STAMP) ## The example DAGs, the demo and the tutorial through real Airflow
	$(BIN)/pytest tests/acceptance --ignore $(CRASHES)

crashes: $(STAMP) ## The crash matrix: SIGKILL and cut connections at each point of a task's life, with real Airflow
	$(BIN)/pytest $(CRASHES)

production: $(STAMP) ## PostgreSQL, Redis, Celery, two of each component: what dies, freezes, ends and comes back
	@if [ -n "$(wildcard /usr/lib/postgresql/*/bin/postgres)" ] && command -v redis-server > /dev/null; then $(BIN)/pytest tests/production; \
	  else echo "NOT RUN: the production tier found no PostgreSQL or no Redis. Install Debian's packages postgresql and redis-server."; fi

browser: $(STAMP) ## The UI's pages in a headless Chromium (CHROMIUM=…); left out where there is none
	@if command -v "$(CHROMIUM)" > /dev/null; then CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser; \
	  else echo "NOT RUN: the browser tier found no Chromium. Install Debian's package chromium, or give CHROMIUM=/path/to/one."; fi

soak: $(STAMP) ## Play the one-job rule in thousands of orders, a crowd of a thousand tasks, the crash matrix twenty times (ROUNDS=…)
	ANY_ORDER_EXAMPLES=2000 $(BIN)/pytest -n logical --dist loadfile tests/unit/ownership/test_any_order.py
	CROWD_INSTANCES=1000 $(BIN)/pytest tests/integration/exactly_once/test_crowd.py
	$(BIN)/pytest $(CRASHES) --soak $(or $(ROUNDS),20)

matrix: $(STAMP) ## Play the crash matrix with the amazon provider's operator beside ours, and print both
	$(BIN)/python -m tests.acceptance.crash_matrix

docs: $(STAMP) ## Build the documentation into site/, and check its links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

parity: $(STAMP) ## Byte for byte against the SageMaker SDK, in an environment of its own
	$(BIN)/pytest -n logical --dist loadfile --no-loadscope-reorder tests/parity

compat: $(STAMP) ## The older Airflows, and what else users have installed, in environments of their own
	$(BIN)/pytest -n logical --dist loadfile --no-loadscope-reorder tests/compat

lint: $(STAMP) ## ruff, spelling, mypy --strict, and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/usage.py
	$(BIN)/mypy -p tests.parity
	$(BIN)/lint-imports

house: $(STAMP) ## Measure the package's structure against its bounds
	$(BIN)/python -m tests.house

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

images: $(STAMP) ## Renew the tables of AWS's images from the SageMaker SDK
	$(BIN)/python -m tests.parity.image_tables

demo: $(STAMP) ## Run a real pipeline through Airflow on the local SageMaker
	$(BIN)/python -m demo

ui: $(STAMP) ## Start Airflow and the local SageMaker on loopback with the examples or your own DAGs (DAGS=folder PORT=…)
	$(BIN)/python -m demo.ui $(if $(PORT),--port $(PORT)) $(if $(DAGS),--dags "$(DAGS)")

bench: $(STAMP) ## Measure: import cost, uploads, thousands of waiting jobs
	$(BIN)/python -m benchmarks

dist: $(STAMP) ## Build the sdist and the wheel into dist/, and check them as a release
	$(INSTALL) --group dist
	$(BIN)/python -m tests.distribution

constraints: $(STAMP) ## Renew the pinned versions and their hashes (UPGRADE= keeps the versions)
	$(BIN)/uv pip compile --quiet --universal $(UPGRADE) --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --generate-hashes --python-version 3.10 --extra crt --extra local --group dev --group dist \
	  --output-file constraints.txt pyproject.toml
	@echo "celery<5.7  # for whoever adds the celery provider: 3.26 doesn't forbid 5.7, and breaks with it" >> constraints.txt

clean: ## Remove what the commands created
	rm -rf $(VENV) .venv-* .demo .ui build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .screenshots
