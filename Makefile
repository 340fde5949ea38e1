SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
GROUPS := preprocess cnn cnn-gpu rnn gateway training run dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $(VENV)/.run $@

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'

lock: ## Resolve every dependency group again into requirements/ (hash-locked)
	$(COMPILE) $(foreach group,$(GROUPS),--group $(group)) -o requirements/all.txt
	$(foreach group,$(GROUPS),$(COMPILE) --group $(group) -c requirements/all.txt -o requirements/$(group).txt &&) true
