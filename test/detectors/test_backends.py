"""Parity: every backend that runs here answers as ONNX Runtime on the processor does, on real images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros import simulation
from kp_ros.detectors.choice import candidates
from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.resources import models_directory

MODELS = sorted(models_directory().glob("*.onnx"))
#: Share of keypoints that agree within 0.25 px, and least cosine of their descriptors.
TOLERANCES = {"fp32": (0.99, 0.9999), "bf16": (0.80, 0.98), "fp16": (0.95, 0.999)}


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    """The package's own photographs, which are there on every machine."""
    folder = Path(simulation.__file__).parent / "pictures"
    found = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.jpg"))[:4]]
    return [np.asarray(image, np.uint8) for image in found if image is not None]


@pytest.mark.parametrize("name", [name for name in candidates(None) if name != "onnxruntime"])
@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_backend_agrees_with_onnx_runtime(name: str, file: Path, images: list[NDArray[np.uint8]]) -> None:
    backend = candidates(2)[name]
    if backend.missing:
        pytest.skip(backend.missing)
    model = read_model(file)
    expected, found = ExportedDetector(model, OnnxRuntimeBackend(2)), ExportedDetector(model, backend)
    assert images
    for image in images:
        one, other = expected(image), found(image)
        share, cosine = TOLERANCES[found.info.precision]
        distance = np.linalg.norm(one.keypoints[:, None] - other.keypoints[None], axis=2)
        same = distance.min(1) < 0.25
        assert same.mean() >= share
        assert (one.descriptors * other.descriptors[distance.argmin(1)]).sum(1)[same].min() >= cosine
    found.close()
