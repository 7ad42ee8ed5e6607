import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.detectors import load_detector
from kp_ros.detectors.base import Detector, ModelError
from kp_ros.detectors.exported import KEPT_SIZES, ExportedDetector, Program, pad_to_stride
from kp_ros.detectors.model_file import ModelFile, find_model, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector(max_keypoints=500)


def blocks(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 10, width // 10), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


@pytest.mark.parametrize("shape", [(480, 640), (370, 1226), (360, 540), (95, 97), (40, 33)])
def test_any_size_works_and_points_lie_inside(detector: Detector, shape: tuple[int, int]) -> None:
    features = detector(blocks(*shape))
    assert 0 < len(features) <= detector.info.max_keypoints == 500
    border = 2  # the budget's border of 4, less the reach of the sub-pixel step
    assert (features.keypoints >= border).all()
    assert (features.keypoints <= np.array(shape[::-1]) - 1 - border).all()
    assert (np.diff(features.scores) <= 0).all() and (features.scores > 0).all() and (features.scores < 1).all()
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)
    assert features.keypoints.dtype == features.scores.dtype == features.descriptors.dtype == np.float32


def test_points_sit_on_texture_and_not_on_a_plain_wall(detector: Detector) -> None:
    image = blocks(480, 640)
    image[:, :320] = 120
    features = detector(image)[:200]
    assert (features.keypoints[:, 0] > 315).mean() > 0.95


def test_a_shifted_image_gives_shifted_points(detector: Detector) -> None:
    """By 32 pixels, the network's stride, so that nothing but the position changes."""
    wide = blocks(320, 640)
    first, second = detector(wide[:, :512].copy()), detector(wide[:, 32:544].copy())
    moved = first.keypoints - np.array([32, 0], np.float32)
    inner = (moved[:, 0] > 64) & (moved[:, 0] < 416)
    distance = np.linalg.norm(moved[inner][:, None] - second.keypoints[None], axis=2).min(1)
    assert (distance < 0.5).mean() > 0.8


def test_strided_views_and_colour_are_taken(detector: Detector) -> None:
    image = blocks(240, 320)
    padded = np.zeros((240, 400), np.uint8)
    padded[:, :320] = image
    expected = detector(image)
    np.testing.assert_array_equal(detector(padded[:, :320]).keypoints, expected.keypoints)
    np.testing.assert_array_equal(detector(cv2.merge([image] * 3)).keypoints, expected.keypoints)


def test_the_same_image_gives_the_same_bytes(detector: Detector) -> None:
    image = blocks(240, 320)
    first, second = detector(image), load_detector(max_keypoints=500)(image)
    for name in ("keypoints", "scores", "descriptors"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_the_threshold_leaves_the_strong_points() -> None:
    image = blocks(240, 320)
    every = load_detector()(image)
    threshold = float(np.median(every.scores))
    strong = load_detector(score_threshold=threshold)(image)
    np.testing.assert_array_equal(strong.keypoints, every.keypoints[every.scores > threshold])


def test_few_sizes_are_kept_ready(detector: Detector) -> None:
    assert isinstance(detector, ExportedDetector)
    for width in (64, 96, 128, 160):
        detector(blocks(64, width))
    assert len(detector._ready) == KEPT_SIZES


def test_padding_repeats_the_edge_and_spares_images_that_fit() -> None:
    image = blocks(40, 70)
    padded = pad_to_stride(image, 32)
    assert padded.shape == (64, 96)
    assert (padded[:40, 70:] == image[:, -1:]).all() and (padded[40:, :70] == image[-1:]).all()
    whole = blocks(64, 96)
    assert pad_to_stride(whole, 32) is whole


class Slow:
    """A backend that builds when it is let, and then answers as ONNX Runtime."""

    name, patient, progress = "slow", True, "(40%: tactics)"

    def __init__(self, fails: bool = False) -> None:
        self.let, self.fails = threading.Event(), fails

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> Program:
        assert self.let.wait(60)
        if self.fails:
            raise ModelError("the card has caught fire")
        return OnnxRuntimeBackend().build(model, height, width, max_keypoints)


def serves(detector: ExportedDetector, image: NDArray[np.uint8], backend: str) -> bool:
    """Whether a call is answered, and by a backend."""
    return len(detector(image)) > 0 and detector.info.backend == backend


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stand_in_serves_until_the_engine_is_built() -> None:
    slow, model, image = Slow(), read_model(find_model(None)), blocks(128, 160)
    detector = ExportedDetector(model, slow, 100, stand_in=OnnxRuntimeBackend())
    assert detector.info.backend == "onnxruntime-cpu" and detector.building == ""
    expected = detector(image).keypoints
    assert detector.info.backend == "onnxruntime-cpu"
    assert detector.building == "slow for 160 x 128 (40%: tactics)"
    slow.let.set()
    wait_until(lambda: serves(detector, image, "slow"))
    assert detector.building == ""
    np.testing.assert_array_equal(detector(image).keypoints, expected)
    detector.close()


def test_where_the_engine_cannot_be_built_the_stand_in_stays(caplog: pytest.LogCaptureFixture) -> None:
    slow, image = Slow(fails=True), blocks(128, 160)
    detector = ExportedDetector(read_model(find_model(None)), slow, 100, stand_in=OnnxRuntimeBackend())
    slow.let.set()
    wait_until(lambda: len(detector(image)) > 0 and "caught fire" in caplog.text)
    assert serves(detector, image, "onnxruntime-cpu") and detector.building == ""
    assert serves(detector, blocks(96, 160), "onnxruntime-cpu") and detector.building == ""
    detector.close()


def test_closing_does_not_wait_for_a_build() -> None:
    slow = Slow()
    detector = ExportedDetector(read_model(find_model(None)), slow, 100, stand_in=OnnxRuntimeBackend())
    detector(blocks(128, 160))
    detector.close()
    slow.let.set()
