# forewarn: what people and CI call. `make help` lists it.
SHELL := /bin/bash
CARGO ?= cargo
PACKAGES := freeradius-utils freeradius-common iproute2 nftables faketime radsecproxy \
	postgresql slapd ldap-utils openssl freeradius freeradius-config freeradius-postgresql eapoltest hostapd wpasupplicant
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] && echo yes)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: ## build everything, then the demo: two servers, an agent, real traffic, four failovers, a summary
	$(CARGO) build --release -p forewarn-server -p forewarn-agent --bins
	target/release/forewarn demo

.PHONY: test
test: test-packages ## install what the tests need (as root, from Debian's packages) and run them all
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace --doc --quiet
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run --workspace --no-fail-fast; \
	else $(CARGO) test --workspace --lib --bins --tests --no-fail-fast; fi

.PHONY: test-packages
test-packages:
	@missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$(AS_ROOT)" = yes ]; then \
		echo "installing$$missing"; export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing && exit 0; \
		dpkg -s $$missing >/dev/null || exit 1; \
		echo "installed; a service of theirs didn't start, which the tests don't need: they start their own"; \
	else echo "the tests need$$missing: apt-get install$$missing" >&2; exit 1; fi

.PHONY: test-openssl
test-openssl: test-packages ## the tests of the server's `openssl` feature (with libssl-dev), which builds that server
	$(CARGO) build --workspace --bins --features forewarn-server/openssl
	$(CARGO) test -p forewarn-tests --features openssl --test blackbox eap::openssl

.PHONY: sim
sim: ## the simulator: SEEDS=n bad days of agents and servers (100,000 unless given), or SEED=s, printed
	$(if $(SEED),FOREWARN_SIM_SEED=$(SEED),FOREWARN_SIM_SEEDS=$(or $(SEEDS),100000)) \
	$(CARGO) test --release -p forewarn-sim --test sim whatever -- --nocapture

.PHONY: matrix
matrix: test-packages ## what clients lose, whatever happens to servers on hosts of their own: a table (ARGS=--json: for programs)
	$(CARGO) build --release --workspace --bins
	target/release/forewarn-matrix rows $(ARGS)

.PHONY: compare
compare: test-packages ## some of the same with FreeRADIUS and with radsecproxy in the agent's place, side by side
	$(CARGO) build --release --workspace --bins
	target/release/forewarn-matrix compare $(ARGS)

.PHONY: figures
figures: test-packages ## how fast 10,000 clients are told, what forged notices cost an agent, and its memory
	$(CARGO) build --release --workspace --bins
	target/release/forewarn-matrix figures $(ARGS)

.PHONY: endurance
endurance: test-packages ## the deaths and outages of the tests in full: 100 kills, a minute without the database, the whole matrix
	$(CARGO) build --release --workspace --all-targets
	FOREWARN_KILLS=100 FOREWARN_OUTAGE=60 $(CARGO) test --release --workspace --test blackbox scenarios::endurance -- --nocapture --test-threads 1
	target/release/forewarn-matrix rows

.PHONY: fuzz
fuzz: ## fuzz EAP: each target, or TARGET=name, for SECONDS=n (600 unless given); needs cargo-fuzz (fuzz/README.md)
	cd fuzz && for target in $(or $(TARGET),$$($(CARGO) fuzz list)); do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run -s none $$target -- \
			-max_total_time=$(or $(SECONDS),600) -max_len=2048 -rss_limit_mb=512 || exit 1; \
	done

.PHONY: lint
lint: ## formatting and lints, every warning an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

.PHONY: bench
bench: ## the figures: requests per second, CPU per request, latency, memory (release build)
	$(CARGO) build --release --workspace --bins
	target/release/forewarn-bench

.PHONY: agent-static
agent-static: ## forewarn-agent as one static binary
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release -p forewarn-agent --target "$$(rustc -vV | sed -n 's/^host: //p')"
