# `make demo` and `make test` each do all that is needed, from nothing but the clone.
# One build profile serves everything, so nothing is compiled twice.

PHOTOS ?=

.PHONY: help setup build demo test bench enrol check fmt clean

help:
	@echo 'make demo            marked photos become orders, a lab fetches the originals'
	@echo 'make demo PHOTOS=dir the same on copies of your own pictures'
	@echo 'make test            every test'
	@echo 'make bench           every bench, as a table'
	@echo 'make setup           what all of these do first: programs, ONNX Runtime'
	@echo 'make check           format and lints, as .ci/run checks them'

setup:
	@scripts/setup.sh

build: setup
	cargo build --release --locked

demo: build
	@python3 scripts/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

test: setup
	cargo test --release --locked

# SIGNET_BENCH_SMOKE=1 runs each bench once, on small inputs.
bench: setup
	@cargo bench --locked --quiet

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
