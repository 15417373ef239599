# Every target builds what it needs: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-all test-gpu bench bench-evaluate bench-serve bench-gpu check docs format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Build the environment in .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name one with: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo,dev,docs,explain]"
	@touch $@

demo: $(READY) ## Fine-tune the packaged MiniLM on film reviews and show the report (about three minutes)
	$(BIN)/toolkit finetune sentiment --model minilm --tune-speed

test: $(READY) ## Run the tests, except the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(TEST_ARGUMENTS)

test-all: $(READY) ## Run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(TEST_ARGUMENTS)

test-gpu: $(READY) ## Run the tests that need a GPU
	$(BIN)/python -m pytest tests/gpu $(TEST_ARGUMENTS)

bench: $(READY) ## Measure training speed against other toolkits, and the cost of growing data (hours)
	$(BIN)/python -m benchmarks.finetune
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m benchmarks.ablation
	$(BIN)/python -m benchmarks.growth

bench-evaluate: $(READY) ## Measure evaluation and prediction against the pipeline of transformers, on the run RUN
	$(BIN)/python -m benchmarks.evaluate $(RUN)
	$(BIN)/python -m benchmarks.predict $(RUN)

bench-serve: $(READY) ## Measure the throughput of `toolkit serve` with one caller and with many, on the run RUN
	$(BIN)/python -m benchmarks.serve $(RUN)

bench-gpu: $(READY) ## Measure training on a GPU against the tuned Trainer
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.images --device cuda

check: $(READY) ## Check style, types and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_layers.py

docs: $(READY) ## Write the generated pages, and build the site in build/site
	$(BIN)/python -m tests.support.error_page
	$(BIN)/python -m tests.support.command_page
	$(BIN)/python -m tests.support.api_page
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The search needs a server: python3 -m http.server --directory build/site --bind 127.0.0.1"

format: $(READY) ## Fix style automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and files of tools, but not runs/
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
