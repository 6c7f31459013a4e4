# Slipway: `make demo` shows it, `make test` checks it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

FIRMWARE ?= bios
export FIRMWARE

# The agent is static: against musl if rustc has that target, else against glibc.
MUSL := x86_64-unknown-linux-musl
GNU := x86_64-unknown-linux-gnu
AGENT_TARGET = $(shell [ -d "$$(rustc --print target-libdir --target $(MUSL) 2>/dev/null)" ] && echo $(MUSL) || echo $(GNU))
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
AGENT = $(TARGET_DIR)/$(AGENT_TARGET)/agent/slipway-agent

.PHONY: help demo quick test lint unit sim netns qemu nightly fuzz bench fmt clean setup agent agent-arm64 mini-os image

help:
	@echo 'make demo            power on a virtual server with an empty disk and watch it become a Debian'
	@echo '                     (FIRMWARE=bios or uefi; DEMO_ONCE=1 exits once the machine is deployed)'
	@echo 'make quick           the loop: format, clippy, unit tests, simulated machines'
	@echo 'make test            format, clippy, licences and every test level that can run here'
	@echo 'make unit sim netns qemu'
	@echo '                     one level each; TEST=words runs only the tests with these words in their name'
	@echo 'make fuzz            search for inputs that break a parser (FUZZ_SECONDS=60 for each target)'
	@echo 'make nightly         the tests that are too long for make test'
	@echo 'make bench           measure; writes the tables of docs/bench.md'
	@echo 'make mini-os image   build what machines boot and what is installed on them, into .slipway/'
	@echo 'make fmt clean'

setup:
	@.ci/setup

# The agent is built alone: a build of the whole workspace would link the features that only the server needs.
agent: setup
	@$(if $(filter $(GNU),$(AGENT_TARGET)),RUSTFLAGS='-C target-feature=+crt-static') \
	  cargo build --locked --quiet -p agent --bin slipway-agent --profile agent --target $(AGENT_TARGET)

agent-arm64: setup
	@.ci/setup --arm64
	@mkdir -p .slipway && agent=$$(.ci/agent-arm64) && cp "$$agent" .slipway/agent-arm64

# ARCH=arm64: the mini-os for 64-bit ARM, in a subdirectory of the x86-64 one.
ifeq ($(ARCH),arm64)
mini-os: agent-arm64
	@cargo run --locked --quiet -p inventory --bin slipway -- mini-os build --arch arm64 \
	  --agent .slipway/agent-arm64 --out .slipway/mini-os/full --cache .slipway/cache
else
# Both compare their inputs first and do nothing if the result is up to date.
mini-os: agent
	@cargo run --locked --quiet -p e2e --bin artefacts -- mini-os --agent $(AGENT)
endif

image: setup
	@cargo run --locked --quiet -p e2e --bin artefacts -- image

demo: mini-os image
	@cargo build --locked --quiet -p inventory -p e2e --bins
	@cargo run --locked --quiet -p e2e --bin demo

# Always the whole workspace, also for one level: another set of packages means other features, and a rebuild.
NEXTEST = cargo nextest run --workspace --locked

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

quick: lint
	$(NEXTEST) -E 'not package(e2e) | binary(sim) | binary(invariants)'

unit:
	$(NEXTEST) -E 'not package(e2e)' $(TEST)

sim:
	$(NEXTEST) --test sim $(TEST)

netns: setup
	cargo build --workspace --bins --locked
	$(NEXTEST) --test netns $(TEST)

qemu: mini-os image
	cargo build --workspace --bins --locked
	$(NEXTEST) --test qemu $(TEST)

# The workspace is built in one pass before the artefacts, so that cargo builds each dependency once.
test:
	@.ci/setup --tests
	$(MAKE) lint
	cargo fetch --locked --quiet
	cargo deny --offline --log-level error check licenses bans sources
	cargo build --workspace --all-targets --locked
	$(MAKE) mini-os image
	.ci/fuzz build
	levels=$$(cargo run --locked --quiet -p e2e --bin levels) && $(NEXTEST) -E "$$levels"

# Tests that take too long, or need more packages, for every change.
nightly: mini-os image agent-arm64
	@.ci/setup --tests
	@.ci/setup --nightly
	cargo build --workspace --bins --locked --quiet
	$(NEXTEST) --test qemu --run-ignored ignored-only

FUZZ_SECONDS ?= 60
fuzz:
	@.ci/setup --tests
	.ci/fuzz all $(FUZZ_SECONDS)

bench: mini-os image
	@.ci/setup --bench
	@cargo build --locked --quiet -p agent-install --example write_path --profile agent --target $(AGENT_TARGET)
	@cargo build --locked --quiet -p netboot --example tftp_load --release
	@cargo build --locked --quiet -p inventory --bin slipway --release
	@cargo build --locked --quiet -p inventory -p e2e --bins
	@SLIPWAY_BOOT_EXAMPLES=$(TARGET_DIR)/release/examples SLIPWAY_RELEASE=$(TARGET_DIR)/release/slipway SLIPWAY_AGENT=$(AGENT) SLIPWAY_WRITE_PATH=$(TARGET_DIR)/$(AGENT_TARGET)/agent/examples/write_path cargo run --locked --quiet -p e2e --bin bench

fmt:
	cargo fmt --all

clean:
	rm -rf .slipway
	cargo clean
