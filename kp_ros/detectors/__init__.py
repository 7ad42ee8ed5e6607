"""Image -> Features: one file a backend behind one Protocol."""

from __future__ import annotations

from pathlib import Path

from kp_ros.detectors.base import Detector, DetectorInfo, ModelError
from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import DEFAULT_MODEL, find_model, read_model
from kp_ros.detectors.opencv import DETECTORS, OpenCvDetector

__all__ = ["BACKENDS", "DEFAULT_MODEL", "Detector", "DetectorInfo", "ModelError", "load_detector"]

BACKENDS = ("auto", "onnxruntime")


def load_detector(
    model: str | Path | None = None,
    backend: str = "auto",
    max_keypoints: int | None = None,
    score_threshold: float = 0.0,
    threads: int | None = None,
) -> Detector:
    """Load a detector.

    >>> detector = load_detector()
    >>> features = detector(image)  # uint8 [H, W] or [H, W, 3] BGR

    :param model: a shipped model's name, a path to an exported ``.onnx``, or ``orb``, ``sift``, ``gftt``; None takes
        the default model.
    :param backend: ``auto`` takes the fastest that works here; ``onnxruntime`` runs everywhere.
    :param max_keypoints: the most points a call returns; None takes the model's own budget, or 1024.
    :param score_threshold: points of a learned model below it are left out; 0 to 1.
    :param threads: processor threads of the inference; None takes two.
    :raises ModelError: the model is missing, damaged, foreign or does not run here, or an option is out of range.
    """
    if backend not in BACKENDS:
        raise ModelError(f"backend '{backend}' is unknown; choose one of: {', '.join(BACKENDS)}")
    if max_keypoints is not None and max_keypoints < 1:
        raise ModelError(f"max_keypoints is {max_keypoints}; choose at least 1")
    if isinstance(model, str) and model in DETECTORS:
        return OpenCvDetector(model, max_keypoints or 1024)
    from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend

    return ExportedDetector(read_model(find_model(model)), OnnxRuntimeBackend(threads), max_keypoints, score_threshold)
