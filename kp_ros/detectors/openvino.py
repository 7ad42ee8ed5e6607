"""OpenVINO: the fast path on processors with matrix units (AMX), where it computes in bf16, and for int8 models."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.exported import Outputs
from kp_ros.detectors.model_file import ModelFile
from kp_ros.detectors.openvino_graph import adapted

CPU_INFO = Path("/proc/cpuinfo")
#: OpenVINO's own names of what convolutions may be computed in.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


@dataclass(frozen=True)
class OpenVinoBackend:
    """:ivar threads: of the processor; None takes two.
    :ivar precision: of the convolutions, one of :func:`precisions`; None takes bf16 where the processor multiplies such
        matrices in hardware (AMX), fp32 elsewhere. An int8 model stays one.
    :ivar int8: it is to run an int8 model: on another processor it may then be the fastest.
    """

    threads: int | None = None
    precision: str | None = None
    int8: bool = False

    @property
    def name(self) -> str:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        return "openvino-cpu"

    @property
    def patient(self) -> bool:
        """A model is compiled in a fraction of a second."""
        return False

    @property
    def progress(self) -> str:
        """It is done before anybody could look."""
        return ""

    @property
    def missing(self) -> str:
        """What is missing for this backend to run here, and what to do; empty when nothing is."""
        if importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed; pip install openvino"
        return ""

    @property
    def slower(self) -> str:
        """Why ONNX Runtime is the better one here; empty when it is not."""
        # Measured with VNNI, without AMX, fp32, two threads (docs/models.md): OpenVINO takes 0.82 of its time
        # on a quiet machine, but beside one busy process 1.5 times it, with a p99 of 40 ms, not 15; a robot has
        # other work. An int8 model takes ONNX Runtime four times as long: it lacks kernels for signed activations.
        if has_amx() or self.int8:
            return ""
        return "this processor has no AMX; without it ONNX Runtime is steadier beside other work"

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> OpenVinoProgram:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        if self.missing:
            raise ModelError(self.missing)
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision or ("bf16" if has_amx() else "fp32")],
            "INFERENCE_NUM_THREADS": self.threads or 2,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            core = _core()
            graph = core.read_model(adapted(model.specialise(height, width, max_keypoints)))
            compiled = core.compile_model(graph, "CPU", settings)
            precision = precision_of(compiled)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(
                f"OpenVINO {openvino.__version__} cannot run {model.path}: {reason}; choose backend 'onnxruntime'"
            ) from error
        return OpenVinoProgram(compiled.create_infer_request(), precision)


class OpenVinoProgram:
    """See :class:`kp_ros.detectors.exported.Program`."""

    def __init__(self, request: Any, precision: str) -> None:
        self._request = request
        self.precision = precision

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the graph."""
        found = self._request.infer({0: image[None, None]}, share_inputs=True)
        # Copies: the request writes its next answer into the same memory.
        keypoints, scores, descriptors = (np.array(found[index]) for index in range(3))
        return keypoints, scores, descriptors

    def close(self) -> None:
        """Free the compiled model."""
        self._request = None


def precisions() -> tuple[str, ...]:
    """What the processor's OpenVINO can compute convolutions in, fp32 first; none where it is not installed."""
    if OpenVinoBackend().missing:
        return ()
    offered = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name in HINTS if name.upper() in offered)


def precision_of(compiled: Any) -> str:
    """What a compiled model's convolutions really compute in, the narrowest: a hint is not believed."""
    nodes = (node.get_rt_info() for node in compiled.get_runtime_model().get_ops())
    types = {str(node["runtimePrecision"].value) for node in nodes if str(node["layerType"].value) == "Convolution"}
    for name, words in (("int8", {"i8", "u8"}), ("fp16", {"f16"}), ("bf16", {"bf16"}), ("fp32", {"f32"})):
        if words & types:
            return name
    return "unknown"


@cache
def _core() -> Any:
    """OpenVINO's core, one for the life of the process.

    When the last one goes, its processor plugin is unloaded, with the code of the signal handler that it has installed:
    the next Ctrl-C would be a segmentation fault.
    """
    import openvino

    return openvino.Core()


def has_amx() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware, as far as the system tells."""
    try:
        return "amx_bf16" in CPU_INFO.read_text()
    except OSError:
        return False
