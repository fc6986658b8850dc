# Two commands on a fresh machine: `make demo` and `make test`. Everything they need is installed
# into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUTPUT ?= output/demo
KERNELS := setup.py $(wildcard src/deepsphere/native/kernels/*)

.PHONY: help install demo test test-slow sanitize lint format benchmark benchmark-equivariance clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-23s %s\n", $$1, $$2}'

# "a cloned folder moved elsewhere" breaks a venv: its python is checked before it is trusted
$(BIN)/pip-pinned: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "deepsphere needs Python >= 3.10, got $$($(PYTHON) -V 2>&1); set PYTHON=python3.x"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	@touch $@

# compiles the kernels where there is a C++ compiler; says so and goes on where there is none
$(BIN)/deepsphere-installed: $(BIN)/pip-pinned pyproject.toml constraints.txt $(KERNELS)
	$(BIN)/python -m pip install --quiet --editable ".[all]" -c constraints.txt
	@touch $@

$(BIN)/dev-installed: $(BIN)/deepsphere-installed
	$(BIN)/python -m pip install --quiet --group dev -c constraints.txt
	@touch $@

install: $(BIN)/deepsphere-installed ## create .venv and install the package with every extra

demo: $(BIN)/deepsphere-installed ## train on spherical digits and write a report (under 4 minutes)
	$(BIN)/deepsphere demo --output $(OUTPUT) --overwrite

test: $(BIN)/dev-installed ## run the fast tests
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(BIN)/dev-installed ## run the slow tests
	$(BIN)/python -m pytest -m slow

sanitize: $(BIN)/dev-installed ## check the compiled kernels for memory errors and data races
	$(BIN)/python tests/native/sanitize.py address
	$(BIN)/python tests/native/sanitize.py thread

lint: $(BIN)/dev-installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: $(BIN)/dev-installed ## rewrite the code in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(BIN)/deepsphere-installed ## time the graph filter against its alternatives
	$(BIN)/deepsphere benchmark filter

benchmark-equivariance: $(BIN)/deepsphere-installed ## rotation errors and building times of the graphs
	$(BIN)/python benchmarks/run.py equivariance

clean: ## remove the environment and every output
	rm -rf $(VENV) output build *.egg-info src/*.egg-info .pytest_cache .ruff_cache
