"""Recorded messages -> colour images to store, and depth in metres."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.image_decoding import ImageError
from kp_ros.recordings.decoding import decode
from kp_ros.recordings.messages import COMPRESSED_IMAGE
from training.data.sequence import Depth

#: Metres of one step of a 16UC1 depth image (REP 118), and of the depth images that a data set stores.
DEPTH_SCALE = 0.001
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
#: What compressed_depth_image_transport puts before the PNG: an enumeration and two floats.
COMPRESSED_DEPTH_HEADER = 12

#: OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's and the second's.
_COLOUR: dict[str, tuple[int, int | None]] = {
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
}


def decode_colour(message: Any) -> NDArray[np.uint8]:
    """An image message as uint8 [H, W, 3] BGR where it has colour, else as uint8 [H, W].

    :raises ImageError: it is damaged, or of an unknown encoding.
    """
    if message.__msgtype__ == COMPRESSED_IMAGE:
        # Grey decoding tells what is cut off; colour decoding fills it with grey and says nothing.
        grey = decode(message)
        colour = cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_UNCHANGED)
        if colour is None or colour.ndim < 3 or colour.dtype != np.uint8:
            return grey
        return np.asarray(colour[..., :3], np.uint8)
    layout = _COLOUR.get(message.encoding)
    if layout is None:
        return decode(message)
    channels, code = layout
    pixels = _pixels(message, np.dtype(np.uint8), channels)
    return np.asarray(pixels if code is None else cv2.cvtColor(pixels, code), np.uint8)


def decode_depth(message: Any) -> Depth:
    """A depth message in metres, float32 [H, W], 0 where unknown (REP 118: 16UC1 in millimetres, 32FC1 in metres).

    :raises ImageError: it is damaged, or of another encoding.
    """
    if message.__msgtype__ == COMPRESSED_IMAGE:
        depth = _decode_compressed_depth(message.format, bytes(message.data))
    elif message.encoding in ("16UC1", "mono16"):
        depth = _pixels(message, np.dtype(np.uint16), 1) * np.float32(DEPTH_SCALE)
    elif message.encoding == "32FC1":
        depth = _pixels(message, np.dtype(np.float32), 1)
    else:
        raise ImageError(f"depth of encoding '{message.encoding}' is unknown; record {', '.join(DEPTH_ENCODINGS)}")
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


def _decode_compressed_depth(kind: str, data: bytes) -> NDArray[Any]:
    values = cv2.imdecode(np.frombuffer(data[COMPRESSED_DEPTH_HEADER:], np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ImageError(f"the compressed depth image of format '{kind}' is no 16-bit PNG; record the raw depth topic")
    if not kind.startswith("32FC1"):
        return np.asarray(values * np.float32(DEPTH_SCALE))
    # Inverse depth, quantised: value = a / depth + b.
    _, a, b = struct.unpack("<iff", data[:COMPRESSED_DEPTH_HEADER])
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(values > 0, np.float32(a) / (values - np.float32(b)), 0))


def _pixels(message: Any, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    row = message.width * channels * dtype.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if message.height <= 0 or message.width <= 0 or message.step < row or len(data) != message.height * message.step:
        raise ImageError(
            f"the {message.encoding} image of {message.width} x {message.height} with a step of {message.step} holds "
            f"{len(data)} bytes, which do not belong together; mend the publisher"
        )
    order = dtype.newbyteorder(">" if message.is_bigendian else "<")
    rows = data.reshape(message.height, message.step)[:, :row]
    pixels: NDArray[Any] = np.ascontiguousarray(rows).view(order).astype(dtype)
    return pixels if channels == 1 else pixels.reshape(message.height, message.width, channels)


def register_depth(
    depth: Depth,
    depth_matrix: NDArray[np.float64],
    pose: NDArray[np.float64],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
) -> Depth:
    """Depth of another camera as the image's camera sees it; neither has distortion.

    Each depth pixel is thrown to where the image has it, the nearest stays; holes of one pixel, which a finer image
    shows between them, are closed.

    :param depth_matrix: float64 [3, 3], K of the depth camera.
    :param pose: float64 [4, 4], of the depth camera in the image's camera, metres.
    :param matrix: float64 [3, 3], K of the image's camera.
    :param size: width and height of the image.
    :returns: float32 [height, width], metres, 0 where unknown.
    """
    rows, columns = np.nonzero(depth > 0)
    rays = np.linalg.inv(depth_matrix) @ np.stack([columns, rows, np.ones(len(rows))])
    points = pose[:3, :3] @ (rays * depth[rows, columns]) + pose[:3, 3:]
    points = points[:, points[2] > 0]
    pixels = np.rint((matrix @ points)[:2] / points[2]).astype(np.int64)
    inside = ((pixels >= 0) & (pixels < np.array([size]).T)).all(0)
    (u, v), z = pixels[:, inside], points[2, inside]
    # What OpenCV takes the pixels beyond its border for when it erodes.
    nothing = np.finfo(np.float32).max
    seen = np.full((size[1], size[0]), nothing, np.float32)
    np.minimum.at(seen, (v, u), z.astype(np.float32))
    scale = max(1, round(matrix[0, 0] / depth_matrix[0, 0]))
    around = cv2.erode(seen, np.ones((2 * scale + 1, 2 * scale + 1), np.uint8))
    holes = seen == nothing
    seen[holes] = around[holes]
    seen[seen == nothing] = 0
    return seen
