# The README's commands. Everything happens in .venv, which is made when it is missing or the pins have changed.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := passive

.PHONY: install demo test check test-demo docs clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ganarium needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "this Python cannot make environments: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# DCGAN learns the ten digits of the offline glyphs, in at most three minutes on two cores; see runs/demo/report.html.
demo: install
	@rm -rf runs/demo
	$(BIN)/ganarium train dcgan --config demo.yaml
	$(BIN)/ganarium sample runs/demo --n 64 --seed 1 --gif

test: check
	$(BIN)/python -m pytest -q -m 'not slow'

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The demo's claim: a classifier reads its digits, and an untrained generator fails the same mark. About four minutes.
test-demo: install
	$(BIN)/python -m pytest -q -m slow

# The site, in build/site: a page for each model and all the rest. A broken link is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
