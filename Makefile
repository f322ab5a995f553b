# Two commands do the work: `make demo` shows a clinic in sync, `make test` proves everything. Each installs what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= $(shell command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cat requirements-dev.lock pyproject.toml | sha256sum | cut -c1-16)
PYTEST := $(BIN)/python -m pytest
# An existing cluster is used for what needs pods; what ends servers needs a control plane of our own, and is left out.
TESTS := tests/unit tests/conformance $(if $(USE_CLUSTER)$(KUBECONFIG),,tests/integration tests/cluster)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | column -t -s $$'\t'

$(STAMP):
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	  echo "Python 3.11 or newer is needed: set PYTHON=…" >&2; exit 1
	fi
	if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then
	  apt-get update --quiet >/dev/null && apt-get install --yes --quiet --no-install-recommends python3-venv >/dev/null
	fi
	echo "» installing Python packages" >&2
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-uv.lock; }
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.installed-*
	touch $@

.PHONY: install
install: $(STAMP) ## Install the Python packages into .venv

.PHONY: generate
generate: install ## Write everything that is made from the models
	@$(BIN)/python -m ocean_api.crdgen > crds/oceansites.yaml
	$(BIN)/python -m ocean_api.reasons_doc > docs/reasons.md
	$(BIN)/python -m ocean_api.reference_doc > docs/reference/oceansite.md
	$(BIN)/python -m ocean_emr.gateway.openapi > docs/reference/gateway-openapi.json
	cd tests && ../$(BIN)/python -m cluster.chart_reference > ../docs/reference/chart-values.md

.PHONY: check
check: install ## Lint, types, import contracts, docstrings, spelling
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet crds operator emr dev
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs crds operator emr dev tests examples charts

.PHONY: test-unit
test-unit: install ## Unit and conformance tests: seconds
	@$(PYTEST) tests/unit tests/conformance -n 2

.PHONY: test
test: install ## All tests, with a real cluster, Vault and PostgreSQL; the first time builds Kubernetes
	@$(BIN)/python -m ocean_dev build
	# A file's tests stay in one process, since they share the servers they start.
	$(PYTEST) $(TESTS) -n 2 --dist loadfile
	$(PYTEST) tests/e2e

.PHONY: demo
demo: install ## Show the main job: one YAML file, a real cluster, appointments at Ocean
	@$(BIN)/python -m ocean_dev demo

.PHONY: lock
lock: ## Renew the lock files: versions and hashes, no index addresses
	@for out in requirements requirements-dev requirements-uv requirements-build; do
	  extra=(); source=pyproject.toml
	  if [ $$out = requirements-dev ]; then extra=(--group dev); fi
	  case $$out in *-uv|*-build) source=$$out.in ;; esac
	  uv pip compile $$source "$${extra[@]}" --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o $$out.lock
	done

.PHONY: bench
bench: install ## Measure, on a quiet machine; the last results are in docs/benchmarks.md
	@$(BIN)/python -m ocean_dev build --size control-plane
	cd tests
	for bench in reconcile "reconcile --stores" sync_cold_start sync_schedule gateway queue_claim message_latency; do ../$(BIN)/python -m benchmarks.$$bench; done

.PHONY: down
down: install ## Remove the local cluster and every trace of it, but not the cache
	@$(BIN)/python -m ocean_dev down
