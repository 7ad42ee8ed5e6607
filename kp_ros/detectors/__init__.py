"""Image -> Features: one file a backend behind one Protocol."""

from __future__ import annotations

import logging
from pathlib import Path

from kp_ros.detectors.base import Detector, DetectorInfo, ModelError
from kp_ros.detectors.choice import BACKENDS, choose
from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import DEFAULT_MODEL, find_model, read_model
from kp_ros.detectors.opencv import DETECTORS, OpenCvDetector
from kp_ros.detectors.tensorrt import PRECISIONS

__all__ = ["BACKENDS", "DEFAULT_MODEL", "PRECISIONS", "Detector", "DetectorInfo", "ModelError", "load_detector"]

LOGGER = logging.getLogger(__name__)


def load_detector(
    model: str | Path | None = None,
    backend: str = "auto",
    max_keypoints: int | None = None,
    score_threshold: float = 0.0,
    threads: int | None = None,
    precision: str = "fp16",
    background: bool = False,
) -> Detector:
    """Load a detector.

    >>> detector = load_detector()
    >>> features = detector(image)  # uint8 [H, W] or [H, W, 3] BGR

    :param model: a shipped model's name, a path to an exported ``.onnx``, or ``orb``, ``sift``, ``gftt``; None takes
        the default model.
    :param backend: ``auto`` takes the fastest that works here and logs why not the others; ``onnxruntime`` runs
        everywhere; ``tensorrt``, ``tensorrt-rtx``, ``onnxruntime-cuda`` and ``openvino`` where they are installed.
    :param max_keypoints: the most points a call returns; None takes the model's own budget, or 1024.
    :param score_threshold: points of a learned model below it are left out; 0 to 1.
    :param threads: processor threads of the inference; None takes two.
    :param precision: of TensorRT's convolutions: ``fp16`` or ``fp32``.
    :param background: where a backend builds for minutes, answer from ONNX Runtime meanwhile; otherwise the first image
        waits.
    :raises ModelError: the model is missing, damaged, foreign or does not run here, or an option is out of range.
    """
    if max_keypoints is not None and max_keypoints < 1:
        raise ModelError(f"max_keypoints is {max_keypoints}; choose at least 1")
    if isinstance(model, str) and model in DETECTORS:
        return OpenCvDetector(model, max_keypoints or 1024)
    file = read_model(find_model(model))
    chosen = choose(backend, threads, precision, file.precision == "int8")
    for reason in chosen.passed_over:
        LOGGER.info("not %s", reason)
    stand_in = chosen.stand_in if background else None
    return ExportedDetector(file, chosen.backend, max_keypoints, score_threshold, stand_in)
