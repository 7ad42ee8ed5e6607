import numpy as np
from numpy.typing import NDArray

from benchmarks.shifts import SHIFTS, judge, markdown
from kp_ros.detectors.base import DetectorInfo
from kp_ros.features import Features

INFO = DetectorInfo("f", "f", "", 0, "float32", "l2", 9, "none", "fp32")


class Fixed:
    """Points that stay where they are in the window."""

    info = INFO

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        return features(np.float32([[20, 20], [60, 40]]))


class Following:
    """Points that stay on what is bright."""

    info = INFO

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        return features(np.argwhere(image > 200)[:, ::-1].astype(np.float32))


def features(points: NDArray[np.float32]) -> Features:
    return Features(points, np.ones(len(points), np.float32), np.zeros((len(points), 0), np.float32))


def test_points_that_do_not_move_with_the_image_are_told() -> None:
    image = np.zeros((120, 160), np.uint8)
    image[30, 50] = image[64, 80] = 255
    still, moving = (judge(detector, [image]) for detector in (Fixed(), Following()))
    # (1, 0), (2, 2), (4, 0), (3, 5), (8, 8): 1, 2.8, 4, 5.8 and 11 pixels away.
    assert [figures["within 3"] for figures in still.values()] == [1, 1, 0, 0, 0]
    assert all(share == 1 for figures in moving.values() for share in figures.values())
    table = markdown({"s": {"still": still}})
    assert "| s | still | 0 / 100 | 0 / 100 | 0 / 0 |" in table and len(SHIFTS) == 5
