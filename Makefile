# make evaluate   the main job: a data set, a fitted submission, the verdict and the board
# make test       lint, types, doctests, tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= embedded
SUBMISSION ?= mbv3_cut

.PHONY: evaluate test retest test-user setup bench regress gpu format scenes clean
.DEFAULT_GOAL := evaluate

# Both sides' weights for the embedded data set come with the project.
evaluate: setup data/$(DATA)/manifest.json
	$(BIN)/harness evaluate $(SUBMISSION) --data $(DATA)
	@echo
	$(BIN)/harness leaderboard --data $(DATA)

# What is judged on, in seconds; `harness train` renders the training scenes where they are missing.
data/embedded/manifest.json: | $(VENV)/installed
	$(BIN)/harness prepare synthetic --judged-only

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	OMP_WAIT_POLICY=PASSIVE OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadscope # none spins on the other's core

# The tests that failed last, in one process; fails where none ran.
retest: setup
	$(BIN)/pytest --last-failed --last-failed-no-failures none

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "expected Python 3.11 to 3.13, got $$($(PYTHON) -V 2>&1); name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "expected Python's venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Times and ratios, each beside a reference in the same run. Nothing else should run meanwhile.
bench: setup
	$(BIN)/pytest tests/benchmarks --benchmark-enable --benchmark-only --tight -s

# The ratios alone, each at most twice the committed one: for CI, whose machines are noisy.
regress: setup
	$(BIN)/pytest tests/benchmarks/test_regressions.py --benchmark-enable --benchmark-only -s

# As root: the isolation, its cheats and faults once more as an ordinary user.
test-user: setup
	.ci/as-user

# The tests that need an NVIDIA GPU; their report is gpu-report.xml.
gpu: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,gpu]'
	$(BIN)/pytest -m gpu --junit-xml gpu-report.xml

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) data .pytest_cache .mypy_cache .ruff_cache

# Renders the embedded data set's val and test scenes anew. They are committed; another renderer is another data set.
scenes: setup
	rm -rf harness/data/embedded
	$(BIN)/python -c 'from harness.data import synthetic as s; s.render_embedded(s.EMBEDDED, s.JUDGED, print)'
