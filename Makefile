# Every target explains itself: `make help`.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# ARCH is the processor of the Lambdas: arm64 or amd64 on AWS, `host` for the
# emulator, which runs them as processes of this machine.
ARCH ?= arm64
ifeq ($(ARCH),host)
TARGET := $(shell go env GOHOSTOS)/$(shell go env GOHOSTARCH)
else
TARGET := linux/$(ARCH)
endif

PYTHON ?= python3
VENV := .tools/venv
FUNCTIONS := $(patsubst functions/%/,%,$(wildcard functions/*/))
# What the Lambdas are built from: sources and everything they embed.
SOURCES := go.mod go.sum $(shell find functions shared statemachines -type f ! -name '*_test.go' ! -path '*/testdata/*' 2>/dev/null)

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: host
host: ## say in one line each what this machine lacks: Go 1.26, Node 20, Python 3.10
	@ok=0; \
	case "$$(go env GOVERSION 2>/dev/null)" in \
	  go1.2[6-9]*|go1.[3-9][0-9]*) ;; \
	  '') echo "Go is missing: install Go 1.26 or later" >&2; ok=1 ;; \
	  *) echo "Go is too old ($$(go env GOVERSION)): install Go 1.26 or later" >&2; ok=1 ;; \
	esac; \
	if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then \
	  echo "Node is missing: install Node 20 or later, with npm" >&2; ok=1; \
	elif ! node -e 'process.exit(parseInt(process.versions.node, 10) >= 20 ? 0 : 1)'; then \
	  echo "Node is too old ($$(node --version)): install Node 20 or later" >&2; ok=1; \
	fi; \
	if ! command -v $(PYTHON) >/dev/null 2>&1; then \
	  echo "Python is missing: install Python 3.10 or later, with venv" >&2; ok=1; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then \
	  echo "Python is too old ($$($(PYTHON) --version 2>&1)): install Python 3.10 or later, or set PYTHON=" >&2; ok=1; \
	fi; \
	exit $$ok

.PHONY: tools
tools: node_modules/.stamp $(VENV)/.stamp .bin/staticcheck ## install the pinned emulator, CDK command, ASL linter and staticcheck into ignored folders

# The stamp names the lock file it was made from, so that a changed lock is installed anew.
$(VENV)/.stamp: infra/stand/requirements.lock | host
	@rm -rf $(VENV) && mkdir -p .tools
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: --require-hashes -r infra/stand/requirements.lock
	@touch $@

node_modules/.stamp: package.json package-lock.json | host
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The version is the one of honnef.co/go/tools in go.mod, verified by go.sum.
.bin/staticcheck: go.mod | host
	go build -o $@ honnef.co/go/tools/cmd/staticcheck
	@touch $@

.PHONY: build
build: bin/.stamp-$(ARCH) ## build every Lambda into bin/<name>/bootstrap (ARCH=arm64, amd64 or host)

# One invocation links all Lambdas; a folder of bin/ whose function is gone goes too.
bin/.stamp-$(ARCH): $(SOURCES) Makefile
	@mkdir -p bin && rm -f bin/.stamp-*
	@set -e; new=$$(mktemp -d bin/.new.XXXXXX); trap 'rm -rf "$$new"' EXIT; \
	GOOS=$(firstword $(subst /, ,$(TARGET))) GOARCH=$(lastword $(subst /, ,$(TARGET))) CGO_ENABLED=0 \
	  go build -buildvcs=false -tags lambda.norpc -trimpath -ldflags "-s -w -buildid=" -o "$$new/" $(FUNCTIONS:%=./functions/%); \
	for old in bin/*/; do name=$$(basename "$$old"); [ "$$name" = "*" ] || [ -e "$$new/$$name" ] || rm -rf "$$old"; done; \
	for name in $(FUNCTIONS); do mkdir -p "bin/$$name" && mv -f "$$new/$$name" "bin/$$name/bootstrap"; done
	@touch $@

# The vendor's OpenAPI description and the policy texts are not ours to hand on: they
# lie beside the project's own checkout. CI demands that they were compared; a person's
# clone without them runs all the rest and says so.
REFERENCE := $(wildcard ../shared/specs)$(WRIT_SPECS)$(WRIT_SEEDS)

.PHONY: test
test: tools ## everything: vet, unit, conformance, template, layers, ASL lint, end to end on the emulator
	go vet -tags e2e ./...
	@[ -n "$(REFERENCE)" ] || echo "NOT RUN: the comparison with Stripe's OpenAPI and with the policy texts; set WRIT_SPECS and WRIT_SEEDS to their folders"
	go test ./...
	$(MAKE) --no-print-directory asl
	$(MAKE) --no-print-directory e2e

.PHONY: asl
asl: node_modules/.stamp ## lint the state machines
	@for f in statemachines/*.asl.json; do node_modules/.bin/asl-validator --json-path "$$f" || exit 1; done

# Packages beside infra/e2e whose tests want an emulator and no deployed stack.
EMULATED = $(sort $(dir $(shell grep -rl '^//go:build e2e' --include='*_test.go' cmd shared)))

.PHONY: e2e
e2e: node_modules/.stamp $(VENV)/.stamp ## on the emulator: stores and clients one by one, then the deployed stack end to end
	$(MAKE) --no-print-directory build ARCH=host
	go run ./infra/stand/emulated go test -tags e2e -count=1 $(EMULATED:%=./%)
	go test -tags e2e -count=1 -timeout 20m ./infra/e2e/...

.PHONY: smoke
smoke: node_modules/.stamp $(VENV)/.stamp ## one access and one erasure as a person would, then end: non-zero if an outcome is wrong
	go build -o .bin/writ ./cmd/writ
	.bin/writ demo --once

.PHONY: demo
demo: node_modules/.stamp $(VENV)/.stamp ## the same, then keep the form at http://127.0.0.1:8080/ and the mails at /inbox until Ctrl-C
	go build -o .bin/writ ./cmd/writ
	.bin/writ demo

.PHONY: bench
bench: node_modules/.stamp $(VENV)/.stamp ## measure, print `name value unit`, write .bench/bench.json
	go run ./infra/bench

.PHONY: lint
lint: .bin/staticcheck ## gofmt, vet, staticcheck, generated files current
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:" $$unformatted >&2; exit 1; fi
	go vet -tags e2e ./...
	.bin/staticcheck -tags e2e ./...
	$(MAKE) --no-print-directory check-generated

.PHONY: generate
generate: ## write the generated files anew
	go generate ./...

.PHONY: check-generated
check-generated: ## fail if a generated file is not what its source says
	@mkdir -p .tools && git ls-files -co --exclude-standard | git hash-object --stdin-paths > .tools/before
	@$(MAKE) --no-print-directory generate
	@git ls-files -co --exclude-standard | git hash-object --stdin-paths > .tools/after
	@cmp -s .tools/before .tools/after || { echo "generated files were stale: they are written anew now, commit them" >&2; git status --short >&2; exit 1; }

.PHONY: clean
clean: ## remove everything that make and the commands made
	rm -rf .bin .tools .demo .bench bin cdk.out node_modules
