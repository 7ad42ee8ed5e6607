"""Engines on a real card: they answer as ONNX Runtime does, as graphs and queued, and come from the cache.

On a card that TensorRT-RTX does not cover (Hopper) its tests are skipped with that reason; ONNX Runtime on CUDA is run.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_backends import TOLERANCES

from kp_ros import simulation
from kp_ros.detectors import load_detector, tensorrt
from kp_ros.detectors.engine_cache import VARIABLE, EngineCache
from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import ModelFile, find_model, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.detectors.tensorrt import TensorRtBackend
from kp_ros.detectors.tensorrt_running import SLOTS
from kp_ros.resources import models_directory
from training.quantise import quantise

MODELS = [file for file in sorted(models_directory().glob("*.onnx")) if read_model(file).precision == "fp32"]


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> TensorRtBackend:
    """Each TensorRT that is here, with an empty cache."""
    found = TensorRtBackend(request.param, cache=EngineCache(tmp_path / "engines"))
    if found.missing:
        pytest.skip(found.missing)
    return found


@pytest.fixture(scope="session")
def int8(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """The default model in eight bits."""
    file = tmp_path_factory.mktemp("int8") / "kp_int8.onnx"
    quantise(
        read_model(find_model(None)), file, sorted((Path(simulation.__file__).parent / "pictures").glob("*.jpg"))[:6]
    )
    return read_model(file)


def agreement(one: Any, other: Any, within: float = 0.25) -> tuple[float, float]:
    """Share of the first's keypoints that the second has, and the least cosine of their descriptors."""
    distance = np.linalg.norm(one.keypoints[:, None] - other.keypoints[None], axis=2)
    same = distance.min(1) < within
    return float(same.mean()), float((one.descriptors * other.descriptors[distance.argmin(1)]).sum(1)[same].min())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_an_engine_finds_what_onnx_runtime_finds(
    backend: TensorRtBackend, file: Path, precision: str, images: list[NDArray[np.uint8]]
) -> None:
    model = read_model(file)
    expected = ExportedDetector(model, OnnxRuntimeBackend())
    engine = ExportedDetector(model, replace(backend, precision=precision))
    for image in images:
        share, cosine = agreement(expected(image), engine(image))
        assert engine.info.precision == precision
        assert share >= TOLERANCES[precision][0] and cosine >= TOLERANCES[precision][1]
    engine.close()


def test_an_int8_engine_finds_most_of_what_its_parent_finds(
    backend: TensorRtBackend, int8: ModelFile, images: list[NDArray[np.uint8]]
) -> None:
    expected, engine = ExportedDetector(int8, OnnxRuntimeBackend()), ExportedDetector(int8, backend)
    shares = [agreement(expected(image), engine(image), 1.0)[0] for image in images]
    assert engine.info.precision == "int8" and np.mean(shares) > 0.85
    engine.close()


def test_a_graph_answers_as_the_plain_queue_does(backend: TensorRtBackend, images: list[NDArray[np.uint8]]) -> None:
    program = backend.build(read_model(find_model(None)), 480, 640, 1024)
    assert program.captured
    for k, image in enumerate(images):
        slot = program._slots[k % SLOTS]
        for answer, plain in zip(program(image), program._plain(slot, image), strict=True):
            np.testing.assert_allclose(answer, plain, atol=1e-3)
    numbers = [program.submit(image) for image in images[:SLOTS]]
    for image, number in zip(images, numbers, strict=False):
        np.testing.assert_allclose(program.result(number)[0], program(image)[0], atol=1e-3)
    program.close()


def test_an_engine_is_built_once_and_a_damaged_one_again(
    backend: TensorRtBackend, images: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, builds = read_model(find_model(None)), []
    real = tensorrt.build_engine
    monkeypatch.setattr(tensorrt, "build_engine", lambda *order: builds.append(1) or real(*order))
    first = backend.build(model, 480, 640, 256)
    expected = first(images[0])[0]
    first.close()
    second = backend.build(model, 480, 640, 256)
    assert len(builds) == 1
    np.testing.assert_allclose(second(images[0])[0], expected, atol=1e-3)
    second.close()
    (engine,) = backend.cache.engines()
    engine.file.write_bytes(engine.file.read_bytes()[:1000])
    backend.build(model, 480, 640, 256).close()
    assert len(builds) == 2


def test_an_engine_takes_over_in_the_background(
    backend: TensorRtBackend, images: list[NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    detector = load_detector(backend=backend.name, max_keypoints=512, background=True)
    first = detector(images[0])
    assert detector.info.backend == "onnxruntime-cpu" and len(first) > 0
    deadline = time.monotonic() + 240
    while detector.info.backend != backend.name:
        assert time.monotonic() < deadline
        assert len(detector(images[0])) > 0
    assert detector.info.precision == "fp16"
    assert agreement(first, detector(images[0]))[0] >= TOLERANCES["fp16"][0]
    detector.close()


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_onnx_runtime_on_cuda_finds_what_it_finds_on_the_processor(file: Path, images: list[NDArray[np.uint8]]) -> None:
    cuda = OnnxRuntimeBackend(cuda=True)
    if cuda.missing:
        pytest.skip(cuda.missing)
    model = read_model(file)
    expected, found = ExportedDetector(model, OnnxRuntimeBackend()), ExportedDetector(model, cuda)
    for image in images:
        share, cosine = agreement(expected(image), found(image))
        assert share >= TOLERANCES["fp32"][0] and cosine >= TOLERANCES["fp32"][1]
    assert found.info.backend == "onnxruntime-cuda"
    found.close()
