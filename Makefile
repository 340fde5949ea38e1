SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that fits; another one by `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
GROUPS := preprocess cnn cnn-gpu rnn gateway training training-gpu run dev

export BIN
export GATEWAY_PORT ?= 8000
export PREPROCESS_PORT ?= 8001
export CNN_PORT ?= 8002
export RNN_PORT ?= 8003
export REDIS_PORT ?= 8004
URL := http://127.0.0.1:$(GATEWAY_PORT)

.PHONY: help run demo up down logs test e2e e2e-compose drill fuzz corpus reference check format lock bench bench-check train-default train-smoke phantoms phantom-gallery samples clean free-ports

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# -- use ---------------------------------------------------------------------------------------------------------------

run: $(VENV)/.run free-ports ## Set up and start all services here; Ctrl-C ends them
	@mkdir -p .run && exec $(BIN)/supervisord -c supervisord.conf

demo: $(VENV)/.run free-ports ## Start all, send the sample series, print its report, stop
	@mkdir -p .run; $(BIN)/supervisord -c supervisord.conf >.run/demo.log 2>&1 & services=$$!; \
	trap 'kill $$services 2>/dev/null; wait $$services' EXIT; \
	$(BIN)/python -m services.gateway.send --url $(URL) --wait 180 samples/series \
		|| { code=$$?; tail -n 20 .run/demo.log; exit $$code; }; \
	printf '\n`make run` keeps the services running and opens the page at $(URL)\n'

free-ports:
	@for port in $(GATEWAY_PORT) $(PREPROCESS_PORT) $(CNN_PORT) $(RNN_PORT) $(REDIS_PORT); do \
		if (exec 3<>/dev/tcp/127.0.0.1/$$port) 2>/dev/null; then \
			echo "Port $$port is taken. Choose others: make GATEWAY_PORT=9000 PREPROCESS_PORT=9001 CNN_PORT=9002 RNN_PORT=9003 REDIS_PORT=9004 $(MAKECMDGOALS)"; \
			exit 1; fi; done

# -- containers --------------------------------------------------------------------------------------------------------

# `docker compose`, or another that speaks the same; a host whose driver lists no GPU gets the overlay without one.
COMPOSE ?= docker compose
COMPOSE_FILES := -f docker-compose.yml $(if $(shell nvidia-smi -L 2>/dev/null),,-f docker-compose.cpu.yml)

up: ## Build the images and start the containers, with a GPU where there is one
	$(COMPOSE) $(COMPOSE_FILES) up --build -d

down: ## Stop and remove the containers; volumes stay
	$(COMPOSE) $(COMPOSE_FILES) down

logs: ## Follow the logs of all containers
	$(COMPOSE) $(COMPOSE_FILES) logs -f

# -- change ------------------------------------------------------------------------------------------------------------

test: $(VENV)/.dev ## Set up and run all tests that need nothing but Python; COVERAGE=1 fails below the branch coverage in pyproject.toml
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(if $(COVERAGE),--cov --cov-report=)

e2e: $(VENV)/.dev ## Run the tests that need real parts: Chromium, dcmtk
	$(BIN)/python -m pytest -m e2e tests/e2e

e2e-compose: $(VENV)/.dev ## Build the images, run them, kill each container in turn, stop (minutes)
	COMPOSE="$(COMPOSE) $(COMPOSE_FILES)" $(BIN)/python -m pytest -m compose tests/e2e/test_compose.py

drill: $(VENV)/.dev ## Kill, stop and fill what jobs need, one after the other; count what is lost or double (4 minutes)
	$(BIN)/python -m tests.drill

fuzz: $(VENV)/.dev ## Send 50,000 damaged files to the readers, look for new paths in them, try every numeric tag and the API (13 minutes)
	$(BIN)/python -m tests.fuzz --count 50000 --seed 1
	$(BIN)/python -m tests.fuzz.tags --seconds 60
	$(BIN)/python -m tests.fuzz.guided --seconds 120
	$(BIN)/python -m tests.fuzz.api --examples 200

check: $(VENV)/.dev ## Format, lint, types, imports, spelling, locks, Compose files, documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos
	$(BIN)/python -m pytest tests/test_requirements.py tests/test_compose.py tests/test_reference.py tests/test_docs.py

format: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: $(VENV)/.dev ## Write the settings, the OpenAPI document and the rules of docs/reference/ again, from the code
	$(BIN)/python -m tests.reference

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

lock: $(VENV)/.dev ## Resolve every dependency group again into requirements/, with hashes
	$(COMPILE) $(foreach group,$(GROUPS),--group $(group)) -o requirements/all.txt
	for group in $(GROUPS); do \
		$(COMPILE) --group $$group -c requirements/all.txt -o requirements/$$group.txt || exit 1; done

corpus: $(VENV)/.dev ## Judge generated files, those in pydicom's wheel and those in DATA= by other decoders; print a table
	$(BIN)/python -m tests.preprocess.corpus $(DATA)

bench: $(VENV)/.dev ## Measure everything in one run (50 minutes) into OUT=.run/bench; ONLY="cnn load" parts, QUICK=1, SCANS=a folder of real slices
	$(BIN)/python -m tests.bench --out $(or $(OUT),.run/bench) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(SCANS),--scans $(SCANS))

bench-check: $(VENV)/.dev ## Compare the ratios of the last `make bench` with the committed ones; say what got worse
	$(BIN)/python -m tests.bench.check

# What training needs. An environment for tests has it, and is used as it is.
TRAINING := $(if $(wildcard $(VENV)/.dev),,$(VENV)/.training)

# -- train -------------------------------------------------------------------------------------------------------------

train-default: $(VENV)/.dev ## Train models/default on synthetic head CT (an hour and a half on two cores); LARGE=1 BEGIN=a bundle SOUP=a bundle on a GPU, as what ships
	$(BIN)/python -m training default $(if $(LARGE),--large) $(if $(BEGIN),--begin $(BEGIN)) $(if $(SOUP),--soup $(SOUP))

train-smoke: $(VENV)/.dev ## Go from a generated archive to a served bundle, once in one go and once killed at every step
	$(BIN)/python -m tests.train_smoke $(or $(OUT),.run/train-smoke)

phantoms: $(TRAINING) ## Write N=100 phantom studies as an archive like RSNA's, OUT=phantoms.zip; SEED, TRAPS=1 for its faults, MASKS=1, SIZE=512, BROAD=1, SMALL=1 or a share
	$(BIN)/python -m training phantoms --studies $(or $(N),100) --out $(or $(OUT),phantoms.zip) $(if $(SEED),--seed $(SEED)) $(if $(SIZE),--size $(SIZE)) \
	  $(if $(TRAPS),--traps) $(if $(MASKS),--masks) $(if $(BROAD),--broad) $(if $(SMALL),--small $(if $(filter 1,$(SMALL)),0.5,$(SMALL)))

phantom-gallery: $(VENV)/.dev ## Draw the pictures of docs/explanation/phantoms/ again; REAL=a folder compares with a real series
	$(BIN)/python -m training gallery $(if $(REAL),--real $(REAL))

samples: $(VENV)/.dev ## Make samples/ again
	$(BIN)/python -m training samples

# -- set up ------------------------------------------------------------------------------------------------------------

clean: ## Remove what the commands here have made
	rm -rf $(VENV) .run .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo "Fetching packages into $(VENV), about 360 MB, mostly TensorFlow; this is done once."
	@$(PIP) -r $<
	@touch $@

$(VENV)/.training: requirements/training.txt | $(BIN)/python
	@echo "Fetching packages into $(VENV), those for training; this is done once."
	@$(PIP) -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "Fetching packages into $(VENV), those for tests too; this is done once."
	@$(PIP) -r $<
	@touch $(VENV)/.run $@
