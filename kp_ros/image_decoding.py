"""Camera images as ROS sends them -> uint8 grey images for the detector, free of ROS.

A raw image arrives as sensor_msgs/Image describes it: an encoding's name, a size, the bytes from row to row (``step``)
and a buffer. ``mono8`` becomes a view of that buffer, everything else is one pass of OpenCV over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError

Grey = NDArray[np.uint8]


class ImageError(UserError):
    """An image that cannot be decoded. The message names the cause and the fix."""


class UnknownEncodingError(ImageError):
    """An encoding that is not among :func:`encodings`; cv_bridge may know it."""


@dataclass(frozen=True)
class Layout:
    """How an encoding stores a pixel.

    :ivar channels: values a pixel.
    :ivar dtype: of one value.
    :ivar conversion: OpenCV's code for ``cvtColor`` to grey; None where the image is grey already.
    """

    channels: int
    dtype: type[np.uint8] | type[np.uint16] = np.uint8
    conversion: int | None = None


def _layouts() -> dict[str, Layout]:
    layouts = {
        "mono8": Layout(1),
        "8UC1": Layout(1),
        "mono16": Layout(1, np.uint16),
        "16UC1": Layout(1, np.uint16),
        "8UC3": Layout(3, np.uint8, cv2.COLOR_BGR2GRAY),
        "8UC4": Layout(4, np.uint8, cv2.COLOR_BGRA2GRAY),
    }
    # OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's and the second's.
    bayer = {
        "rggb": cv2.COLOR_BayerBG2GRAY,
        "bggr": cv2.COLOR_BayerRG2GRAY,
        "gbrg": cv2.COLOR_BayerGR2GRAY,
        "grbg": cv2.COLOR_BayerGB2GRAY,
    }
    colour = {
        "rgb": (3, cv2.COLOR_RGB2GRAY),
        "bgr": (3, cv2.COLOR_BGR2GRAY),
        "rgba": (4, cv2.COLOR_RGBA2GRAY),
        "bgra": (4, cv2.COLOR_BGRA2GRAY),
    }
    depths: list[tuple[str, type[np.uint8] | type[np.uint16]]] = [("8", np.uint8), ("16", np.uint16)]
    for bits, dtype in depths:
        layouts |= {f"bayer_{name}{bits}": Layout(1, dtype, code) for name, code in bayer.items()}
        layouts |= {f"{name}{bits}": Layout(channels, dtype, code) for name, (channels, code) in colour.items()}
    # The names that sensor_msgs had before and after Iron.
    layouts |= dict.fromkeys(("yuv422", "uyvy"), Layout(2, np.uint8, cv2.COLOR_YUV2GRAY_UYVY))
    layouts |= dict.fromkeys(("yuv422_yuy2", "yuyv"), Layout(2, np.uint8, cv2.COLOR_YUV2GRAY_YUY2))
    return layouts


_LAYOUTS = _layouts()


def encodings() -> tuple[str, ...]:
    """Name the encodings that :func:`decode_image` knows, as sensor_msgs/Image spells them."""
    return tuple(_LAYOUTS)


def decode_image(encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any) -> Grey:
    """Decode a raw image to grey.

    ``mono8`` and ``8UC1`` give a view of ``data`` with its row stride. 16-bit images are stretched to 8 bits as
    :func:`stretch_to_uint8` does.

    :param data: the pixels, ``height`` x ``step`` bytes: anything with the buffer protocol.
    :returns: uint8 [height, width].
    :raises UnknownEncodingError: the encoding is not among :func:`encodings`.
    :raises ImageError: size, step and the buffer's length do not belong together.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise UnknownEncodingError(
            f"image encoding '{encoding}' is unknown; publish one of {', '.join(encodings())}, "
            "or convert the topic with image_proc"
        )
    buffer = np.frombuffer(data, np.uint8)
    dtype = np.dtype(layout.dtype)
    row_bytes = width * layout.channels * dtype.itemsize
    _check_geometry(encoding, height, width, step, row_bytes, len(buffer))
    if layout.channels == 2 and width % 2:
        raise ImageError(f"a {encoding} image shares its colour among pairs of pixels, but this one is {width} wide")
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, layout.channels * dtype.itemsize)
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)
    pixels: NDArray[Any] = np.ndarray(shape, dtype.newbyteorder(">" if is_bigendian else "<"), buffer, 0, strides)
    if dtype == np.uint16:
        # OpenCV takes neither swapped bytes nor rows at odd addresses.
        pixels = np.ascontiguousarray(pixels, np.uint16)
    if layout.conversion is not None:
        pixels = cv2.cvtColor(pixels, layout.conversion)
    return stretch_to_uint8(pixels) if dtype == np.uint16 else pixels


