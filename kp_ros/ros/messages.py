"""Between ROS messages and the values that the ROS-free core works on."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from kp_ros.camera import Camera, camera_from_info
from kp_ros.image_decoding import Grey, ImageError, UnknownEncodingError, decode_compressed, decode_image

NANOSECONDS = 1_000_000_000


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's ``header.stamp``."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def make_header(stamp_ns: int, frame_id: str) -> Header:
    """std_msgs/Header of a stamp in nanoseconds."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def byte_array(data: NDArray[np.uint8]) -> array[int]:
    """Copy bytes into the one type that rclpy's messages take without looking at every element."""
    result = array("B")
    result.frombytes(data.data)
    return result


def to_image(pixels: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """Copy a BGR image, uint8 [H, W, 3], into its message."""
    height, width, channels = pixels.shape
    return Image(
        header=make_header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="bgr8",
        step=width * channels,
        data=byte_array(np.ascontiguousarray(pixels).reshape(-1)),
    )


def camera_of(info: CameraInfo, rectified: bool) -> Camera:
    """Build the camera of the images that a CameraInfo belongs to.

    :param rectified: the images are rectified: P describes them.
    :raises kp_ros.camera.CalibrationError: it is uncalibrated or makes no camera.
    """
    roi = info.roi
    return camera_from_info(
        width=info.width,
        height=info.height,
        distortion_model=info.distortion_model,
        d=info.d,
        k=info.k,
        p=info.p,
        binning=(info.binning_x, info.binning_y),
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        rectified=rectified,
    )


def decode(message: Image | CompressedImage) -> Grey:
    """Decode an image message to grey; encodings that this package does not know go to cv_bridge where there is one.

    :returns: uint8 [H, W]; of ``mono8`` a view of the message's data.
    :raises ImageError: the image cannot be decoded.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, message.data)
    try:
        return decode_image(
            message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), message.data
        )
    except UnknownEncodingError as error:
        return _decode_with_cv_bridge(message, error)


def _decode_with_cv_bridge(message: Image, unknown: UnknownEncodingError) -> Grey:
    try:
        from cv_bridge import CvBridge
    except Exception as error:  # a cv_bridge built for another NumPy fails with an error of any kind
        raise ImageError(f"{unknown}; cv_bridge, which may know it, cannot be imported here: {error}") from error
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, desired_encoding="mono8"), np.uint8)
    except Exception as error:  # cv_bridge raises errors of its own, OpenCV's and NumPy's
        raise ImageError(f"{unknown}; cv_bridge does not decode it either: {error}") from error
