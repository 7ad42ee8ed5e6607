from __future__ import annotations

import sys
from array import array
from types import ModuleType

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from kp_ros.image_decoding import ImageError
from kp_ros.ros.messages import decode, make_header, stamp_of, to_image

STAMP_NS = 1_700_000_000_123_456_789


def test_stamps_survive_the_way_into_a_header_and_back() -> None:
    message = Image(header=make_header(STAMP_NS, "camera"))
    assert stamp_of(message) == STAMP_NS
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 123_456_789)


def test_an_image_survives_the_way_into_a_message_and_back() -> None:
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    message = to_image(pixels, STAMP_NS, "camera")
    assert (message.height, message.width, message.step, message.encoding) == (4, 5, 15, "bgr8")
    np.testing.assert_array_equal(decode(message), cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))


def test_a_mono8_message_is_decoded_without_a_copy() -> None:
    message = Image(height=2, width=3, step=4, encoding="mono8", data=array("B", range(8)))
    image = decode(message)
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))


def test_compressed_messages_are_decoded() -> None:
    data = cv2.imencode(".png", np.full((4, 5), 7, np.uint8))[1].tobytes()
    np.testing.assert_array_equal(decode(CompressedImage(format="png", data=array("B", data))), np.full((4, 5), 7))


@pytest.fixture
def cv_bridge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What this package uses of cv_bridge, which is in ROS distributions only."""
    module = ModuleType("cv_bridge")
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    return module


def test_unknown_encodings_go_to_cv_bridge(cv_bridge: ModuleType) -> None:
    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
            assert (message.encoding, desired_encoding) == ("nv21", "mono8")
            return np.full((2, 2), 9, np.uint8)

    cv_bridge.CvBridge = CvBridge  # type: ignore[attr-defined]
    np.testing.assert_array_equal(decode(Image(encoding="nv21")), np.full((2, 2), 9))


def test_what_cv_bridge_does_not_know_either_is_said_so(cv_bridge: ModuleType) -> None:
    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
            raise RuntimeError("Unrecognized image encoding [nv21]")

    cv_bridge.CvBridge = CvBridge  # type: ignore[attr-defined]
    with pytest.raises(ImageError, match=r"'nv21' is unknown; publish one of .*cv_bridge does not decode it either"):
        decode(Image(encoding="nv21"))


def test_without_cv_bridge_that_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(ImageError, match=r"'nv21' is unknown; .*cv_bridge, which may know it, cannot be imported here"):
        decode(Image(encoding="nv21"))
