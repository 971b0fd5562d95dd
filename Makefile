# make demo and make test set up everything that they need; `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup libtorch build models demo browser test lint bench peers neighbours heads growth load fuzz clean

SONOTECA := target/release/sonoteca
# The user's own folder for `make demo`; without it, samples are fetched.
AUDIO ?=
export AUDIO

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

libtorch: tools
	@python3 scripts/setup_libtorch.py

# What is missing is named, with the way to get it, before anything else is tried.
.PHONY: tools
tools:
	@missing=0; \
	need() { command -v "$$1" >/dev/null || { echo "error: $$1 is missing; get it: $$2" >&2; missing=1; }; }; \
	need cargo 'https://rustup.rs'; \
	need c++ 'apt install g++ (Debian), xcode-select --install (macOS)'; \
	need python3 'apt install python3 python3-pip (Debian), brew install python (macOS)'; \
	exit $$missing

build: libtorch ## target/release/sonoteca
	@[ -e $(SONOTECA) ] || echo 'building sonoteca; the first time takes 5 to 10 minutes' >&2
	cargo build --release --locked

setup: build ## libtorch, the command, and the weights of YAMNet
	$(SONOTECA) models pull yamnet

# A mistyped folder should show before minutes of building.
.PHONY: folder
folder: tools
	@python3 scripts/demo.py --check

demo: folder setup ## index real recordings and search them (AUDIO=FOLDER for your own)
	@SONOTECA='$(abspath $(SONOTECA))' python3 scripts/demo.py

models: setup ## the weights of every network that is built in (some 350 MB to download)
	$(SONOTECA) models pull --all

# Those of the page need a browser; where there is none they say so and do nothing.
browser:
	@scripts/setup_chromium.sh

test: models browser ## unit, golden, property and end-to-end tests, with the real weights
	cargo test --locked --features objects,milvus

lint: libtorch ## formatting, clippy and documentation
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features

bench: setup ## retrieval quality on ESC-10 and the speed of each stage
	cargo bench --locked

peers: setup ## sonoteca and its peers in one run (target/peers, 2 GB; ARGS=--quick)
	python3 benches/peers/run.py $(ARGS)

neighbours: setup ## nearest neighbours beside hnswlib, usearch and faiss (ARGS='--rows 1000000')
	cargo build --release --locked --bench nearest
	python3 benches/neighbours/run.py $(ARGS)

heads: setup ## heads beside scikit-learn's (ARGS='--rows 1000000')
	cargo build --release --locked
	python3 benches/heads/run.py $(ARGS)

growth: setup ## time and memory of 1, 10 and 100 thousand clips
	python3 benches/growth.py $(ARGS)

load: setup ## searches over HTTP by 32 clients while recordings are indexed
	cargo bench --locked --bench serve

fuzz: setup ## 10,000 requests to the server that nobody would make (target/fuzz)
	SONOTECA='$(abspath $(SONOTECA))' python3 benches/serve/fuzz.py $(ARGS)

clean: ## what was built and the demo's library; the per-user store stays
	cargo clean
	rm -rf demo