def _check_geometry(encoding: str, height: int, width: int, step: int, row_bytes: int, length: int) -> None:
    if height <= 0 or width <= 0:
        raise ImageError(f"the image is {width} x {height} pixels; check the camera driver's resolution")
    if step < row_bytes:
        raise ImageError(
            f"the image's step of {step} bytes is too small: {width} pixels of {encoding} take {row_bytes}; "
            "correct step or encoding in the publisher"
        )
    if length != height * step:
        raise ImageError(
            f"the image holds {length} bytes, but {height} rows with a step of {step} take {height * step}; "
            "correct height, step or data in the publisher"
        )


def stretch_to_uint8(image: NDArray[np.uint16]) -> Grey:
    """Map a 16-bit image to 8 bits: its 0.5 % and 99.5 % quantiles become 0 and 255, linear between.

    Cameras use 10, 12, 14 or 16 of the bits without saying so, and a thermal scene fills a few hundred of 65 536
    levels; a fixed shift would give black or flat images. Quantiles, not extremes: one hot pixel must not darken the
    rest. They come from every fourth row and column, which is enough and costs a sixteenth.

    :param image: uint16 [H, W].
    :returns: uint8 [H, W]; all 0 where the image has one level.
    """
    low, high = np.quantile(image[::4, ::4], (0.005, 0.995), method="nearest").tolist()
    if high <= low:
        low, high = int(image.min()), max(int(image.max()), int(image.min()) + 1)
    # Both of OpenCV's steps saturate.
    return np.asarray(cv2.convertScaleAbs(cv2.subtract(image, float(low)), alpha=255.0 / (high - low)), np.uint8)


def decode_compressed(compression: str, data: Any) -> Grey:
    """Decode a JPEG or PNG image straight to grey.

    The orientation in EXIF data is ignored: keypoints are in the pixels that the camera's calibration is for.

    :param compression: ``format`` of sensor_msgs/CompressedImage; only named in messages, the data say what they are.
    :param data: the file's bytes: anything with the buffer protocol.
    :returns: uint8 [height, width]; a 16-bit PNG is stretched as :func:`stretch_to_uint8` does.
    :raises ImageError: the data are cut off, damaged or of another kind.
    """
    content = bytes(data)
    if content.startswith(b"\xff\xd8"):
        kind = "JPEG"
        complete = _jpeg_is_complete(content)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "PNG"
        complete = content.rfind(b"IEND", -64) >= 0
    else:
        raise ImageError(
            f"the compressed image of format '{compression}' ({len(content)} bytes) is neither JPEG nor PNG; "
            "set the publisher's format to one of them, or subscribe to the raw image (image_transport: raw)"
        )
    if not complete:
        raise ImageError(
            f"the {kind} image ends after {len(content)} bytes without its end marker: it was cut off; "
            "check the link for lost packets, the publisher's quality setting and the free space of its buffers"
        )
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot decode the {kind} image: {error.err}; check the publisher") from error
    if image is None:
        raise ImageError(f"the {kind} image of {len(content)} bytes is damaged; check the publisher and the link")
    return stretch_to_uint8(image) if image.dtype == np.uint16 else image


def _jpeg_is_complete(content: bytes) -> bool:
    """Tell whether the last scan is followed by an end marker: OpenCV fills what is missing with grey and says nothing.

    Compressed pixels never hold the marker's bytes (0xFF is followed by 0 there), but a thumbnail in the header has an
    end marker of its own, which comes before the last scan's start.
    """
    end = content.rfind(b"\xff\xd9")
    return end == len(content) - 2 or end > content.rfind(b"\xff\xda")
