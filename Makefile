# Each target sets up whatever it needs: Python 3.11+, make and the package registries are enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := infra/locks
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/infra/node_modules/.bin:$(PATH)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# --- set up ---------------------------------------------------------------------------------------
$(BIN)/uv: $(LOCKS)/uv.txt
	@echo "· creating $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/uv.txt
	@touch $@

$(VENV)/laptop.done: $(LOCKS)/laptop.txt | $(BIN)/uv
	@echo "· installing the Python tools"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes $<
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --offline --no-deps --editable .
	@touch $@

infra/node_modules/.done: infra/package-lock.json $(VENV)/laptop.done
	@echo "· installing the CDK CLI and the other Node tools"
	@cd infra && npm ci --omit=dev --loglevel error --no-update-notifier --no-fund --no-audit
	@touch $@

# An environment of its own for each infra/locks/*.in, which says why.
.local/%/.done: $(LOCKS)/%.txt | $(BIN)/uv
	@echo "· creating the environment '$*'"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .local/$*
	@$(BIN)/uv pip sync --quiet --require-hashes --python .local/$*/bin/python $<
	@touch $@

ENVIRONMENTS := emulator judges lambda-image
setup: $(VENV)/laptop.done infra/node_modules/.done $(ENVIRONMENTS:%=.local/%/.done) ## installs everything but a browser for the tests

.local/browser.done: infra/node_modules/.done
	@rm -rf .local/chromium
	@$(BIN)/python -m tests.browser.chromium
	@touch $@

# --- the laptop's AWS -----------------------------------------------------------------------------
up: setup ## starts the local stack, deploys to it and leaves it running
	@$(BIN)/python -m infra.local up

down: $(VENV)/laptop.done ## stops the local stack and removes its state
	@$(BIN)/python -m infra.local down

status: $(VENV)/laptop.done ## tells what of the local stack runs
	@$(BIN)/python -m infra.local status

demo: setup ## sends sample orders through the whole system and shows what happened
	@$(BIN)/python -m infra.local.demo

chaos: setup ## sends a thousand orders while everything around them fails (ORDERS=1000 SEED=1)
	@$(BIN)/python -m tests.local.chaos $(if $(ORDERS),--orders $(ORDERS)) $(if $(SEED),--seed $(SEED))

simulation: $(VENV)/laptop.done ## lets many seeds' orders live in virtual time while everything fails (SEEDS=100 ORDERS=1000)
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ORDERS),--orders $(ORDERS))

mails: $(VENV)/laptop.done ## collects the mails' texts, builds the mails, counts what is to be translated
	@$(BIN)/python -m infra.mail

preview: $(VENV)/laptop.done ## shows every kind of mail in every language (EVENT=file: your own event)
	@$(BIN)/python -m infra.local.preview $(if $(EVENT),"$(EVENT)")

send-test: $(VENV)/laptop.done ## sends a sample mail by SES, with your AWS credentials (TO=me@shop.example KIND=order.shipped LOCALE=de)
	@$(BIN)/python -m infra.local.send_test --to "$(TO)" --kind "$(KIND)" --locale "$(LOCALE)"

costs: $(VENV)/laptop.done ## prints what the system costs at list price, from usage counted in a local run
	@$(BIN)/python -m infra.local.costs $(if $(COUNT),count $(COUNT))

bench: setup ## measures against baselines: starts, rendering, a mail's warm path (PART=imports, rendering or path)
	@$(BIN)/python -m tests.bench $(if $(PART),--part $(PART))

# --- checks ---------------------------------------------------------------------------------------
# Those of the local stack wait while the others compute: tests/support/lanes.py. The types are a test, too.
test: mail-judges setup .local/browser.done style ## runs every test
	@$(BIN)/python -m pytest -n auto --dist loadfile

# Before all else, since they are what no target here can install.
mail-judges:
	@$(PYTHON) tests/browser/mail_judges.py

lint: style ## format, lint, types, import directions
	@echo "· checking types" && mypy

style: $(VENV)/laptop.done
	@ruff format --check . && ruff check . && lint-imports

mutants: setup ## breaks the protocol's code in every place and tells what no test notices (FILES="steps/send.py")
	@$(BIN)/python -m tests.support.mutants $(FILES)

format: $(VENV)/laptop.done ## formats the code and mends what ruff can mend
	@ruff format . && ruff check --fix .

# Renovate repeats the command that uv writes at the top of each lock: sources named, options with "=".
COMPILE = uv pip compile --quiet --universal --python-version=3.11 --generate-hashes $(if $(UPGRADE),--upgrade) --output-file=$(LOCKS)/$(1).txt
lock: $(BIN)/uv ## pins all dependencies with hashes (UPGRADE=1 takes the newest)
	@$(call COMPILE,lambda) pyproject.toml
	@$(call COMPILE,laptop) --group=laptop pyproject.toml $(LOCKS)/uv.in
	@$(foreach name,$(basename $(notdir $(wildcard $(LOCKS)/*.in))),$(call COMPILE,$(name)) $(LOCKS)/$(name).in &&) true
	@cd infra && npm install --package-lock-only --no-fund --no-audit

# --- real AWS -------------------------------------------------------------------------------------
deploy: setup ## deploys to AWS, with your AWS credentials
	@cdk deploy --all --require-approval never

destroy: setup ## removes from AWS what deploy put there
	@cdk destroy --all

.PHONY: help setup up down status demo chaos simulation mails preview send-test costs bench test mail-judges lint style mutants format lock deploy destroy
