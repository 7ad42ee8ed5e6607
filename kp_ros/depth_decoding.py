"""Depth images as ROS sends them (REP-118) -> metres, free of ROS."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.image_decoding import ImageError

#: Encoding -> NumPy's type and how many metres a step is.
DEPTH_ENCODINGS: dict[str, tuple[type[np.generic], float]] = {
    "16UC1": (np.uint16, 0.001),
    "mono16": (np.uint16, 0.001),
    "32FC1": (np.float32, 1.0),
    "64FC1": (np.float64, 1.0),
}
#: What compressed_depth_image_transport writes before the PNG: an enumeration and the two parameters of its inverse
#: depth.
COMPRESSED_HEADER = struct.Struct("<iff")


def decode_depth(encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any) -> Float32:
    """Decode sensor_msgs/Image: millimetres in ``16UC1``, metres in ``32FC1``.

    :param data: the pixels, ``height`` x ``step`` bytes: anything with the buffer protocol.
    :returns: float32 [height, width], metres along z; 0 or not finite where unknown.
    :raises ImageError: another encoding, or size, step and the buffer's length do not belong together.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(f"depth encoding '{encoding}' is unknown; publish one of {', '.join(DEPTH_ENCODINGS)}")
    kind, scale = DEPTH_ENCODINGS[encoding]
    dtype = np.dtype(kind).newbyteorder(">" if is_bigendian else "<")
    buffer = np.frombuffer(data, np.uint8)
    if height <= 0 or width <= 0 or step < width * dtype.itemsize or len(buffer) != height * step:
        raise ImageError(
            f"the depth image of {width} x {height} {encoding} has a step of {step} bytes and holds {len(buffer)}; "
            "correct width, height, step or data in the publisher"
        )
    values: NDArray[Any] = np.ndarray((height, width), dtype, buffer, 0, (step, dtype.itemsize))
    depth: Float32 = values.astype(np.float32) * np.float32(scale)
    return depth


def decode_compressed_depth(compression: str, data: Any) -> Float32:
    """Decode sensor_msgs/CompressedImage of ``compressedDepth``: a PNG behind 12 bytes of parameters.

    Millimetres are stored as they are; metres as inverse depth, ``a / (value - b)``.

    :param compression: the message's ``format``: ``16UC1; compressedDepth png``, or ``32FC1; ...``.
    :returns: float32 [height, width], metres along z; 0 or NaN where unknown.
    :raises ImageError: the data are of another kind, or damaged.
    """
    content = bytes(data)
    encoding = compression.partition(";")[0].strip()
    if encoding not in ("16UC1", "32FC1", "") or not content[COMPRESSED_HEADER.size :].startswith(b"\x89PNG"):
        raise ImageError(
            f"the compressed depth image of format '{compression}' ({len(content)} bytes) is no compressedDepth of "
            "kind png; set the publisher's format to png, or subscribe to the raw depth image"
        )
    _, a, b = COMPRESSED_HEADER.unpack_from(content)
    values = cv2.imdecode(np.frombuffer(content, np.uint8, offset=COMPRESSED_HEADER.size), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 2:
        raise ImageError("the compressed depth image is damaged; check the publisher and the link")
    if encoding != "32FC1":
        return np.asarray(values * np.float32(0.001), np.float32)
    with np.errstate(divide="ignore"):
        depth = np.float32(a) / (values.astype(np.float32) - np.float32(b))
    depth[values == 0] = np.nan
    return np.asarray(depth, np.float32)


def register_depth(
    depth: Float32, depth_matrix: NDArray[np.float64], camera: Camera, to_camera: NDArray[np.float64] | None = None
) -> Float32:
    """Depth of a second camera in the pixels of the first.

    :param depth: float32 [h, w], metres.
    :param depth_matrix: float64 [3, 3], K of the depth camera; without distortion.
    :param camera: of the images; its distortion is not applied.
    :param to_camera: float64 [4, 4], depth camera to ``camera``, metres; None where both stand in one place, as far as
        is known.
    :returns: float32 [H, W] of the camera, metres, 0 where unknown.
    """
    size = (camera.width, camera.height)
    if to_camera is None:
        # Nearest: the mean of two depths at an edge is on neither surface.
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        homography = depth_matrix @ np.linalg.inv(camera.matrix)
        return np.asarray(cv2.warpPerspective(depth, homography, size, flags=flags), np.float32)
    rows, columns = np.nonzero(np.isfinite(depth) & (depth > 0))
    pixels = np.stack([columns, rows, np.ones(len(rows))])
    seen = np.linalg.inv(depth_matrix) @ (pixels * depth[rows, columns])
    points = to_camera[:3, :3] @ seen + to_camera[:3, 3:]
    before = points[2] > 1e-3
    projected = camera.matrix @ points[:, before]
    places = np.rint(projected[:2] / projected[2]).astype(np.int64)
    inside = ((places >= 0) & (places < np.array(size)[:, None])).all(0)
    registered = np.full(size[::-1], np.inf, np.float32)
    # Where two surfaces meet in a pixel, the nearer one is seen.
    np.minimum.at(registered, (places[1, inside], places[0, inside]), points[2, before][inside].astype(np.float32))
    # A depth camera that is coarser than the colour camera leaves pixels between its own.
    gaps = np.isinf(registered)
    registered[gaps] = cv2.erode(registered, np.ones((3, 3), np.uint8))[gaps]
    registered[np.isinf(registered)] = 0
    return registered
