from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.depth_decoding import decode_compressed_depth, decode_depth, register_depth
from kp_ros.image_decoding import ImageError

MILLIMETRES = np.array([[0, 500, 1000], [65535, 1, 2500]], np.uint16)


def test_millimetres() -> None:
    depth = decode_depth("16UC1", 2, 3, 6, False, MILLIMETRES.tobytes())
    np.testing.assert_allclose(depth, MILLIMETRES / 1000, rtol=1e-6)
    assert depth.dtype == np.float32


def test_big_endian_and_padded_rows() -> None:
    rows = np.pad(MILLIMETRES.astype(">u2").view(np.uint8).reshape(2, 6), ((0, 0), (0, 3)))
    np.testing.assert_allclose(decode_depth("16UC1", 2, 3, 9, True, rows.tobytes()), MILLIMETRES / 1000, rtol=1e-6)


def test_metres_keep_what_is_unknown() -> None:
    metres = np.array([[0.5, np.nan], [np.inf, 0.0]], np.float32)
    np.testing.assert_array_equal(decode_depth("32FC1", 2, 2, 8, False, metres.tobytes()), metres)


def test_an_unknown_encoding_and_a_wrong_size_are_told() -> None:
    with pytest.raises(ImageError, match="'rgb8' is unknown; publish one of 16UC1"):
        decode_depth("rgb8", 2, 3, 9, False, bytes(18))
    with pytest.raises(ImageError, match="correct width, height, step or data"):
        decode_depth("16UC1", 2, 3, 6, False, bytes(11))


def test_compressed_millimetres() -> None:
    data = struct.pack("<iff", 0, 0, 0) + cv2.imencode(".png", MILLIMETRES)[1].tobytes()
    depth = decode_compressed_depth("16UC1; compressedDepth png", data)
    np.testing.assert_allclose(depth, MILLIMETRES / 1000, rtol=1e-6)


def test_compressed_metres_are_inverse_depth() -> None:
    # As compressed_depth_image_transport has it, for depth_max 10 m and a quantisation of 100.
    metres = np.array([[1.0, 2.0], [5.0, 9.0]], np.float32)
    a = 100 * (100 + 1)
    b = 1 - a / 10.0
    stored = np.rint(a / metres + b).astype(np.uint16)
    stored[1, 1] = 0
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", stored)[1].tobytes()
    depth = decode_compressed_depth("32FC1; compressedDepth png", data)
    np.testing.assert_allclose(depth[0], metres[0], rtol=1e-3)
    assert depth[1, 0] == pytest.approx(5.0, rel=1e-2)
    assert np.isnan(depth[1, 1])


def test_compressed_of_another_kind_is_told() -> None:
    with pytest.raises(ImageError, match="no compressedDepth of kind png"):
        decode_compressed_depth("16UC1; compressedDepth rvl", bytes(40))


CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]), np.zeros(0))
DEPTH_MATRIX = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])


def test_a_depth_camera_in_the_same_place() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 32:] = 4.0
    registered = register_depth(depth, DEPTH_MATRIX, CAMERA)
    # The depth camera's field of view is smaller, but the border between the two depths stays in the middle.
    assert registered[24, 0] == 0
    assert (registered[24, 8:31] == 2.0).all()
    assert (registered[24, 33:56] == 4.0).all()


def test_a_depth_camera_beside_the_other() -> None:
    """A wall 2 m away with a board 1 m away before it, seen from 0.1 m to the left."""
    depth = np.full((48, 64), 2.0, np.float32)
    depth[20:28, 28:36] = 1.0
    to_camera = np.eye(4)
    to_camera[0, 3] = 0.1
    registered = register_depth(depth, CAMERA.matrix, CAMERA, to_camera)
    # Disparity: 50 px x 0.1 m / 1 m = 5 px for the board, 2.5 for the wall.
    np.testing.assert_array_equal(registered[24, 33:41], np.ones(8))
    assert registered[24, 45] == 2.0
    assert registered[24, 26] == 2.0


def test_two_cameras_in_one_place_agree_with_each_other() -> None:
    random = np.random.default_rng(0)
    depth = cv2.GaussianBlur(random.uniform(1, 3, (48, 64)).astype(np.float32), (0, 0), 8)
    warped = register_depth(depth, DEPTH_MATRIX, CAMERA)
    projected = register_depth(depth, DEPTH_MATRIX, CAMERA, np.eye(4))
    both = (warped > 0) & (projected > 0)
    assert both.mean() > 0.6
    assert np.abs(warped - projected)[both].max() < 0.05
