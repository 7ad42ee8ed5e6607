from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from kp_ros.ros.camera_watch import CameraWatch


@pytest.fixture
def info() -> CameraInfo:
    return CameraInfo(
        width=640,
        height=480,
        distortion_model="plumb_bob",
        d=[0.1, 0.0, 0.0, 0.0, 0.0],
        k=np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1]),
        p=np.array([400.0, 0, 300, 0, 0, 400, 200, 0, 0, 0, 1, 0]),
    )


def test_before_the_first_message_it_names_the_topic() -> None:
    watch = CameraWatch("/front/camera_info", rectified=False)
    assert watch.camera_of_image(640, 480) is None
    assert watch.problem.startswith("no message on /front/camera_info yet; publish")


def test_a_message_that_repeats_the_last_gives_the_same_camera(info: CameraInfo) -> None:
    watch = CameraWatch("/camera_info", rectified=False)
    watch.info = info
    camera = watch.camera_of_image(640, 480)
    assert camera is not None
    assert watch.problem == ""
    watch.info = CameraInfo(
        width=640, height=480, distortion_model="plumb_bob", d=list(info.d), k=info.k.copy(), p=info.p.copy()
    )
    assert watch.camera_of_image(640, 480) is camera


def test_a_new_calibration_is_taken_over(info: CameraInfo) -> None:
    watch = CameraWatch("/camera_info", rectified=False)
    watch.info = info
    watch.camera_of_image(640, 480)
    info.k[0] = 510.0
    camera = watch.camera_of_image(640, 480)
    assert camera is not None
    assert camera.matrix[0, 0] == 510.0


def test_binning_and_region_are_honoured(info: CameraInfo) -> None:
    info.binning_x = info.binning_y = 2
    info.roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=300)
    watch = CameraWatch("/camera_info", rectified=False)
    watch.info = info
    camera = watch.camera_of_image(200, 150)
    assert camera is not None
    np.testing.assert_allclose(camera.matrix[:2, 2], [(320 - 100 + 0.5) / 2 - 0.5, (240 - 40 + 0.5) / 2 - 0.5])


def test_a_rectified_image_has_the_camera_of_p(info: CameraInfo) -> None:
    watch = CameraWatch("/camera_info", rectified=True)
    watch.info = info
    camera = watch.camera_of_image(640, 480)
    assert camera is not None
    assert (camera.matrix[0, 0], len(camera.distortion)) == (400.0, 0)


def test_another_aspect_ratio_is_a_problem_until_the_image_fits_again(info: CameraInfo) -> None:
    watch = CameraWatch("/camera_info", rectified=False)
    watch.info = info
    assert watch.camera_of_image(640, 360) is None
    assert watch.problem.startswith("/camera_info: the image is 640 x 360, but its camera_info describes 640 x 480")
    assert watch.camera_of_image(320, 240) is not None
    assert watch.problem == ""


def test_an_uncalibrated_camera_is_a_problem(info: CameraInfo) -> None:
    info.k[:] = 0
    watch = CameraWatch("/camera_info", rectified=False)
    watch.info = info
    assert watch.camera_of_image(640, 480) is None
    assert "K[0] is 0" in watch.problem
