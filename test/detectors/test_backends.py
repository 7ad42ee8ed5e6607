"""Parity: whatever runs a model answers as ONNX Runtime on the processor does in fp32, on real images.

Keypoints are compared as sets, for the order of near-ties differs, and descriptors by the cosine of shared keypoints.
What equality cannot tell about fp16 and int8, repeatability and pose, is in benchmarks/precisions.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros import simulation
from kp_ros.detectors.choice import candidates
from kp_ros.detectors.exported import Backend, ExportedDetector
from kp_ros.detectors.half import to_half
from kp_ros.detectors.model_file import ModelFile, find_model, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.detectors.openvino import OpenVinoBackend, precisions
from kp_ros.resources import models_directory

MODELS = [file for file in sorted(models_directory().glob("*.onnx")) if read_model(file).precision == "fp32"]
#: Least share of keypoints that agree within 0.25 px, and least cosine of their descriptors, of every image.
TOLERANCES = {"fp32": (0.99, 0.9999), "fp16": (0.98, 0.999), "bf16": (0.95, 0.998)}
#: OpenVINO computes coordinates, too, in fp16 where it is made to, in steps of half a pixel beyond x = 512.
COARSE = (0.85, 0.99)
#: A frame of each kind of camera, where the recordings are there.
FRAMES = ("kitti_06", "redkitchen")
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

Pair = tuple[ModelFile, Backend]


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    """The package's own photographs, which are there on every machine, and frames of recordings."""
    files = sorted((Path(simulation.__file__).parent / "pictures").glob("*.jpg"))[:4]
    photographs = [cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (640, 480)) for file in files]
    frames = [sorted((SHARED_DATA / name / "images").iterdir())[20] for name in FRAMES if SHARED_DATA.is_dir()]
    found = photographs + [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in frames]
    return [np.asarray(image, np.uint8) for image in found]


@pytest.fixture(scope="module")
def references(images: list[NDArray[np.uint8]]) -> Callable[[Path], list]:
    """What ONNX Runtime finds, computed once a model."""
    known: dict[Path, list] = {}

    def of(file: Path) -> list:
        if file not in known:
            detector = ExportedDetector(read_model(file), OnnxRuntimeBackend(2))
            known[file] = [detector(image) for image in images]
        return known[file]

    return of


def backend(name: str) -> Callable[[ModelFile], Pair]:
    """A backend that ``auto`` may take."""

    def pair(model: ModelFile) -> Pair:
        chosen = candidates(2)[name]
        if chosen.missing:
            pytest.skip(chosen.missing)
        return model, chosen

    return pair


def openvino(precision: str) -> Callable[[ModelFile], Pair]:
    """OpenVINO, made to compute in a precision."""

    def pair(model: ModelFile) -> Pair:
        if precision not in precisions():
            pytest.skip(f"no OpenVINO here, or none that computes in {precision} on this processor")
        return model, OpenVinoBackend(2, precision)

    return pair


def half(model: ModelFile) -> Pair:
    """The graph that TensorRT is given, by what can run it without a card."""
    return replace(model, content=to_half(model.content)), OnnxRuntimeBackend(2)


def one_thread(model: ModelFile) -> Pair:
    """Sums in another order."""
    return model, OnnxRuntimeBackend(1)


CASES = {name: backend(name) for name in ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda")}
CASES |= {f"openvino {precision}": openvino(precision) for precision in TOLERANCES}
CASES |= {"TensorRT's fp16 graph on ONNX Runtime": half, "one thread": one_thread}


def chosen() -> list[tuple[str, Path]]:
    """All cases for the default model; for the others, whose graphs are alike, those that ``auto`` may come to."""
    default = find_model(None)
    seldom = {"openvino bf16", "openvino fp16", "one thread"}
    return [(case, file) for file in MODELS for case in CASES if file == default or case not in seldom]


@pytest.mark.parametrize(("case", "file"), chosen(), ids=lambda value: getattr(value, "stem", value))
def test_it_finds_what_onnx_runtime_finds(
    case: str, file: Path, images: list[NDArray[np.uint8]], references: Callable[[Path], list]
) -> None:
    detector = ExportedDetector(*CASES[case](read_model(file)))
    count = len(images) if file == find_model(None) else 2
    for image, expected in zip(images[:count], references(file)[:count], strict=True):
        found = detector(image)
        share, cosine = COARSE if case == "openvino fp16" else TOLERANCES[detector.info.precision]
        distance = np.linalg.norm(expected.keypoints[:, None] - found.keypoints[None], axis=2)
        same = distance.min(1) < 0.25
        assert same.mean() >= share
        assert (expected.descriptors * found.descriptors[distance.argmin(1)]).sum(1)[same].min() >= cosine
    assert case.split()[-1] not in TOLERANCES or detector.info.precision == case.split()[-1]
    assert case != "TensorRT's fp16 graph on ONNX Runtime" or detector.info.precision == "fp16"
    detector.close()
