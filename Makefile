# `make demo` and `make test` set up everything from nothing, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# What goes into an install: a change of these makes a new one.
SOURCES := $(wildcard *.py modeling/*.py original/*.py hub/*.py encoders/*.py reports/* cli/*.py serving/*.py data/*.py data/*.yaml data/sample/* data/*/*.py data/builders/*.yaml trainers/*.py trainers/span_f1/* hub_configs/*) setup.cfg pyproject.toml README.md

.PHONY: demo test test-oldest test-newest fuzz kills format docs clean

demo: $(VENV)/installed
	$(BIN)/plmarker train demo --overwrite
	$(BIN)/plmarker predict out/demo data/sample/test.jsonl --out out/demo/predictions.jsonl
	$(BIN)/plmarker predict out/demo --text "$$(cat data/sample/paragraph.txt)"
	$(BIN)/python benchmarks/check_demo.py out/demo

# The models of the tests are too small to gain from several threads; the files of tests run side by side instead.
test: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(VENV) && bin/python -m mypy --config-file ../setup.cfg -p plmarker
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# With the oldest or the newest versions that setup.cfg allows; by hand, since both draw in other builds of torch.
test-oldest: CONSTRAINTS := $(PYTHON) tests/project/lower_bounds.py
test-newest: CONSTRAINTS := true
test-oldest test-newest: test-%:
	rm -rf .venv-$* build
	$(PYTHON) -m venv .venv-$*
	$(CONSTRAINTS) > .venv-$*/constraints.txt
	.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install --no-compile \
		--constraint .venv-$*/constraints.txt ".[test]"
	OMP_NUM_THREADS=1 .venv-$*/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Random files, documents and texts; by hand, since it takes minutes.
fuzz: $(VENV)/installed
	$(BIN)/python benchmarks/fuzz.py

# The pages as a site in site/, in an environment of its own, which needs no torch: docstrings are read, not imported.
docs: .venv-docs/installed
	.venv-docs/bin/zensical build --clean --strict

.venv-docs/installed: setup.cfg
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip --disable-pip-version-check --quiet install $$($(PYTHON) tests/project/extra.py docs)
	mkdir -p .venv-docs/source
	ln -sfn ../.. .venv-docs/source/plmarker
	touch $@

# Prediction and training that are killed and continued; by hand, since it takes minutes.
kills: $(VENV)/installed
	$(BIN)/python benchmarks/kills.py

format: $(VENV)/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch comes first, pinned, so that no other requirement draws in another build of it.
$(VENV)/torch: $(VENV)/bin/python constraints.txt
	$(PIP) install --no-compile --constraint constraints.txt torch
	touch $@

$(VENV)/installed: $(VENV)/torch $(SOURCES)
	rm -rf build
	$(PIP) install --no-compile --constraint constraints.txt ".[minilm]"
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	rm -rf build
	$(PIP) install --no-compile --constraint constraints.txt ".[test]"
	touch $@

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .venv-docs build out site *.egg-info
