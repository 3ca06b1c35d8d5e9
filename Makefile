# Set-up, tests, checks and the server. `make help` lists the targets; everything lives in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help prerequisites setup serve test check bench guard campaign fuzz clean

CANDIDATES := python3 python3.13 python3.12 python3.11
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
LOG := $(VENV)/setup.log
TESTS ?= tests

# What a machine must have; says what is missing in one sentence. Runs on Pythons that are too old, too.
define PREREQUISITES
import importlib.util, os, shlex, shutil, subprocess, sys, sysconfig, tempfile
missing = []
if sys.version_info < (3, 11):
    missing.append("Python 3.11 or newer (%s is %d.%d; name another with PYTHON=)" % ((sys.executable,) + sys.version_info[:2]))
if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
    missing.append("Python's venv module with ensurepip (Debian, Ubuntu: the package python3-venv)")
include = sysconfig.get_path("include")
headers = os.path.exists(os.path.join(include, "Python.h"))
if not headers:
    missing.append("Python's headers (no Python.h in %s; Debian, Ubuntu: python3-dev)" % include)
command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
if not shutil.which(command[0]):
    missing.append("a C compiler (%s is not on the PATH; install it or name another with CC=)" % command[0])
elif headers:
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "probe.c")
        with open(source, "w") as file:
            file.write("#include <Python.h>\nint main(void) { return 0; }\n")
        build = command + ["-I", include, "-c", source, "-o", source + ".o"]
        done = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode:
            error = next((line for line in done.stdout.splitlines() if "error" in line), done.stdout.strip())
            missing.append("a C compiler that works (%s says: %s)" % (command[0], error))
if missing:
    sys.exit("Set-up needs " + ", and ".join(missing) + ".")
endef
export PREREQUISITES

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

prerequisites:  ## say what this machine lacks
	@if [ -z "$(PYTHON)" ]; then \
	    echo "Set-up needs Python 3.11 or newer: none of $(CANDIDATES) is (name another with PYTHON=)." >&2; exit 1; fi
	@if ! command -v "$(PYTHON)" >/dev/null; then \
	    echo "Set-up needs Python 3.11 or newer: there is no $(PYTHON)." >&2; exit 1; fi
	@"$(PYTHON)" -c "$$PREREQUISITES"

setup: $(READY)  ## make .venv with everything in it (only when something changed)

# Editable, because the tests import ./engine, which must hold the compiled extension.
$(READY): pyproject.toml setup.py $(wildcard native/*.py native/src/*.[ch])
	@$(MAKE) --no-print-directory prerequisites
	@if [ -e $(VENV) ] && ! $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then rm -rf $(VENV); fi
	@echo "Setting up $(VENV) (the first time a few hundred MB are downloaded; details in $(LOG))"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[local,dev]' 2>&1 | tee $(LOG) | while read -r line; do \
	    case "$$line" in \
	        Collecting*|Requirement*) printf . ;; \
	        Installing\ collected*) printf ' installing' ;; \
	        Building\ editable*) printf ' building' ;; \
	    esac; done || { echo; \
	        { grep -E '^ *(ERROR|error|fatal error|.*: error):' $(LOG) || tail -n 5 $(LOG); } | sort -u | tail -n 8 >&2; \
	        echo "Set-up failed; the whole story is in $(LOG)." >&2; exit 1; }
	@echo " done"
	@touch $@

# Who benchmarks compare with: the extra `bench` alone, without building the engine again.
$(PEERS): $(READY)
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' \
	    | $(BIN)/python -m pip install --disable-pip-version-check --quiet -r /dev/stdin
	@touch $@

serve: $(READY)  ## run the server on 127.0.0.1:8080 (LISTEN_PORT and so on change it)
	@exec $(BIN)/listen serve

# Threads of OpenBLAS that wait for work spin, which takes the cores from the other processes. Bytecode is kept also
# where the environment says not to: a hundred servers are started, each of which would compile the engine again.
# What a process had left to do when a test hung in it is not begun anew: it would hang again.
test: $(READY)  ## run the tests (TESTS=tests/wire for some of them)
	@OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(TESTS)

check: $(READY)  ## ruff, mypy --strict, and the C with warnings as errors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	    LISTEN_WERROR=1 $(BIN)/python setup.py --quiet build_ext --build-temp "$$folder" --build-lib "$$folder"

bench: $(PEERS)  ## all benchmarks: parts, extraction, voices, whole servers; reports in bench/report
	@$(BIN)/python -m bench; parts=$$?; $(BIN)/listen bench endtoend && exit $$parts

guard: $(READY)  ## fail when a path costs more than bench/budgets.toml accepts
	@$(BIN)/python -m bench.guard

campaign: $(READY)  ## the long runs; their figures go to tests/campaign/summary.md
	@$(BIN)/python -m pytest -m campaign -o faulthandler_timeout=0 --durations=0 $(TESTS)

fuzz: $(READY)  ## fuzz frame reader and codecs with clang's libFuzzer (FUZZ_SECONDS=600)
	@$(BIN)/python -m native.fuzz $(FUZZ_SECONDS)

clean:  ## remove everything that set-up and the tools made
	rm -rf $(VENV) build *.egg-info engine/_native.c engine/_native*.so .hypothesis .mypy_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
