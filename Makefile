# `make demo` and `make test` each do all that is needed, from nothing but the clone.
# One build profile serves everything, so nothing is compiled twice.

PHOTOS ?=
# Of soak.
MINUTES ?= 30
# Of bench-icons: pictures per row of its table, the generator's seed, a folder that keeps all pictures,
# whether README.md and docs/icons.svg get the figures.
COUNT ?= 400
SEED ?= 1
KEEP ?=
PUBLISH ?=

RIVALS := target/bench-icons/venv
RULE_RIVALS := target/bench-rules

.PHONY: help setup build demo soak test bench bench-icons bench-rules enrol check fmt clean

help:
	@echo 'make demo            marked photos become orders, a lab fetches the originals'
	@echo 'make demo PHOTOS=dir the same on copies of your own pictures'
	@echo 'make test            every test'
	@echo 'make soak            30 minutes of a busy hub: is memory flat, are the books right? MINUTES=n'
	@echo 'make bench           every bench, as a table'
	@echo 'make bench-icons     our icons beside AprilTag, ArUco and QR codes: PHOTOS=dir COUNT=n SEED=n KEEP=dir PUBLISH=1'
	@echo 'make bench-rules     our rules beside zen-engine and json-rules-engine (needs Node.js)'
	@echo 'make setup           what all of these do first: programs, ONNX Runtime'
	@echo 'make check           format and lints, as .ci/run checks them'

setup:
	@scripts/setup.sh

build: setup
	cargo build --release --locked

demo: build
	@python3 scripts/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

soak: build
	@python3 scripts/soak.py --minutes $(MINUTES)

test: setup
	cargo test --release --locked

# SIGNET_BENCH_SMOKE=1 runs each bench once, on small inputs.
bench: setup
	@cargo bench --locked --quiet

# The rivals live in an environment of their own. It is made without pip, which Debian's Python cannot put there.
$(RIVALS)/ready: benches/icons/requirements.txt
	@echo 'setup: fetching the rivals of bench-icons (about 90 MB)'
	@rm -rf $(RIVALS) && python3 -m venv --without-pip $(RIVALS)
	@python3 -m pip --python $(RIVALS)/bin/python install --quiet --disable-pip-version-check --only-binary=:all: -r benches/icons/requirements.txt
	@touch $@

bench-icons: build $(RIVALS)/ready
	@$(RIVALS)/bin/python benches/icons/bench.py --count $(COUNT) --seed $(SEED) $(if $(PHOTOS),--photos "$(PHOTOS)") \
	  $(if $(KEEP),--work "$(KEEP)" --keep) $(if $(PUBLISH),--publish)

# The rivals are a workspace and a package of their own, so that our build never sees them. One core.
$(RULE_RIVALS)/ready: benches/rivals/package-lock.json
	@echo 'setup: fetching json-rules-engine'
	@mkdir -p $(RULE_RIVALS) && cp benches/rivals/package.json benches/rivals/package-lock.json $(RULE_RIVALS)
	@npm ci --prefix $(RULE_RIVALS) --silent --no-audit --no-fund
	@touch $@

bench-rules: setup $(RULE_RIVALS)/ready
	cargo build --release --locked --manifest-path benches/rivals/Cargo.toml --target-dir $(RULE_RIVALS)
	cargo bench --locked --quiet --no-run --bench rivals
	@NODE_PATH=$(RULE_RIVALS)/node_modules $(shell command -v taskset >/dev/null && echo taskset -c 0) \
	  cargo bench --locked --quiet --bench rivals -- $(CURDIR)/$(RULE_RIVALS)/release/signet-rivals $(CURDIR)/benches/rivals/json_rules.js

# After a drawing of the house set or the embedder changed: what starts would work out anew.
enrol: setup
	cargo test --release --locked --test suite enrol::house_memory_is_written -- --ignored

check:
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings

fmt:
	cargo fmt

clean:
	cargo clean
