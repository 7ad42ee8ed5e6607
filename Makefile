# Two commands, each from nothing: `make demo` and `make test`. Both set up what they need under .venv, which takes some
# minutes the first time and nothing afterwards.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Twice quiet: a mirror that lacks a package is no news, a package that cannot be had still is.
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
VENV := .venv
BIN := $(VENV)/bin
JAZZY := .venv-jazzy
GPU := .venv-gpu
TORCH := torch==2.13.0
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
JAZZY_WHEELS := ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp ros-jazzy-common-interfaces
# setuptools 80 took away the commands that colcon calls.
BUILD_TOOLS := pip 'setuptools<80' wheel

# Arguments for the command that a target runs, as in: make demo ARGS="--seconds 20"
ARGS ?=

.NOTPARALLEL:
.PHONY: help demo test lint unit integration jazzy test-gpu bench-gpu train clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/runtime ## A drive through a rendered world, tracked by the live node: figures, a video and a picture
	$(BIN)/kp_ros demo $(ARGS)

test: lint unit integration jazzy ## Everything: style, types, unit and integration tests, on Kilted and on Jazzy

lint: $(VENV)/developer ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/developer ## The tests that may run side by side
	$(BIN)/python -m pytest -n 2 -m "not integration and not gpu" $(ARGS)

integration: $(VENV)/developer ## The tests that start nodes, talk over DDS or measure time, one at a time
	$(BIN)/python -m pytest -m integration $(ARGS)

jazzy: $(JAZZY)/installed ## The tests that use ROS once more, on the wheels of ROS 2 Jazzy
	@if [ -x $(JAZZY)/bin/pytest ]; then \
		$(JAZZY)/bin/python -m pytest test/ros test/integration --deselect test/integration/test_demo.py --deselect test/integration/test_colcon.py --ignore test/integration/test_trained_models.py $(ARGS); \
	else \
		echo "Skipped the tests on ROS 2 Jazzy: $$(cat $(JAZZY)/installed)"; \
	fi

test-gpu: ## The tests that need an NVIDIA card: engines run, and answer as they should
	$(call on_a_card,-m pytest test/gpu -rs $(ARGS))

bench-gpu: ## All backends against ORB, SIFT and Lucas-Kanade, on a machine with an NVIDIA card
	$(call on_a_card,-m benchmarks.speed --gpu --output benchmarks/results/speed_gpu --plot docs/speed_gpu.png $(ARGS))

# Before gigabytes are fetched: is there a card at all?
define on_a_card
@if "$(PYTHON)" -c "import ctypes; ctypes.CDLL('libcuda.so.1')" 2>/dev/null; then \
	$(MAKE) --no-print-directory $(GPU)/installed && $(GPU)/bin/python $(1); \
else \
	echo "Skipped: no NVIDIA driver (libcuda.so.1) on this machine; run 'make $@' on one with a card and its driver"; \
fi
endef

train: $(VENV)/developer ## What the training command can do
	$(BIN)/python -m training --help

clean: ## Remove the virtual environments and whatever was built
	rm -rf $(VENV) $(JAZZY) $(GPU) build install log demo_output *.egg-info

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "kp_ros needs Python 3.10 or newer; name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/runtime: setup.py package.xml | $(VENV)/bin/python
	@echo "Setting up $(VENV) (some minutes the first time) ..."
	@$(BIN)/python $(PIP_INSTALL) $(BUILD_TOOLS)
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e '.[ros,odometry]'
	@touch $@

# Without PyTorch's own index, pip would take the wheel for NVIDIA cards and gigabytes with it. Where that index cannot be
# reached, whatever the configured index has is taken.
$(VENV)/developer: $(VENV)/runtime
	@echo "Setting up $(VENV) for tests and training (some minutes the first time) ..."
	@$(BIN)/python $(PIP_INSTALL) '$(TORCH)' $$($(BIN)/python -c \
		"import urllib.request as r; r.urlopen('$(TORCH_CPU_INDEX)/torch/', timeout=10)" 2>/dev/null \
		&& echo --extra-index-url $(TORCH_CPU_INDEX))
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e '.[ros,odometry,train,eval,dev]'
	@touch $@

# JetPack's TensorRT is the system's. ONNX Runtime on CUDA takes the place of the one for processors; where there is no
# wheel of it (Jetson), what needs it is skipped with the reason.
$(GPU)/installed: setup.py package.xml
	@echo "Setting up $(GPU) (gigabytes, the first time) ..."
	@"$(PYTHON)" -m venv $$("$(PYTHON)" -c "import tensorrt" 2>/dev/null && echo --system-site-packages) $(GPU)
	@$(GPU)/bin/python $(PIP_INSTALL) $(BUILD_TOOLS)
	@$(GPU)/bin/python $(PIP_INSTALL) --no-build-isolation -e '.[gpu,eval]' openvino pytest pytest-timeout tqdm
	@if $(GPU)/bin/python $(PIP_INSTALL) 'onnxruntime-gpu[cuda,cudnn]'; then \
		$(GPU)/bin/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu; \
		$(GPU)/bin/python $(PIP_INSTALL) 'onnxruntime-gpu[cuda,cudnn]'; \
	else \
		echo "pip finds no onnxruntime-gpu for this machine: ONNX Runtime on CUDA is left out"; \
	fi
	@touch $@

$(JAZZY)/installed: setup.py package.xml
	@"$(PYTHON)" -m venv $(JAZZY)
	@echo "Setting up $(JAZZY) ..."
	@$(JAZZY)/bin/python $(PIP_INSTALL) $(BUILD_TOOLS)
	@if $(JAZZY)/bin/python $(PIP_INSTALL) $(JAZZY_WHEELS); then \
		$(JAZZY)/bin/python $(PIP_INSTALL) --no-build-isolation -e '.[odometry]' pytest pytest-timeout && touch $@; \
	else \
		echo "pip finds no wheels of $(JAZZY_WHEELS)" > $@; \
	fi
