# One command per wish. Each sets up what it needs: the virtual environment is made when it is missing or stale, and the
# network is not touched when it is not.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MADE := $(VENV)/.made-in
LOG := $(VENV)/setup.log
# By this file JupyterLab asks nobody whether it may fetch news.
QUIET := $(VENV)/etc/jupyter/labconfig/page_config.json
# As in: make run TARGET=localstack, make clean TARGET=aws EXPIRED=yes
FOR := $(if $(TARGET),--target $(TARGET))
# Tests that look at a run of all lessons, some of which measure the processor: nothing runs beside them.
LESSONS_RUN := tests/test_lessons_run.py tests/test_policy.py
STRIP := $(BIN)/nbstripout --keep-id --extra-keys "metadata.papermill cell.metadata.papermill metadata.widgets"

.DEFAULT_GOAL := help
.PHONY: help run test test-localstack lab doctor clean bench upstream fidelity faults picture strip usage

help:
	@echo "make run       run every lesson and keep what they find out; on LocalStack: make run TARGET=localstack"
	@echo "make lab       open JupyterLab on the first lesson, with the embedded target ready"
	@echo "make test      lint, import contract, all tests, and all lessons end to end"
	@echo "make doctor    say whether this machine is ready"
	@echo "make clean     remove what runs left behind; on AWS, with or without a run folder: make clean TARGET=aws"
	@echo "make strip     take the outputs out of the notebooks, as they are stored"
	@echo "make bench     compare with peers, as ratios from one run"
	@echo "make picture   draw the README's picture anew"
	@echo "make upstream  try the newest emulator, and say which corrections it still needs"
	@echo "make fidelity  ask every emulator what it does as AWS, and write docs/fidelity.md"
	@echo "make usage     count on the emulator what lessons would call on AWS, and write what that costs into docs/aws.md"
	@echo "make faults    kill runs at random moments, and look what is left; on one target: make faults TARGET=aws"
	@echo "make test-localstack  run the lessons on LocalStack's own code, and compare it with ours"

run: $(READY)
	@$(BIN)/python -m workbook run $(FOR)

lab: $(READY)
	@exec $(BIN)/python -m workbook lab

doctor: $(READY)
	@$(BIN)/python -m workbook doctor $(FOR)

clean: $(READY)
	@$(BIN)/python -m workbook clean $(FOR) $(if $(EXPIRED),--expired) $(if $(EVERYONE),--everyone) $(if $(KEEP),--keep $(KEEP))

strip: $(READY)
	@$(STRIP) notebooks/*.ipynb

bench: $(READY)
	@$(BIN)/python -m benchmarks

picture: $(READY)
	@$(BIN)/python -m workbook picture

# A lesson that fails is not counted, and says why.
usage: $(READY)
	@out=$$(mktemp -d) && rehearse="$(BIN)/python tests/rehearsals.py $(BIN)/python -m workbook run --target aws" && \
	  $$rehearse --quick --out "$$out/quick" && $$rehearse --out "$$out/default" && \
	  $(BIN)/python -m workbook.forecast "$$out/quick" "$$out/default" && rm -r "$$out"

upstream: $(READY)
	@$(BIN)/python -m workbook.emulator.upstream

# Takes an hour or two, and goes on where it was ended: what passed isn't tried again.
faults: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m faults $(FOR)

# Both start a LocalStack of their own, without Docker, where a new enough Python is found, and end it.
test-localstack: $(READY)
	@$(BIN)/python tests/localstack $(BIN)/python -m pytest tests/localstack

fidelity: $(READY)
	@$(BIN)/python tests/localstack $(BIN)/python -m workbook.fidelity localstack

test: $(READY)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Files above are not formatted. Run: $(BIN)/ruff format ." >&2; exit 1; }
	@said=$$($(BIN)/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	@$(STRIP) --verify notebooks/*.ipynb || { echo "A notebook is stored with outputs. Run: make strip" >&2; exit 1; }
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(LESSONS_RUN:%=--ignore %)
	@$(BIN)/python -m pytest $(LESSONS_RUN)
	@out=$$(mktemp -d) && $(BIN)/python -m workbook run --quick --out "$$out" && rm -r "$$out" && echo "As all passed, that folder is gone again."

# The environment is stale if what it was made from changed, if the folder was moved, if its Python has gone, or if another
# one is named; it is made anew for the last three, because its scripts name its place and its interpreter.
VERSION := -c "import sys; print(sys.version.split()[0])" 2>/dev/null
IS := $(shell $(BIN)/python $(VERSION))
ASKED := $(if $(filter file,$(origin PYTHON)),$(IS),$(shell $(PYTHON) $(VERSION) || echo missing))
ifneq ($(shell cat $(MADE) 2>/dev/null) $(IS),$(CURDIR) $(or $(ASKED),none))
.PHONY: $(READY)
endif

$(READY): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
	  echo "$(PYTHON) is missing or older than Python 3.11. Install 3.11 or newer and name it, as in: make run PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV): this takes about a minute, and happens once."
	@{ [ "$$(cat $(MADE) 2>/dev/null) $(IS)" = "$(CURDIR) $(ASKED)" ] && $(BIN)/python -m pip --version >/dev/null 2>&1; } || \
	  { $(PYTHON) -m venv --clear $(VENV) >&2 && echo "$(CURDIR)" >$(MADE); } || { \
	  echo "Python can't make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt -e . >$(LOG) 2>&1 || { \
	  echo "The packages could not be installed; $(LOG) says why. If there is no network, connect and run the same command again." >&2; exit 1; }
	@mkdir -p $(dir $(QUIET)) && echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' >$(QUIET)
	@touch $@
