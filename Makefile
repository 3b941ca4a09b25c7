# `make demo` runs the main pipeline, `make test` the tests. Each sets up all it needs in .venv.
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_TOPIC ?= shade and surface temperature

# The first Python that this package runs on (3.10 to 3.13).
PYTHON ?= $(shell for python in python3 python3.12 python3.13 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)
CONSTRAINTS = constraints/py$(shell $(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])').txt
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Without compiled files, each of the many processes of the tests reads the sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test browser dev check format bench clean

help:  ## What there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.13 is needed; none was found. Set PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is needed (Debian: apt install python3-venv)."; exit 1; }
	@touch $@

# What the main pipeline and the UI need.
$(VENV)/.runs: $(VENV)/.created pyproject.toml $(wildcard constraints/*.txt)
	@echo "Installing into $(VENV), which takes a minute or two …"
	@$(PIP) --constraint $(CONSTRAINTS) --editable '.[ui]'
	@touch $@

# What development needs besides.
$(VENV)/.develops: $(VENV)/.created pyproject.toml $(wildcard constraints/*.txt)
	@echo "Installing into $(VENV) …"
	@$(PIP) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@ $(VENV)/.runs

demo: $(VENV)/.runs  ## Run the main pipeline here and say where its products are
	@$(BIN)/orchestrator run pipelines/research_report.yaml -i topic="$(DEMO_TOPIC)" -o outputs/research_report/result.json
	@echo
	@echo "The products are in outputs/research_report/ : report.md, report.html, findings.json, surfaces.csv"
	@echo "The command is $(BIN)/orchestrator; \`. $(BIN)/activate\` makes it known to your shell."
	@echo "Open the UI with \`make dev\`: the assets, their lineage and this run are there."

dev: $(VENV)/.runs  ## Open the Dagster UI
	@$(BIN)/orchestrator dev

# The walk through the UI needs Chromium. On CI, where the machine is thrown away, it is installed; it is skipped without.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ apt-get -qq update && apt-get -qq --yes --no-install-recommends install chromium; } >/dev/null 2>&1 || \
		echo "There is no Chromium, and none could be installed: the tests that need a browser are skipped."

# On CI, which sets CI, also those that take long. Here one more worker than there are processors: a part of the time
# the tests wait for other processes.
WORKERS = $(if $(CI),auto,$(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)'))
test: $(VENV)/.develops $(if $(CI),browser)  ## Run the tests; with CI=1 also the slow ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(if $(CI),,-m "not slow")

check: $(VENV)/.develops  ## Lint and check types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.develops  ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: $(VENV)/.develops  ## Measure, beside a reference in the same run
	@$(BIN)/python -m benchmarks

clean:  ## Remove what was built and made here
	@rm -rf $(VENV) .orchestrator outputs build dist *.egg-info
