# Every target does its own set-up on a Debian 12 that has Python 3.11, make and apt, and says what it does.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help setup demo test lab check bench matrix soak clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## system packages, virtual environment, docker CLI: what lacks of them
	@scripts/setup

demo: setup ## networks and containers on this machine's kernel, driven by the docker CLI, in namespaces of their own
	@scripts/with python -m demo

test: setup ## every test, and proof that the machine is left as it was
	@scripts/test

lab: setup ## what depends on the kernel, on a second one that the first run builds (5 to 8 minutes)
	@scripts/lab

check: setup ## format, lint and strict types
	@echo "check: format"; scripts/with ruff format --check
	@echo "check: lint"; scripts/with ruff check
	@echo "check: types"; scripts/with mypy
	@echo "check: types of demo, bench and matrix"; scripts/with mypy demo bench tests/firewall/matrix

bench: setup ## latency, throughput and memory beside Docker and the kernel's own bound
	@scripts/with python -m bench

matrix: setup ## who reaches whom, on real packets: networks, protocols and families, beside what Docker does
	@scripts/with python -m tests.firewall.matrix

soak: setup ## what takes minutes: random operations and properties at full length
	@NETLOOM_SOAK=1 scripts/test -m "soak or hypothesis" --timeout=3600

clean: ## what the targets above made in this folder; the docker CLI's cache stays
	@echo "clean: .venv, caches, build folders"
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
