"""What tells depth in each mode."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kp_ros.errors import UserError
from kp_ros.odometry.base import Float64, Mode, OdometryFrame
from kp_ros.odometry.observations import Depths
from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.rgbd_depth import look_up
from kp_ros.odometry.stereo_matching import match_right

#: A disparity below it, pixels, is written as it: what is measured of points at infinity may come out negative.
_LEAST_DISPARITY = 0.02
#: A point that the right image did not show when it was new is looked for again every so many frames.
_PATIENCE = 5


class DepthSource(Protocol):
    """Measures the depths of tracked points."""

    def __call__(self, frame: OdometryFrame, expected: Float64) -> Depths:
        """Measure.

        :param frame: the image, its tracks and what else the mode needs.
        :param expected: float64 [N], the tracks' inverse depths, 1 / metres, as far as they are known; else NaN.
        :raises UserError: what the mode needs is missing or does not fit.
        """
        ...


class NoDepth:
    """Mono: nothing is measured."""

    def __call__(self, frame: OdometryFrame, expected: Float64) -> Depths:
        """See :class:`DepthSource`."""
        return Depths.unknown(len(frame.tracks))


class RegisteredDepth:
    """RGB-D: the depth image is looked up."""

    def __init__(self, options: OdometryOptions) -> None:
        self._options = options

    def __call__(self, frame: OdometryFrame, expected: Float64) -> Depths:
        """See :class:`DepthSource`."""
        options, depth = self._options, frame.depth
        if depth is None:
            raise UserError("RGB-D odometry needs a depth image with each image; give one, or choose the mode mono")
        if depth.shape != frame.image.shape:
            raise UserError(
                f"the depth image is {_size(depth.shape)}, its image {_size(frame.image.shape)}; register the depth "
                "image to the camera's (the driver's or depth_image_proc's registered depth)"
            )
        return look_up(
            depth, frame.tracks.keypoints, options.depth_constant, options.depth_quadratic, options.keypoint_pixels
        )


class RightImage:
    """Rectified stereo: points are found in the right image."""

    def __init__(self, options: OdometryOptions) -> None:
        self._options = options
        self._frames = 0

    def __call__(self, frame: OdometryFrame, expected: Float64) -> Depths:
        """See :class:`DepthSource`."""
        options, right, baseline = self._options, frame.right, frame.baseline
        if right is None or baseline is None:
            raise UserError("stereo odometry needs a right image and the baseline with each image; or choose mode mono")
        if right.shape != frame.image.shape:
            raise UserError(
                f"the right image is {_size(right.shape)}, the left {_size(frame.image.shape)}; rectify both alike"
            )
        if not (np.isfinite(baseline) and baseline > 0):
            raise UserError(f"the baseline is {baseline} metres; it is the distance from left to right camera, above 0")
        if frame.camera.model == "equidistant" or frame.camera.distortion.any():
            raise UserError(
                "stereo odometry needs rectified images, but the camera has distortion; rectify both images"
            )
        self._frames += 1
        tracks, unit = frame.tracks, frame.camera.matrix[0, 0] * baseline
        known = np.isfinite(expected)
        turn = (tracks.track_id + np.uint32(self._frames)) % _PATIENCE == 0
        asked = np.flatnonzero(known | (tracks.age <= 1) | turn)
        found = match_right(
            frame.image,
            right,
            tracks.keypoints[asked],
            expected[asked] * unit,
            options.farthest_disparity * frame.camera.width,
            options.disparity_pixels,
        )
        depths = Depths.unknown(len(tracks))
        depths.inverse[asked] = np.maximum(found.value, _LEAST_DISPARITY) / unit
        depths.deviation[asked] = found.deviation / unit
        return depths


def depth_source(mode: Mode, options: OdometryOptions) -> DepthSource:
    """Choose what tells depth."""
    if mode is Mode.STEREO:
        return RightImage(options)
    return RegisteredDepth(options) if mode is Mode.RGBD else NoDepth()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
