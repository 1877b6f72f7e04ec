# A fresh Debian machine with Rust and Python is enough: xtask/setup.sh installs what is missing, and says so.
#
#   RELEASE=1     build and demo with the optimised binary
#   PYTHON=...    the interpreter that .venv is made from (python3)
#   ROUNDS=5 SCALE=1 ONLY=TEXT DATA=DIR   of `make bench`; ONLY and DATA of `make compare` too
#   WRITE=1       let `make compare` write the tables of docs/compare.md

SHELL := /bin/sh
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# rustup puts cargo here, and shells that have not read the profile yet miss it.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Caches lie where nothing that is copied, packed or committed picks them up.
export RUFF_CACHE_DIR := $(CURDIR)/target/ruff
export MYPY_CACHE_DIR := $(CURDIR)/target/mypy

SETUP := sh xtask/setup.sh
VENV := $(CURDIR)/.venv/bin
PYTHON_FOLDERS := python examples benches xtask
# What is tested on a clean clone is what was committed, Cargo.lock too.
LOCKED := $(if $(CI),--locked)
PROFILE := $(if $(RELEASE),release,debug)
say = printf '\n== %s\n'

# The target folder may have been moved by the user's cargo configuration.  Asked for in the recipe: $(shell) does not
# see the PATH above.
target_folder = $$(cargo metadata --no-deps --format-version 1 | \
	$(VENV)/python -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

.PHONY: help setup build wheel demo test test-wheel torture bench compare check fmt clean-venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## install what builds, checks and tests need
	@$(say) "Looking for what building, checking and testing need"
	@$(SETUP) build check test python

build: ## the dalsegno binary
	@$(SETUP) build
	@$(say) "Building dalsegno ($(PROFILE))"
	@cargo build $(LOCKED) --package dalsegno-cli $(if $(RELEASE),--release)

wheel: ## the wheel, in target/wheel/dist
	@$(SETUP) build python
	@$(say) "Building the wheel (release)"
	@target=$(target_folder); PROFILE=release sh xtask/wheel.sh "$$target/wheel" && ls "$$target/wheel/dist"

demo: build ## a site is filled, backed up, damaged and restored, and proven equal
	@$(SETUP) python
	@$(say) "Running examples/demo.sh"
	@target=$(target_folder); \
	DALSEGNO="$$target/$(PROFILE)/dalsegno" PYTHON="$(VENV)/python" sh examples/demo.sh

# Tests compare with the snapshots of the tree, and never write new ones into it.
test: export INSTA_UPDATE := no
test: export DALSEGNO_TEST_PYTHON := $(VENV)/python
test: ## every test, then the demo and the tests of benches/
	@$(SETUP) build test bench python
	@if cargo nextest --version >/dev/null 2>&1; then \
		$(say) "Running the tests of the workspace with cargo nextest"; \
		cargo nextest run $(LOCKED) --workspace $(if $(CI),--profile ci); \
	else \
		$(say) "Running the tests of the workspace with cargo test (cargo nextest is not installed, and is faster)"; \
		cargo test $(LOCKED) --workspace --no-fail-fast; \
	fi
	@$(MAKE) test-wheel
	@$(MAKE) demo RELEASE=
	@$(say) "Running the tests of benches/"
	@target=$(target_folder); \
	DALSEGNO="$$target/debug/dalsegno" \
	$(VENV)/python -m unittest discover --start-directory benches/tests --top-level-directory benches

only := $(if $(ONLY),--only "$(ONLY)")

bench: ## Dalsegno and other tools side by side on large data, into benches/results
	@$(SETUP) bench python
	@$(MAKE) build RELEASE=1
	@target=$(target_folder); \
	$(VENV)/python benches/run.py --dalsegno "$$target/release/dalsegno" --data "$(or $(DATA),$$target/bench)" \
		$(if $(wildcard python/backups/management),--door manage) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SCALE),--scale $(SCALE)) $(only)

compare: ## what other tools lose, against what docs/compare.md says
	@$(SETUP) bench python
	@$(MAKE) build RELEASE=1
	@target=$(target_folder); \
	$(VENV)/python benches/compare.py --dalsegno "$$target/release/dalsegno" \
		--data "$(or $(DATA),$$target/compare)" $(only) $(if $(WRITE),--write)

# The tests of faults, kills, crashes and writers run a sample of what they can: this runs all of it.
torture: export INSTA_UPDATE := no
torture: export DALSEGNO_TORTURE := 1
torture: export DALSEGNO_TEST_PYTHON := $(VENV)/python
torture: ## kills, faults and crashes at every call, random kills, long runs of busy writers (an hour)
	@$(SETUP) build test python
	@$(say) "Killing and starving the program, everywhere"
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run $(LOCKED) --package dalsegno-cli --profile torture --no-capture \
			-E 'test(kills::) + test(faults::) + test(company::) + test(writers::) + test(replay::) + test(hostile::fuzz)'; \
	else \
		cargo test $(LOCKED) --package dalsegno-cli --test it --no-fail-fast -- --nocapture \
			kills:: faults:: company:: writers:: replay:: hostile::fuzz; \
	fi

# Built by pip as users do, but unoptimised, and installed where nothing else of the tree can be imported.
test-wheel: ## the wheel, installed into a fresh environment: client, management commands
	@$(SETUP) build test python
	@$(say) "Installing the wheel and running the tests of python/ with it"
	@target=$(target_folder); PROFILE=dev sh xtask/wheel.sh "$$target/wheel-test" && \
	"$$target/wheel-test/venv/bin/python" -m unittest discover \
		--start-directory python/tests --top-level-directory python/tests

check: ## layout, lints, documentation, walls, licences, types
	@$(SETUP) build check python
	@$(say) "cargo fmt: layout of the Rust files"
	@cargo fmt --all --check
	@$(say) "cargo xtask tidy: walls, licences, names, sizes, texts, links"
	@cargo run $(LOCKED) --quiet --package xtask -- tidy
	@$(say) "ruff: lints and layout of the Python files"
	@$(VENV)/ruff check $(PYTHON_FOLDERS)
	@$(VENV)/ruff format --check $(PYTHON_FOLDERS)
	@$(say) "mypy: types of python/, and of what measures and compares"
	@$(VENV)/mypy
	@MYPYPATH=benches $(VENV)/mypy --config-file= --strict benches/run.py benches/compare.py benches/media.py
	@$(say) "cargo clippy: lints of the Rust files"
	@cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	@$(say) "cargo doc: links and layout of the documentation"
	@RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --no-deps --workspace --document-private-items

fmt: ## lay out the Rust and Python files
	@$(SETUP) build check python
	@$(say) "Laying out the Rust and Python files"
	@cargo fmt --all
	@$(VENV)/ruff format $(PYTHON_FOLDERS)

clean-venv: ## remove .venv
	@$(say) "Removing .venv"
	@rm -rf .venv
