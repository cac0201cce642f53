# The daily commands. `make` alone lists them. ARGS is passed on: make test ARGS="-k geometry"
# CONSTRAINTS=constraints.txt installs the exact versions of the continuous integration, which sets CI=true.

PYTHON ?= python3
CONSTRAINTS ?= $(if $(filter true,$(CI)),constraints.txt)
ARGS ?=
SIDE_BY_SIDE := --numprocesses=auto --dist=loadscope

VENV := .venv
PY := $(VENV)/bin/python
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS))

.PHONY: help install run test test-all test-cluster test-faults check format bench bench-scaling bench-quality bench-sampling bench-store bench-write scorecard figures torch remote clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## make .venv and install superpose in it, editable

run: $(VENV)/installed ## train the paper's basic result: figure and arrays in outputs/basic_results
	$(PY) -m superpose.run sparsity=sweep $(ARGS)

test: $(VENV)/test ## run the tests
	$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-all: $(VENV)/test ## run the tests, those that take minutes too
	$(PY) -m pytest $(SIDE_BY_SIDE) -m "" $(ARGS)

test-cluster: $(VENV)/cluster ## run the tests on launchers and a SLURM: as root, with Debian's slurm-wlm and munge
	$(PY) -m pytest tests/cluster $(ARGS)

test-faults: $(VENV)/test ## kill, damage, fill and misuse it, and count: 25 minutes, FAULTS=quick 5; as root, with strace
	@$(MAKE) --no-print-directory remote || echo "NOTICE: an S3 server could not be installed; the tests that copy to one are skipped."
	$(PY) -m pytest --numprocesses=2 --dist=worksteal -m faults $(ARGS)

check: $(VENV)/check ## lint, formatting, types, and which room may import which
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m pytest --quiet tests/test_imports.py

format: $(VENV)/check ## format the code and sort its imports
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/installed ## speed beside other programs and the machine's limits, and the phase diagrams; in outputs/bench
	$(PY) benchmarks/compare.py $(ARGS)
	$(PY) benchmarks/phase_maps.py

bench-scaling: $(VENV)/installed ## what a run costs as models, n, batch, steps and seeds grow; in outputs/bench
	$(PY) benchmarks/scaling.py $(ARGS)

bench-quality: $(VENV)/installed ## how long until a loss is within 1% of the best known, by recipe; in outputs/bench
	$(PY) benchmarks/quality.py $(ARGS)

bench-sampling: $(VENV)/installed ## the variance of the gradient by ways to draw a batch; in outputs/bench
	$(PY) benchmarks/variance.py $(ARGS)

bench-store: $(VENV)/installed ## what the table of models costs on a file system as it grows; in outputs/bench
	$(PY) benchmarks/simulate.py $(ARGS)

bench-write: $(VENV)/installed ## put what was measured into README.md and docs/
	$(PY) benchmarks/publish.py

scorecard: $(VENV)/installed ## run every experiment, and write its claims and its figure to docs/
	$(VENV)/bin/superpose scorecard --to docs $(ARGS)

figures: scorecard ## the same: what is trained already is only drawn again

torch: $(VENV)/torch ## add PyTorch, with which some tests and the benchmark compare

remote: $(VENV)/remote ## add what object stores need, and the S3 server that some tests copy to

clean: ## remove .venv, builds and caches; results in outputs/ stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each file below stands for a finished step. An installation is repeated only when pyproject.toml has changed.

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "superpose needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml
	@echo "Installing superpose into $(VENV). This may take a few minutes."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/test: $(VENV)/installed
	@echo "Installing the tools of the tests."
	$(INSTALL) --editable '.[test]'
	@touch $@

$(VENV)/cluster: $(VENV)/test
	$(INSTALL) --editable '.[slurm,joblib]'
	$(INSTALL) --editable '.[ray]' || echo "NOTICE: ray could not be installed; its test is skipped."
	@touch $@

$(VENV)/check: $(VENV)/test
	@echo "Installing the tools of the checks."
	$(INSTALL) --editable '.[check]'
	@touch $@

$(VENV)/torch: $(VENV)/test
	$(INSTALL) --editable '.[torch]'
	@touch $@

$(VENV)/remote: $(VENV)/test
	$(INSTALL) --editable '.[remote,s3-server]'
	@touch $@
