from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from kp_ros.image_decoding import ImageError
from kp_ros.recordings import messages
from training.data.bags.decoding import decode_colour, decode_depth, register_depth

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("bgr8", COLOURS),
        ("rgb8", COLOURS[..., ::-1]),
        ("bgra8", np.dstack([COLOURS, COLOURS[..., :1]])),
        ("rgba8", np.dstack([COLOURS[..., ::-1], COLOURS[..., :1]])),
    ],
)
def test_colours_come_as_bgr(encoding: str, pixels: np.ndarray) -> None:
    decoded = decode_colour(messages.image(pixels, encoding, 0, "camera"))
    np.testing.assert_array_equal(decoded, COLOURS)


def test_bayer_and_yuv_have_their_colours() -> None:
    red = np.zeros((8, 8), np.uint8)
    red[::2, ::2] = 200
    assert decode_colour(messages.image(red, "bayer_rggb8", 0, "camera"))[3, 3].tolist() == [0, 0, 200]
    blue = np.zeros((8, 8), np.uint8)
    blue[::2, ::2] = 200
    assert decode_colour(messages.image(blue, "bayer_bggr8", 0, "camera"))[3, 3].tolist() == [200, 0, 0]
    grey = np.full((4, 8, 2), 128, np.uint8)
    assert decode_colour(messages.image(grey, "yuv422_yuy2", 0, "camera"))[1, 1].tolist() == pytest.approx(
        [130] * 3, abs=3
    )


def test_grey_stays_grey() -> None:
    grey = COLOURS[..., 0]
    np.testing.assert_array_equal(decode_colour(messages.image(grey, "mono8", 0, "camera")), grey)
    png = cv2.imencode(".png", grey)[1].tobytes()
    np.testing.assert_array_equal(decode_colour(messages.compressed_image(png, "png", 0, "camera")), grey)


def test_compressed_colour_is_bgr() -> None:
    png = cv2.imencode(".png", COLOURS)[1].tobytes()
    np.testing.assert_array_equal(decode_colour(messages.compressed_image(png, "png", 0, "camera")), COLOURS)


def test_a_message_that_contradicts_itself_is_refused() -> None:
    message = messages.image(COLOURS, "bgr8", 0, "camera")
    message.data = message.data[:-1]
    with pytest.raises(ImageError, match="do not belong together"):
        decode_colour(message)


def test_depth_in_millimetres_and_in_metres() -> None:
    millimetres = np.array([[0, 1500], [65535, 1]], np.uint16)
    found = decode_depth(messages.image(millimetres, "16UC1", 0, "camera"))
    np.testing.assert_allclose(found, [[0, 1.5], [65.535, 0.001]], rtol=1e-6)
    metres = np.array([[np.nan, 1.5], [np.inf, -1]], np.float32)
    found = decode_depth(messages.image(metres, "32FC1", 0, "camera"))
    assert found.tolist() == [[0, 1.5], [0, 0]]
    big = messages.image(millimetres.byteswap(), "16UC1", 0, "camera")
    big.is_bigendian = 1
    assert decode_depth(big)[0, 1] == pytest.approx(1.5)
    with pytest.raises(ImageError, match="depth of encoding 'bgr8'"):
        decode_depth(messages.image(COLOURS, "bgr8", 0, "camera"))


def test_compressed_depth() -> None:
    values = np.array([[0, 1500]], np.uint16)
    png = cv2.imencode(".png", values)[1].tobytes()
    header = struct.pack("<iff", 0, 0.0, 0.0)
    message = messages.compressed_image(header + png, "16UC1; compressedDepth png", 0, "camera")
    np.testing.assert_allclose(decode_depth(message), [[0, 1.5]])
    # Quantised: value = 3000 / depth + 100, so that 1600 is 2 m.
    quantised = cv2.imencode(".png", np.array([[0, 1600]], np.uint16))[1].tobytes()
    header = struct.pack("<iff", 0, 3000.0, 100.0)
    message = messages.compressed_image(header + quantised, "32FC1; compressedDepth png", 0, "camera")
    np.testing.assert_allclose(decode_depth(message), [[0, 2.0]])
    with pytest.raises(ImageError, match="no 16-bit PNG"):
        decode_depth(messages.compressed_image(b"x" * 40, "32FC1; compressedDepth rvl", 0, "camera"))


def test_depth_of_a_camera_beside() -> None:
    """A wall at 2 m and a post at 1 m, seen by a depth camera 0.1 m to the left of the image's."""
    matrix = np.array([[100.0, 0, 31.5], [0, 100.0, 23.5], [0, 0, 1]])
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 30:34] = 1.0
    pose = np.eye(4)
    pose[0, 3] = -0.1
    seen = register_depth(depth, matrix, pose, matrix, (64, 48))
    # The wall moves by 100 * 0.1 / 2 = 5 pixels to the left, the post by 10.
    assert seen[20, 20:24].tolist() == [1.0] * 4
    assert seen[20, 10] == 2.0
    assert seen[20, 40] == 2.0
    assert (seen[:, 61:] == 0).all(), "beyond the depth camera's view"
    finer = register_depth(
        depth, matrix, np.eye(4), np.array([[200.0, 0, 63.5], [0, 200.0, 47.5], [0, 0, 1]]), (128, 96)
    )
    assert (finer[2:-2, 2:-2] > 0).all(), "a finer image has no holes"
