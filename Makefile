# Two commands, each from nothing: `make demo` and `make test`. Both set up what they need under .venv, which takes some
# minutes the first time and nothing afterwards.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Twice quiet: a mirror that lacks a package is no news, a package that cannot be had still is.
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
VENV := .venv
BIN := $(VENV)/bin
JAZZY := .venv-jazzy
TORCH := torch==2.13.0
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
JAZZY_WHEELS := ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp ros-jazzy-common-interfaces
# setuptools 80 took away the commands that colcon calls.
BUILD_TOOLS := pip 'setuptools<80' wheel

# Arguments for the command that a target runs, as in: make demo ARGS="--seconds 20"
ARGS ?=

.NOTPARALLEL:
.PHONY: help demo test lint unit integration jazzy train clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/runtime ## A drive through a rendered world, tracked by the live node: figures, a video and a picture
	$(BIN)/kp_ros demo $(ARGS)

test: lint unit integration jazzy ## Everything: style, types, unit and integration tests, on Kilted and on Jazzy

lint: $(VENV)/developer ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/developer ## The tests that may run side by side
	$(BIN)/python -m pytest -n 2 -m "not integration" $(ARGS)

integration: $(VENV)/developer ## The tests that start nodes, talk over DDS or measure time, one at a time
	$(BIN)/python -m pytest -m integration $(ARGS)

jazzy: $(JAZZY)/installed ## The tests that use ROS once more, on the wheels of ROS 2 Jazzy
	@if [ -x $(JAZZY)/bin/pytest ]; then \
		$(JAZZY)/bin/python -m pytest test/ros test/integration --deselect test/integration/test_demo.py --deselect test/integration/test_colcon.py --ignore test/integration/test_trained_models.py $(ARGS); \
	else \
		echo "Skipped the tests on ROS 2 Jazzy: $$(cat $(JAZZY)/installed)"; \
	fi

train: $(VENV)/developer ## What the training command can do
	$(BIN)/python -m training --help

clean: ## Remove the virtual environments and whatever was built
	rm -rf $(VENV) $(JAZZY) build install log demo_output *.egg-info

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "kp_ros needs Python 3.10 or newer; name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/runtime: setup.py package.xml | $(VENV)/bin/python
	@echo "Setting up $(VENV) (some minutes the first time) ..."
	@$(BIN)/python $(PIP_INSTALL) $(BUILD_TOOLS)
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e '.[ros]'
	@touch $@

# Without PyTorch's own index, pip would take the wheel for NVIDIA cards and gigabytes with it. Where that index cannot be
# reached, whatever the configured index has is taken.
$(VENV)/developer: $(VENV)/runtime
	@echo "Setting up $(VENV) for tests and training (some minutes the first time) ..."
	@$(BIN)/python $(PIP_INSTALL) '$(TORCH)' $$($(BIN)/python -c \
		"import urllib.request as r; r.urlopen('$(TORCH_CPU_INDEX)/torch/', timeout=10)" 2>/dev/null \
		&& echo --extra-index-url $(TORCH_CPU_INDEX))
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e '.[ros,train,eval,dev]'
	@touch $@

$(JAZZY)/installed: setup.py package.xml
	@"$(PYTHON)" -m venv $(JAZZY)
	@echo "Setting up $(JAZZY) ..."
	@$(JAZZY)/bin/python $(PIP_INSTALL) $(BUILD_TOOLS)
	@if $(JAZZY)/bin/python $(PIP_INSTALL) $(JAZZY_WHEELS); then \
		$(JAZZY)/bin/python $(PIP_INSTALL) --no-build-isolation -e . pytest pytest-timeout && touch $@; \
	else \
		echo "pip finds no wheels of $(JAZZY_WHEELS)" > $@; \
	fi
