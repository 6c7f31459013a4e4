# Slipway: `make demo` shows it, `make test` checks it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

FIRMWARE ?= bios
export FIRMWARE

# The agent is static: musl where rustc has it, else glibc linked statically.
MUSL := x86_64-unknown-linux-musl
GNU := x86_64-unknown-linux-gnu
AGENT_TARGET = $(shell [ -d "$$(rustc --print target-libdir --target $(MUSL) 2>/dev/null)" ] && echo $(MUSL) || echo $(GNU))
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
AGENT = $(TARGET_DIR)/$(AGENT_TARGET)/agent/slipway-agent

.PHONY: help demo test nightly fuzz bench fmt clean setup agent agent-arm64 mini-os image check invariants

help:
	@echo 'make demo            power on a virtual server with an empty disk and watch it become a Debian'
	@echo '                     (FIRMWARE=bios or uefi; DEMO_ONCE=1 ends when the machine is deployed)'
	@echo 'make test            format, lints, licences, and all test levels that can run here'
	@echo 'make bench           measure; the table goes to docs/bench.md'
	@echo 'make mini-os image   build what machines boot and what they get, into .slipway/'
	@echo 'make nightly         the tests that are too long for make test (64-bit ARM)'
	@echo 'make fuzz            look for inputs that break a parser (FUZZ_SECONDS=60 for each target)'
	@echo 'make fmt clean'

setup:
	@.ci/setup

# The agent gets a build of its own: a build of the whole workspace would link the features that the server needs.
agent: setup
	@$(if $(filter $(GNU),$(AGENT_TARGET)),RUSTFLAGS='-C target-feature=+crt-static') \
	  cargo build --locked --quiet -p agent --bin slipway-agent --profile agent --target $(AGENT_TARGET)

agent-arm64: setup
	@.ci/setup --arm64
	@mkdir -p .slipway && agent=$$(.ci/agent-arm64) && cp "$$agent" .slipway/agent-arm64

# ARCH=arm64: the mini-os of 64-bit ARM machines, below that of the others.
ifeq ($(ARCH),arm64)
mini-os: agent-arm64
	@cargo run --locked --quiet -p inventory --bin slipway -- mini-os build --arch arm64 \
	  --agent .slipway/agent-arm64 --out .slipway/mini-os/full --cache .slipway/cache
else
# Both look at their inputs first and do nothing when what is there was made of the same.
mini-os: agent
	@cargo run --locked --quiet -p e2e --bin artefacts -- mini-os --agent $(AGENT)
endif

image: setup
	@cargo run --locked --quiet -p e2e --bin artefacts -- image

demo: mini-os image
	@cargo build --locked --quiet -p inventory -p e2e --bins
	@cargo run --locked --quiet -p e2e --bin demo

# One pass over the workspace before the artefacts are made, so that cargo builds the dependencies once.
test:
	@.ci/setup --tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo fetch --locked --quiet
	cargo deny --offline --log-level error check licenses bans sources
	cargo build --workspace --all-targets --locked
	$(MAKE) mini-os image
	.ci/fuzz build
	levels=$$(cargo run --locked --quiet -p e2e --bin levels) && \
	  cargo nextest run --workspace --locked -E "$$levels"

# Tests that take too long, or need more packages, for each change.
nightly: mini-os image agent-arm64
	@.ci/setup --tests
	@.ci/setup --nightly
	cargo build --locked --quiet -p inventory --bins
	cargo nextest run --locked -p e2e --run-ignored ignored-only

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
