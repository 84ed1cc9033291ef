# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
# Written for GNU make 3.81 and later, which is what macOS has.

SHELL := /bin/bash
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

# The first interpreter that is new enough; PYTHON=/path/to/python3 overrides it.
define FIRST_PYTHON
for p in $(1); do "$$p" -c 'import sys; sys.exit(not ($(2)))' 2>/dev/null && { echo "$$p"; exit; }; done; echo $(3)
endef
PYTHON ?= $(shell $(call FIRST_PYTHON,python3 python3.13 python3.12 python3.11 python3.14,sys.version_info >= (3$(comma) 11),python3))
# The lower bounds are releases of early 2024, which have wheels for these two only.
LOWEST_PYTHON ?= $(shell $(call FIRST_PYTHON,python3.11 python3.12 python3,(3$(comma) 11) <= sys.version_info < (3$(comma) 13),none))
comma := ,

VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venvs/lowest
LOCKER := .venvs/lock

# What `make demo` hands to `nas-syncd demo`, which ends by itself in any case.
DEMO_ARGS ?= --seconds 30
# What pytest gets besides its configuration: `make test PYTEST_ARGS="-n auto -k mount"`.
# Many tests wait for something real, so there is one more of them at work than there are cores.
PYTEST_ARGS ?= -n $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))) --dist worksteal
# `make lock UPGRADE=--upgrade` moves to the newest releases; without it the pins are kept.
UPGRADE ?=
PREFIX ?= /opt/nas-syncd

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# No index, no folder and no command of the machine it ran on may appear in a lock.
COMPILE = env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL $(LOCKER)/bin/uv pip compile --no-config --quiet \
	--universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

# `make faults FAULTS_ARGS="--group calls --case fsync"` for some of them.
FAULTS_ARGS ?=
# `make soak SOAK_ARGS="--minutes 10 --database postgresql"` for less, and on another database.
SOAK_ARGS ?=
# `make bench BENCH_ARGS="throughput --scale 0.1 --rounds 1"` for a quick look; `--help` lists the measurements.
BENCH_ARGS ?= throughput

.PHONY: help demo test check test-lowest lowest-python lab faults soak bench bench-lab format lock install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed ## the real daemon on sample documents and a pretend NAS; touches nothing of yours
	@$(BIN)/nas-syncd demo $(DEMO_ARGS)

test: check ## every check, then the test-suite
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-lowest: $(LOWEST)/.installed ## the test-suite with the oldest dependencies that are allowed
	@$(LOWEST)/bin/python -m pytest $(PYTEST_ARGS)

lowest-python:
	@echo "$(LOWEST_PYTHON)"

lab: ## Debian packages for the tests that need a real Samba, FUSE, PostgreSQL, MariaDB
	@tests/lab/install

faults: $(VENV)/.installed-dev ## the fault lab, whole: every call, crash and lie of the NAS; long
	@$(BIN)/python -m tests.faults $(FAULTS_ARGS)

soak: $(VENV)/.installed-dev ## an hour in a daemon's life, with everything that can go wrong around it
	@$(BIN)/python -m tests.soak $(SOAK_ARGS)

bench: $(VENV)/.installed-dev ## measures, side by side, and prints ratios
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-lab: ## Debian packages of those we are compared with: rsync, rclone, lsyncd, gvfs
	@tests/lab/install rsync rclone lsyncd gvfs-backends gvfs-fuse libglib2.0-bin dbus

format: $(VENV)/.installed-dev ## puts the code in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(LOCKER)/bin/uv ## renews requirements/*.txt from pyproject.toml
	$(COMPILE) --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(COMPILE) --extra api --extra demo --extra mysql --extra notify --extra postgres -c requirements/dev.txt \
		pyproject.toml requirements/build.in -o requirements/runtime.txt
	@# The tools that run the tests are today's; what the tests run against is the oldest.
	grep -E '^(anyio|editables|execnet|h11|hatchling|httpcore|httpx|hypothesis|mfusepy|packaging|pluggy|pytest[a-z-]*)==' \
		requirements/dev.txt | sed 's/ *\\$$//' > $(LOCKER)/tools.txt
	$(COMPILE) --resolution lowest-direct --extra api --extra demo --extra mysql --extra postgres \
		pyproject.toml requirements/build.in requirements/lowest.in $(LOCKER)/tools.txt -o requirements/lowest.txt

install: ## into PREFIX (default /opt/nas-syncd), for real use
	@$(call NEW_VENV,$(PREFIX),$(PYTHON))
	$(PREFIX)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	$(PREFIX)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation .
	@echo "Installed: $(PREFIX)/bin/nas-syncd"

clean: ## removes what was built here; no document and no state of yours
	rm -rf $(VENV) .venvs dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find nas_syncd tests -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call NEW_VENV,folder,interpreter): makes it unless a working one stands there; only an environment is ever cleared.
define NEW_VENV
"$(2)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "nas-syncd needs Python 3.11 or later: install it, or name it with PYTHON=/path/to/python3" >&2; exit 1; }; \
"$(2)" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "This Python cannot make virtual environments. Debian, Ubuntu: apt install python3-venv" >&2; exit 1; }; \
"$(1)/bin/python" -m pip --version >/dev/null 2>&1 || { \
	[ ! -f "$(1)/pyvenv.cfg" ] || clear=--clear; "$(2)" -m venv $${clear:-} "$(1)"; }
endef

# $(call INSTALL,folder,lock): the locked packages, hashes checked, then this project itself.
define INSTALL
@echo "Installing $(2) into $(1) …"
@"$(1)/bin/python" $(PIP_INSTALL) --require-hashes -r $(2)
@"$(1)/bin/python" $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
endef

$(VENV)/.installed: requirements/runtime.txt pyproject.toml
	@$(call NEW_VENV,$(VENV),$(PYTHON))
	$(call INSTALL,$(VENV),requirements/runtime.txt)
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt pyproject.toml
	@$(call NEW_VENV,$(VENV),$(PYTHON))
	$(call INSTALL,$(VENV),requirements/dev.txt)
	@touch $@ $(VENV)/.installed

$(LOWEST)/.installed: requirements/lowest.txt pyproject.toml
	@[ "$(LOWEST_PYTHON)" != none ] || { \
		echo "The lowest versions have wheels for Python 3.11 and 3.12 only: name one with LOWEST_PYTHON=" >&2; exit 1; }
	@$(call NEW_VENV,$(LOWEST),$(LOWEST_PYTHON))
	$(call INSTALL,$(LOWEST),requirements/lowest.txt)
	@touch $@

$(LOCKER)/bin/uv:
	@$(call NEW_VENV,$(LOCKER),$(PYTHON))
	@$(LOCKER)/bin/python $(PIP_INSTALL) 'uv>=0.5'
