# Two commands from a fresh checkout: `make demo` and `make test`. Python 3.11 or later and make are all they need.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt

.PHONY: demo test slow lint schemas clean

demo: .venv/core
	$(BIN)/advisor design examples/defects.yaml --output out/defects
	@echo; echo "The page to read: out/defects/report.html; the whole report: out/defects/report.json; the model card: out/defects/model_card.md"

test: .venv/all
	$(BIN)/pytest -n auto --dist loadgroup -m "not slow"

slow: .venv/all
	$(BIN)/pytest -n auto --dist loadgroup -m slow

lint: .venv/all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m advisor.schemas --check
	$(BIN)/advisor rules lint
	$(BIN)/advisor rules docs --check

schemas: .venv/all
	$(BIN)/python -m advisor.schemas

# The environment; uv resolves and unpacks several times as fast as pip, which matters for two gigabytes of torch.
.venv/uv: constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/core: .venv/uv pyproject.toml
	$(INSTALL) --editable .
	@touch $@

.venv/all: .venv/uv pyproject.toml
	$(INSTALL) --editable ".[peft,tabular,forecasting,graph,rl,segmentation,diffusion,export,ray,project,dev]"
	@touch $@ .venv/core

clean:
	rm -rf .venv out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
