# Short names for the commands that people and CI run. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CARGO ?= cargo
SCENARIO ?= scenarios/db-failure.toml
# Runs of db-failure in `make campaign`.
RUNS ?= 20

# nextest runs tests in parallel processes; without it cargo test does the same tests, slower.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## Unpack the programs that are missing (Prometheus, PostgreSQL, ...) into a cache; installs nothing
	@echo "==> programs that the embedded cluster runs"
	@scripts/tools.sh

# Apart, because these are the commands that people and the harness run: built together, each would get the
# features of the other's dependencies, and be built again when it is run alone.
.PHONY: build
build: ## Build the harness and the demo system
	$(CARGO) build --locked -p services
	$(CARGO) build --locked -p harness

.PHONY: demo
demo: tools build ## A database dies under a real system: run scenarios/db-failure.toml and show the verdict
	@echo
	@echo '==> $(CARGO) run -p harness -- run $(SCENARIO)'
	@$(CARGO) run --locked -q -p harness -- run $(SCENARIO)

# The tests build every program, once, with the features of all; the scenarios then run what was built.
.PHONY: test
test: test-tools rules test-unit ## Everything: alert rules, Rust tests, browser test, scenarios on the real stack
	@scripts/check-slo.sh
	@scripts/check-dashboards.sh
	@scripts/e2e.sh

# The browser test needs root to install chromium; without it that one test is skipped and says so.
.PHONY: test-tools
test-tools:
	@echo "==> programs"
	@scripts/tools.sh --browser --tmux --checkers

.PHONY: rules
rules: ## Check the alert rules, their unit tests, the alert routing
	@scripts/check-rules.sh

.PHONY: dashboards
dashboards: build ## Check the Grafana dashboards: rules, Grafana's own types
	@scripts/check-dashboards.sh

.PHONY: slo
slo: ## Make alerts/rules/slo.yml of the specifications in alerts/slo
	@$(CARGO) run --locked -q -p harness -- slo rules --out alerts/rules/slo.yml alerts/slo/*.yml

.PHONY: slo-check
slo-check: build
	@scripts/check-slo.sh

.PHONY: test-unit
test-unit: ## The Rust tests of the workspace
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace --no-fail-fast
	$(CARGO) test --locked --workspace --doc
else
	$(CARGO) test --locked --workspace --no-fail-fast
endif

.PHONY: e2e
e2e: build ## Run every scenario on the embedded cluster
	@scripts/e2e.sh

# Tests on whole stacks, one after the other: what takes a minute each, and is not what a change breaks first.
.PHONY: test-long
test-long: test-tools ## The long tests on the real stack
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace --no-fail-fast --run-ignored only -E 'not test(campaign::)'
else
	$(CARGO) test --locked --workspace --no-fail-fast -- --ignored --skip campaign::
endif

.PHONY: campaign
campaign: tools build ## The long repetitions: RUNS=20 times db-failure, ten surges, kills at random moments, and the long tests
	@scripts/campaign.sh $(RUNS)
	@scripts/campaign.sh 10 scenarios/image-surge.toml
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace --no-fail-fast --run-ignored only
else
	$(CARGO) test --locked --workspace --no-fail-fast -- --ignored
endif

.PHONY: bench-load
bench-load: ## Measure the load worker beside hey, wrk and oha, those that are installed
	@scripts/bench-load.sh

.PHONY: lint
lint: ## Format, clippy, and shellcheck and cargo-deny where they are installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v shellcheck >/dev/null; then \
		echo 'shellcheck scripts/*.sh .ci/run'; shellcheck -x scripts/*.sh .ci/run; \
	else echo 'shellcheck is not installed: scripts not checked'; fi
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo '$(CARGO) deny check'; $(CARGO) deny --locked check; \
	else echo 'cargo-deny is not installed: deny.toml not checked'; fi

.PHONY: fmt
fmt: ## Format the Rust code
	$(CARGO) fmt --all
