# The README's commands. Everything happens in .venv, which is made when it is missing or the pins have changed.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
export OMP_WAIT_POLICY := passive

.PHONY: install demo test tests test-model test-slow test-wheel check tables docs clean

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

# All tests but the slow ones, one worker a core, beside `check`, which keeps one core busy for a minute.
test: install
	$(MAKE) --no-print-directory -j 2 check tests

# The tests of a file stay together, since they share what they trained.
tests: install
	$(PYTEST) -n auto --dist loadfile -m 'not slow'

# One model: its own tests, the contract's and its golden losses. `make test-model NAME=dcgan`
test-model: install
	@test -f tests/models/test_$(NAME).py || { echo "name a model, as in: make test-model NAME=dcgan"; exit 1; }
	$(PYTEST) -n 2 -m 'not slow' -k 'test_$(NAME).py or [$(NAME)]' tests/models/test_$(NAME).py tests/test_contract.py tests/test_golden.py

# What `make test` leaves out, in five minutes; last, alone on the machine, what depends on its speed: the demo's claim, that
# a classifier reads its digits, and the time that is predicted.
TIMED := tests/test_demo.py tests/test_recommend.py
test-slow: install
	$(PYTEST) -n 2 -m slow $(TIMED:%=--ignore=%)
	$(PYTEST) -m slow $(TIMED)

# The wheel, built from the sdist and tried in a new environment with nothing of the repository in it.
test-wheel: install
	rm -rf build/wheel build/lib && mkdir -p build/wheel/empty
	$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("build/wheel")' >/dev/null
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel build/wheel/*.tar.gz
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt build/wheel/*.whl
	cd build/wheel/empty && ../venv/bin/python ../../../tools/try_installed.py --prove

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# All that is drawn from the code and the results: the tables of models, of proofs and of the GPU plan, and the list of options.
tables: install
	$(BIN)/python tools/model_table.py
	$(BIN)/python tools/proof_table.py
	$(BIN)/python tools/which_gan.py
	$(BIN)/python benchmarks/gpu_plan.py --page
	GANARIUM_FREEZE=1 $(PYTEST) tests/test_cli.py -k frozen

# The site, in build/site: a page for each model and all the rest. A broken link is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache src/ganarium/models/.ruff_cache
