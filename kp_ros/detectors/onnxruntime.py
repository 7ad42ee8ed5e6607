"""ONNX Runtime: runs on any machine, and on NVIDIA's cards where its GPU build is installed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.exported import Outputs
from kp_ros.detectors.model_file import ModelFile


@dataclass(frozen=True)
class OnnxRuntimeBackend:
    """:ivar threads: of the processor; None takes two, or one where there is one processor. Two threads keep a robot's
        other work alive and come close to the speed of all of them.
    :ivar cuda: run on CUDA, not on the processor.
    """

    threads: int | None = None
    cuda: bool = False

    @property
    def name(self) -> str:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        return "onnxruntime-cuda" if self.cuda else "onnxruntime-cpu"

    @property
    def patient(self) -> bool:
        """A session is made in a fraction of a second."""
        return False

    @property
    def slower(self) -> str:
        """See :class:`kp_ros.detectors.choice.Candidate`."""
        return ""

    @property
    def progress(self) -> str:
        """It is done before anybody could look."""
        return ""

    @property
    def missing(self) -> str:
        """What is missing for this backend to run here, and what to do; empty when nothing is."""
        if not self.cuda or "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return ""
        return "this ONNX Runtime has no CUDA; pip install onnxruntime-gpu in its place"

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> OnnxRuntimeProgram:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        threads = self.threads if self.threads is not None else min(2, os.cpu_count() or 1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Waiting threads leave the processor to the robot's other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        provider, settings = "CPUExecutionProvider", {}
        if self.cuda:
            # TF32 would round what the model says is fp32 to ten bits.
            provider, settings = "CUDAExecutionProvider", {"use_tf32": "0"}
            # Finds NVIDIA's libraries where pip has put them.
            onnxruntime.preload_dlls()
        try:
            content = model.specialise(height, width, max_keypoints)
            session = onnxruntime.InferenceSession(content, options, providers=[(provider, settings)])
        except Exception as error:  # ONNX Runtime raises a class of its own for each cause
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run {model.path}: {reason}; "
                "update onnxruntime or export again"
            ) from error
        if provider not in session.get_providers():
            raise ModelError(
                f"ONNX Runtime {onnxruntime.__version__} could not start {provider}; see its message above, "
                "or choose backend 'onnxruntime'"
            )
        return OnnxRuntimeProgram(session, model.precision)


class OnnxRuntimeProgram:
    """See :class:`kp_ros.detectors.exported.Program`."""

    def __init__(self, session: Any, precision: str) -> None:
        self._session = session
        self.precision = precision

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the graph."""
        keypoints, scores, descriptors = self._session.run(None, {"image": image[None, None]})
        return keypoints, scores, descriptors

    def close(self) -> None:
        """Free the session."""
        self._session = None
