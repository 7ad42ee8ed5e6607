import cv2
import numpy as np
import pytest

from kp_ros.detectors import load_detector


@pytest.fixture
def image() -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 255, (24, 32), np.uint8)
    return cv2.resize(small, (320, 240), interpolation=cv2.INTER_NEAREST)


@pytest.mark.parametrize(
    ("name", "size", "dtype"), [("orb", 32, np.uint8), ("sift", 128, np.float32), ("gftt", 0, np.float32)]
)
def test_baselines_give_what_their_info_says(name: str, size: int, dtype: type, image: np.ndarray) -> None:
    detector = load_detector(name, max_keypoints=100)
    features = detector(image)
    info = detector.info
    assert 50 < len(features) <= info.max_keypoints == 100
    assert features.descriptors.shape == (len(features), size) and info.descriptor_size == size
    assert features.descriptors.dtype == dtype and info.descriptor_dtype == np.dtype(dtype).name
    assert features.keypoints.dtype == features.scores.dtype == np.float32
    assert (np.diff(features.scores) <= 0).all()
    if name == "sift":
        np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("name", ["orb", "sift", "gftt"])
def test_an_image_without_texture_gives_no_features(name: str) -> None:
    features = load_detector(name)(np.full((120, 160), 128, np.uint8))
    assert len(features) == 0
    assert features.keypoints.shape == (0, 2) and features.descriptors.shape[0] == 0


def test_colour_gives_the_same_points_as_grey(image: np.ndarray) -> None:
    detector = load_detector("gftt")
    np.testing.assert_array_equal(
        detector(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)).keypoints, detector(image).keypoints
    )
