# The commands of the house; `make` alone lists them.
#
# PYTHON   the interpreter for a new environment; without it the first Python >= 3.11 on the PATH is taken
# VENV     where the environment lives
# WORKERS  how many processes pytest starts; without it one more than there are cores, at most 8

VENV ?= .venv
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 1 : 8)))

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := data/runs/demo
SOAK := data/runs/soak

# Nothing outside the environment may answer an import.
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH
# The suite starts hundreds of processes; without compiled modules each compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo soak test lint audit lab clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s%s\n", $$1, $$2 }'

install: $(STAMP) ## create .venv with the pinned libraries, JupyterLab and the tools for tests

demo: $(STAMP) ## simulate the demo scenario and make its reports
	$(BIN)/agentsim simulate data/scenarios/demo.yaml --out $(DEMO)
	$(BIN)/agentsim report scale --run $(DEMO)
	$(BIN)/agentsim report lineage --run $(DEMO)
	$(BIN)/agentsim report anomaly --run $(DEMO) -p contain_agents=1000 -p contain_points=3
	@echo
	@echo "The reports are ready. Open $(CURDIR)/reports/index.html in a browser."

soak: $(STAMP) ## serve for a quarter of an hour under load, kill, spoil and attack what serves, and report
	$(BIN)/agentsim soak --out $(SOAK); status=$$?; test $$status -le 1 || exit $$status; \
	    $(BIN)/agentsim report reliability --run $(SOAK) && exit $$status

# loadfile: what a test file prepares once (a simulated Run, mostly) is prepared by one worker only. The order is ours: the
# files with most tests are not those that take longest.
# Each process of the suite has a core, or most of one: now and then each waits for a server that it has started. Threads
# of its own would only wait for those of the others.
test: export OMP_NUM_THREADS := 1
test: $(STAMP) ## run the whole test suite
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## check style, unsafe use, format, types and that the libraries fit together
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pip check

# Not a part of lint, whose answer is the same for the same tree, with a network and without.
audit: $(STAMP) ## ask a service for known vulnerabilities of the pinned libraries
	$(BIN)/python .ci/audit.py

lab: $(STAMP) ## open JupyterLab on the notebooks
	$(BIN)/agentsim lab

clean: ## remove .venv, caches and build leftovers; Runs and reports stay
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find agentsim tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# Redone whenever the requirements or their pins change. A name on the PATH proves nothing (pyenv leaves
# names there that refuse to run), so each candidate is run and asked for its version.
$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    if [ -e $(VENV) ] && [ ! -f $(VENV)/pyvenv.cfg ]; then \
	        echo "$(VENV) exists and is no Python environment; move it away or set VENV" >&2; \
	        exit 1; \
	    fi; \
	    for candidate in $(if $(PYTHON),'$(PYTHON)',python3 python3.14 python3.13 python3.12 python3.11 python); do \
	        "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found=$$candidate && break; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "agentsim needs Python 3.11 or newer, and $(if $(PYTHON),$(PYTHON) is not,none was found on the PATH)." >&2; \
	        echo "Install one, or name it: make install PYTHON=/path/to/python3.11" >&2; \
	        exit 1; \
	    fi; \
	    echo "Creating $(VENV) with $$("$$found" -V) ..."; \
	    rm -rf $(VENV); \
	    "$$found" -m venv $(VENV) || { \
	        rm -rf $(VENV); \
	        echo "$$found could not create an environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
	        exit 1; \
	    }; \
	fi
	@echo "Installing the pinned libraries into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lab,dev]'
	@touch $@
