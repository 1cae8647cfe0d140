# Everything that is done with this checkout. All targets use .venv and make it first.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python from 3.11 to 3.14 that really runs: a version manager's python3.14 may be there and only say no.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	>/dev/null 2>&1 && { echo "$$python"; break; }; done)

BIN := .venv/bin
# Processes of tests: more than two cores can feed, because many tests wait.
PROCESSES ?= 4
# A process of tests that goes away ends the run: xdist would start another, and may wait for it for ever.
PYTEST := $(BIN)/python -m pytest --max-worker-restart 0
COMPILE := uv --no-config pip compile --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
	--no-header --no-annotate

# The tests start a thousand processes; without its compiled modules each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[.a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Options go into ARGS: make demo ARGS="--events 20000", make test ARGS="-k cursor"'

.PHONY: .venv
.venv: .venv/.installed ## Make the virtual environment (PYTHON=… chooses the interpreter)

.venv/.installed: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo 'No Python from 3.11 to 3.14 with venv was found (Debian: apt-get install python3-venv); say PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

.PHONY: demo
demo: .venv/.installed ## Run the whole system on made-up traffic and check every number
	$(BIN)/fundlyhub demo $(ARGS)

.PHONY: unit
unit: .venv/.installed ## Run the tests that need no server and start no process: the quick loop
	QUICK_EXAMPLES=1 $(PYTEST) -n 2 -q -m "unit and not chaos" --dist worksteal $(ARGS)

.PHONY: test
test: .venv/.installed ## Run the tests, the long ones apart; PROCESSES=4 at a time, each with servers of its own
	$(PYTEST) -n $(PROCESSES) -m "not chaos" --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: chaos
chaos: .venv/.installed ## Run the long tests that kill servers and workers; so many at a time, as above
	$(PYTEST) -n $(PROCESSES) -m chaos --dist worksteal $(ARGS)

.PHONY: reliability
reliability: ## Run the chaos tests and write what they measured into docs/reliability.md
	RELIABILITY_PAGE=docs/reliability.md CHAOS_RECORDS=.chaos $(MAKE) --no-print-directory chaos

.PHONY: lint
lint: .venv/.installed ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: .venv/.installed ## Bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: .venv/.installed ## Measure ours, peers that are there, and the limit, in ten minutes at most
	$(BIN)/python -m benchmarks --out .bench/numbers.json $(ARGS)

.PHONY: bench-full
bench-full: peers ## Measure everything, with all peers, an hour, and write docs/performance.md anew
	$(BIN)/python -m benchmarks --full --out docs/performance.json $(ARGS); status=$$?; \
	$(BIN)/python -m benchmarks.report && exit $$status

.PHONY: bench-reading
bench-reading: .venv/.installed ## Measure how fast feeds and searches are read, as docs/reading-measured.md
	$(BIN)/python -m benchmarks.reading $(ARGS)

.PHONY: bench-console
bench-console: .venv/.installed ## Measure the console's pages and open tabs with large tables, as docs/console-measured.md
	$(BIN)/python -m benchmarks.console $(ARGS)

.PHONY: peers
peers: .venv-bench/.installed ## Install the benchmarks' peers: .venv-bench, and packages of node where there is node
	@if command -v npm >/dev/null; then cd benchmarks/peers/node && npm install --silent; \
	else echo 'node and npm are not there: its peers are left out'; fi

.venv-bench/.installed: requirements/bench.txt .venv/.installed
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

.PHONY: docs
docs: .venv/.installed ## Write the generated pages anew from the code
	$(BIN)/fundlyhub events docs > docs/events.md.new
	mv docs/events.md.new docs/events.md
	$(BIN)/fundlyhub notifications docs > docs/notifications.md.new
	mv docs/notifications.md.new docs/notifications.md
	$(BIN)/fundlyhub people where --markdown > docs/people-where.md.new
	mv docs/people-where.md.new docs/people-where.md
	$(BIN)/python -m tests.docs.api_reference
	$(BIN)/python -m tests.architecture.page
	$(BIN)/python -m tests.docs.roles_page

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows (needs uv)
	$(COMPILE) pyproject.toml --extra embedded --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --extra flower --extra elasticsearch --extra sendgrid --extra fcm --extra twilio \
		--extra metrics --extra tracing --extra webhooks --extra console --output-file requirements/image.txt
	$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt
	awk '/^setuptools==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements/dev.txt > requirements/build.txt
	$(COMPILE) requirements/bench.in --output-file requirements/bench.txt

.PHONY: clean
clean: ## Remove the virtual environment and all that tools have left
	rm -rf .venv .venv-bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .chaos .bench docs/*.md.new
	rm -rf benchmarks/peers/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
