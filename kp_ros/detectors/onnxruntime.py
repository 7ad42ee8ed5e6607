"""Exported models on ONNX Runtime: runs on any machine."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kp_ros.detectors.base import DetectorInfo, ModelError
from kp_ros.detectors.model_file import MOST_KEYPOINTS, ModelFile
from kp_ros.features import Features

#: Image sizes that are kept ready at once: a camera that switches to and fro does not build each time.
KEPT_SIZES = 2


class OnnxRuntimeDetector:
    """A model on ONNX Runtime's CPU provider.

    :param model: see :func:`kp_ros.detectors.model_file.read_model`.
    :param max_keypoints: the most points a call returns; None takes the model's own budget.
    :param score_threshold: points below it are left out; 0 to 1.
    :param threads: of ONNX Runtime; None takes two, or one where there is one processor. Two threads keep a robot's
        other work alive and come close to the speed of all of them.
    :raises ModelError: ONNX Runtime refuses the model, or the budget is out of range.
    """

    def __init__(
        self,
        model: ModelFile,
        max_keypoints: int | None = None,
        score_threshold: float = 0.0,
        threads: int | None = None,
    ) -> None:
        self.score_threshold = score_threshold
        self._model = model
        self._max_keypoints = model.max_keypoints if max_keypoints is None else max_keypoints
        if not 1 <= self._max_keypoints <= MOST_KEYPOINTS:
            raise ModelError(f"max_keypoints is {self._max_keypoints}; choose 1 to {MOST_KEYPOINTS}")
        self._threads = threads if threads is not None else min(2, os.cpu_count() or 1)
        self._sessions: OrderedDict[tuple[int, int], onnxruntime.InferenceSession] = OrderedDict()
        # A model that this runtime cannot run is refused now, not at the first image.
        self._session(256, 256)

    @property
    def info(self) -> DetectorInfo:
        """Which model this is; the precision is read from the graph's own tensors."""
        return DetectorInfo(
            name=self._model.name,
            method=self._model.metadata["method"],
            sha256=self._model.sha256,
            descriptor_size=self._model.descriptor_size,
            descriptor_dtype="float32",
            descriptor_norm=self._model.metadata["descriptor_norm"],
            max_keypoints=self._max_keypoints,
            backend="onnxruntime-cpu",
            precision=self._model.precision,
        )

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        """Detect and describe, see :class:`kp_ros.detectors.base.Detector`."""
        if image.ndim == 3:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        height, width = image.shape
        padded = pad_to_stride(image, self._model.stride)
        session = self._session(*padded.shape)
        keypoints, scores, descriptors = session.run(None, {"image": padded[None, None]})
        border = self._model.border
        keep = scores > max(self.score_threshold, 1e-6)
        if padded is not image:
            limits = np.array([width - 1 - border, height - 1 - border], np.float32)
            keep &= (keypoints <= limits).all(1)
        if keep.all():
            return Features(keypoints, scores, descriptors)
        return Features(keypoints[keep], scores[keep], descriptors[keep])

    def close(self) -> None:
        """Free the sessions."""
        self._sessions.clear()

    def _session(self, height: int, width: int) -> onnxruntime.InferenceSession:
        if (height, width) in self._sessions:
            self._sessions.move_to_end((height, width))
            return self._sessions[height, width]
        content = self._model.specialise(height, width, self._max_keypoints)
        session = create_session(content, self._threads, self._model.path)
        self._sessions[height, width] = session
        if len(self._sessions) > KEPT_SIZES:
            self._sessions.popitem(last=False)
        return session


def create_session(content: bytes, threads: int, path: Path) -> onnxruntime.InferenceSession:
    """A session on the CPU that does not spin: waiting threads leave the processor to the robot's other work."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a class of its own for each cause
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {path}: {reason}; update onnxruntime or export again"
        ) from error


def pad_to_stride(image: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples of ``stride``; the image itself where they are."""
    height, width = image.shape
    below, right = -height % stride, -width % stride
    if below == 0 and right == 0:
        return image
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
