# Every command that a person or a machine needs. `make` alone explains them.

CARGO ?= cargo
# What `make up ARGUMENTS="--chunks 3"` hands on.
ARGUMENTS ?=
# How long each fuzz target runs, in seconds.
SECONDS_EACH ?= 600
# Of `make sim`: how many random plans of each kind for the engine, and how many worlds for failover.
CASES ?= 100000
WORLDS ?= 10000
# Of `make chaos`: what decides the faults (a new one when empty), and how long they come.
SEED ?=
SECONDS ?= 60

# Of `make targets` and `make partitions`: how often each thing dies (20), how many partitions there are (500).
RUNS ?=
# Of `make survivors`: how long they are written to.
SURVIVOR_SECONDS ?= 600
# How the three are built: as for trying out, or as for tests (dev).
PROFILE ?= try
BUILT = $${CARGO_TARGET_DIR:-target}/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

.DEFAULT_GOAL := help
.PHONY: help up server test lint fmt docs bench chaos targets partitions survivors sim planted fuzz clean setup-run \
	proof-build

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup-run:
	@scripts/setup-build
	@scripts/install-missing redis-server:redis-server redis-cli:redis-tools

up: setup-run ## Build, and run a self-managing Redis on this machine until Ctrl-C (ARGUMENTS="--chunks 3 --dir ./data")
	@$(CARGO) build --profile try --package undermoon --bin undermoon
	@exec "$${CARGO_TARGET_DIR:-target}/try/undermoon" up $(ARGUMENTS)

server: setup-run ## Build, and run one server proxy on 5299 for the Redis on 127.0.0.1:6379
	@$(CARGO) build --profile try --package undermoon --bin undermoon
	@UNDERMOON_ADDRESS=127.0.0.1:5299 UNDERMOON_NODE_ADDRESSES=127.0.0.1:6379 UNDERMOON_CLUSTER_NODES_VERSION=v1 \
		exec "$${CARGO_TARGET_DIR:-target}/try/undermoon" proxy

test: ## Set up what the tests need, and run all of them (ARGUMENTS="-p model" for some)
	@scripts/test $(ARGUMENTS)

lint: ## Check format, clippy, licences, documents, imports and scripts; changes nothing
	@scripts/lint

fmt: ## Format the code
	@$(CARGO) fmt --all

docs: ## Check that the documents are true: their links, and the settings that they list
	@$(CARGO) test --quiet --package undermoon --test documents

bench: setup-run ## Measure this proxy, twemproxy and plain Redis side by side; rewrites docs/performance
	@scripts/install-missing nutcracker:nutcracker redis-benchmark:redis-tools
	@$(CARGO) build --release --package undermoon --bin undermoon
	@$(CARGO) run --release --package bench --bin bench -- --docs docs/performance $(ARGUMENTS)

chaos: setup-run ## Break a cluster of real processes for SECONDS, judge what clients saw (SEED=7 ARGUMENTS="--json chaos.json")
	@scripts/install-missing etcd:etcd-server ip:iproute2 \
		"/usr/lib/$$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1:libfaketime"
	@$(CARGO) build --package undermoon --bin undermoon
	@$(CARGO) build --package testkit --bin chaos
	@UNDERMOON_BIN="$${CARGO_TARGET_DIR:-target}/debug/undermoon" \
		exec "$${CARGO_TARGET_DIR:-target}/debug/chaos" --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGUMENTS)

proof-build: setup-run
	@scripts/install-missing etcd:etcd-server ip:iproute2
	@$(CARGO) build --profile $(PROFILE) --workspace --bins

targets: proof-build ## Measure how soon writes go on after each death, RUNS times each (ARGUMENTS="--only 'host killed'")
	@UNDERMOON_BIN="$(BUILT)/undermoon" exec "$(BUILT)/proof" targets $(if $(RUNS),--runs $(RUNS)) $(ARGUMENTS)

partitions: proof-build ## Look for late writes of old primaries in RUNS partitions (SEED=7 ARGUMENTS="--lanes 4")
	@UNDERMOON_BIN="$(BUILT)/undermoon" exec "$(BUILT)/proof" partitions $(if $(RUNS),--runs $(RUNS)) \
		$(if $(SEED),--seed $(SEED)) $(ARGUMENTS)

survivors: proof-build ## Look for refused writes at the surviving host of two, for SURVIVOR_SECONDS, four set-ups at once
	@UNDERMOON_BIN="$(BUILT)/undermoon" exec "$(BUILT)/proof" survivors --seconds $(SURVIVOR_SECONDS) $(ARGUMENTS)

sim: ## Play CASES random plans of each kind against the engine, and WORLDS whole clusters that break (SEED=7)
	@PROPTEST_CASES=$(CASES) $(if $(SEED),PROPTEST_RNG_SEED=$(SEED)) PROPTEST_MAX_SHRINK_ITERS=2000 \
		CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_PANIC=unwind \
		$(CARGO) test --release --package proxy-core --test engine -- order:: pair:: --nocapture
	@WORLDS=$(WORLDS) $(if $(SEED),SEED=$(SEED)) \
		CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_PANIC=unwind \
		$(CARGO) test --release --package sim --test sim -- worlds:: --nocapture

planted: ## Plant faults in the engine, and expect the random plans and the stressed oracle to find them
	@scripts/planted-faults $(ARGUMENTS)

fuzz: ## Run every fuzz target for SECONDS_EACH seconds (needs a nightly toolchain and cargo-fuzz)
	@fuzz/run $(SECONDS_EACH) $(ARGUMENTS)

clean: ## Remove everything that was built or set up here
	@$(CARGO) clean
	@rm -rf .setup
