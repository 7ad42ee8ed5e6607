"""The pinhole camera of a CameraInfo message, free of ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError
from kp_ros.features import Float32
from kp_ros.ray_grid import RayGrid

#: A ray whose projection is farther than this from its pixel has no inverse, pixels.
INVERSE_TOLERANCE = 0.5

#: ROS's name of a distortion model -> how many coefficients its D may hold.
DISTORTION_COEFFICIENTS = {
    "": (0, 4, 5),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}


class CalibrationError(UserError, ValueError):
    """A camera calibration that cannot be used. The message says what is wrong and what to do."""


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image as it arrives: binning and region of interest are already applied.

    :ivar width: of the image, pixels.
    :ivar height: of the image, pixels.
    :ivar matrix: float64 [3, 3], K, pixels.
    :ivar distortion: float64 [n], D in OpenCV's order; empty means none.
    :ivar model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``, as sensor_msgs/CameraInfo names them.
    :raises CalibrationError: K[0] is 0 (uncalibrated, REP-104), a value is not finite, or the model is unknown.
    """

    width: int
    height: int
    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    model: str = "plumb_bob"

    def __post_init__(self) -> None:
        counts = DISTORTION_COEFFICIENTS.get(self.model)
        if counts is None:
            known = ", ".join(sorted(name for name in DISTORTION_COEFFICIENTS if name))
            raise CalibrationError(f"distortion model '{self.model}' is unknown; publish one of: {known}")
        if len(self.distortion) not in counts:
            raise CalibrationError(
                f"distortion model '{self.model}' has {counts} coefficients, the camera gives {len(self.distortion)}"
            )
        if not (np.isfinite(self.matrix).all() and np.isfinite(self.distortion).all()):
            raise CalibrationError("the calibration holds values that are not finite; calibrate the camera again")
        if self.matrix[0, 0] <= 0 or self.matrix[1, 1] <= 0:
            raise CalibrationError("the camera is uncalibrated (K[0] is 0); calibrate it with camera_calibration")

    @property
    def focal(self) -> float:
        """Pixels in the unit plane's unit, the mean of both axes."""
        return float(self.matrix[0, 0] + self.matrix[1, 1]) / 2

    def rays(self, keypoints: Float32) -> Float32:
        """Pixels to the unit plane of the optical frame (x right, y down, z forward), undistorted.

        :param keypoints: float32 [N, 2], pixels.
        :returns: float32 [N, 3], z = 1; all three NaN where the lens model has no inverse.
        """
        rays = np.ones((len(keypoints), 3), np.float32)
        if len(keypoints) == 0:
            return rays
        if self._is_straight:
            (focal_x, skew, centre_x), (_, focal_y, centre_y) = self.matrix[:2].tolist()
            y = np.subtract(keypoints[:, 1], centre_y, dtype=np.float64) / focal_y
            rays[:, 0] = (np.subtract(keypoints[:, 0], centre_x, dtype=np.float64) - skew * y) / focal_x
            rays[:, 1] = y
            return rays
        points = np.ascontiguousarray(keypoints, np.float64)[:, None]
        if self.model == "equidistant":
            plane = cv2.fisheye.undistortPoints(points, self.matrix, self.distortion)
            # OpenCV marks points at or beyond 90 degrees with -1e6.
            rays[(np.abs(plane) > 1e5).any(axis=(1, 2))] = np.nan
        else:
            plane = _undistort(points, self.matrix, self.distortion)
            if not self._inverse_everywhere:
                rays[~self._is_inverse(plane, points)] = np.nan
        rays[:, :2] *= plane[:, 0]
        return rays

    def project(self, points: NDArray[np.float64]) -> Float32:
        """Points of the optical frame to pixels.

        :param points: float64 [N, 3], before the camera (z above 0), any unit.
        :returns: float32 [N, 2].
        """
        if len(points) == 0:
            return np.zeros((0, 2), np.float32)
        if self._is_straight:
            plane = np.ones((3, len(points)))
            np.divide(points[:, :2].T, points[:, 2], out=plane[:2])
            return np.asarray((self.matrix[:2] @ plane).T, np.float32)
        project = cv2.fisheye.projectPoints if self.model == "equidistant" else cv2.projectPoints
        points = np.ascontiguousarray(points)[:, None]
        pixels = project(points, np.zeros(3), np.zeros(3), self.matrix, self.distortion)[0]
        return np.asarray(pixels, np.float32).reshape(-1, 2)

    def quick_rays(self, keypoints: Float32) -> Float32:
        """As :meth:`rays`, from a grid that is made when it is first asked for: to a thousandth of a pixel.

        What lies outside the image, or near places that have no ray, is computed.
        """
        if self._is_straight or len(keypoints) == 0:
            return self.rays(keypoints)
        rays = np.ones((len(keypoints), 3), np.float32)
        rays[:, :2] = self._grid(keypoints)
        missing = np.flatnonzero(np.isnan(rays[:, 0]))
        if len(missing):
            rays[missing] = self.rays(keypoints[missing])
        return rays

    @cached_property
    def _grid(self) -> RayGrid:
        return RayGrid(self.rays, self.width, self.height)

    @cached_property
    def _is_straight(self) -> bool:
        """Whether there is no distortion."""
        return self.model != "equidistant" and not self.distortion.any()

    @cached_property
    def _inverse_everywhere(self) -> bool:
        """Whether every pixel of the image has a ray, by a grid over it; checking each keypoint costs twice its ray."""
        x, y = np.meshgrid(np.linspace(0, self.width - 1, 33), np.linspace(0, self.height - 1, 33))
        pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        return bool(self._is_inverse(_undistort(pixels, self.matrix, self.distortion), pixels).all())

    def _is_inverse(self, plane: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points of the unit plane project to their pixels: bool [N] of two float64 [N, 1, 2]."""
        projected = self.project(cv2.convertPointsToHomogeneous(plane)[:, 0])
        # A solution that ran away gives NaN, which compares false.
        close: NDArray[np.bool_] = np.abs(projected - pixels[:, 0]).max(axis=1) <= INVERSE_TOLERANCE
        return close

    def resized(self, width: int, height: int) -> Camera:
        """Give the camera of the same image, resized.

        :raises CalibrationError: the new size has another aspect ratio, so the image is not a resized one.
        """
        if (width, height) == (self.width, self.height):
            return self
        scale_x, scale_y = width / self.width, height / self.height
        # One pixel of rounding is allowed on either side.
        if abs(scale_x / scale_y - 1) > 1 / min(width, height):
            raise CalibrationError(
                f"the image is {width} x {height}, but its camera_info describes {self.width} x {self.height}, "
                "another aspect ratio; publish the CameraInfo that belongs to the image"
            )
        matrix = _moved(self.matrix, (scale_x, scale_y), (0.0, 0.0))
        return Camera(width, height, matrix, self.distortion, self.model)


def camera_from_info(
    *,
    width: int,
    height: int,
    distortion_model: str,
    d: Sequence[float],
    k: Sequence[float],
    p: Sequence[float] = (),
    binning: tuple[int, int] = (0, 0),
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
    rectified: bool = False,
) -> Camera:
    """Build the camera of an image from the values of its sensor_msgs/CameraInfo.

    :param width: of the full-resolution sensor image, pixels.
    :param height: likewise.
    :param distortion_model: as sensor_msgs names it; empty means ``plumb_bob``.
    :param d: distortion coefficients.
    :param k: K, 9 values row by row.
    :param p: P, 12 values row by row; needed for rectified images only.
    :param binning: ``binning_x``, ``binning_y``: pixels that were joined into one; 0 means 1.
    :param roi: ``x_offset``, ``y_offset``, ``width``, ``height`` in unbinned pixels; width and height 0 mean all.
    :param rectified: the image is rectified (``image_rect``): P describes it, and it has no distortion.
    :raises CalibrationError: ``K[0]`` is 0, which is how drivers say "uncalibrated" (REP-104), or the values make no
        camera. K is tested even for rectified images.
    """
    matrix = np.array(k, np.float64).reshape(3, 3)
    if matrix[0, 0] == 0:
        raise CalibrationError(
            "the camera is uncalibrated (K[0] is 0); calibrate it, for example with camera_calibration, and let its "
            "driver load the result"
        )
    if width <= 0 or height <= 0:
        raise CalibrationError(f"the camera_info describes an image of {width} x {height}; set its width and height")
    distortion = np.array(d, np.float64)
    model = distortion_model or "plumb_bob"
    if rectified:
        matrix, distortion, model = np.array(p, np.float64).reshape(3, 4)[:, :3], np.zeros(0), "plumb_bob"
    elif model != "equidistant" and not distortion.any():
        distortion, model = np.zeros(0), "plumb_bob"
    left, top, roi_width, roi_height = roi
    if roi_width == 0 or roi_height == 0:
        roi_width, roi_height = width, height
    joined = max(binning[0], 1), max(binning[1], 1)
    matrix = _moved(matrix, (1 / joined[0], 1 / joined[1]), (left, top))
    return Camera(roi_width // joined[0], roi_height // joined[1], matrix, distortion, model)


def _moved(matrix: NDArray[np.float64], scale: tuple[float, float], offset: tuple[float, float]) -> NDArray[np.float64]:
    """Crop by an offset, then resize: intrinsics of the new image.

    Pixel centres are at integers, so it is the pixel's corner at -0.5 that keeps its place in a resize.
    """
    moved: NDArray[np.float64] = matrix.copy()
    for axis in range(2):
        moved[axis] *= scale[axis]
        moved[axis, 2] = (matrix[axis, 2] - offset[axis] + 0.5) * scale[axis] - 0.5
    return moved


def _undistort(
    points: NDArray[np.float64], matrix: NDArray[np.float64], distortion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Float64 [N, 1, 2] pixels to the unit plane, to a ten-thousandth of a pixel: no keypoint is known better."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-4)
    # OpenCV 4's undistortPoints stops after five steps, too early for wide lenses; OpenCV 5 has one function for both.
    iterate = getattr(cv2, "undistortPointsIter", None)
    plane: NDArray[np.float64]
    if iterate is not None:
        plane = iterate(points, matrix, distortion, np.eye(3), np.eye(3), criteria)
    else:
        plane = cv2.undistortPoints(points, matrix, distortion, R=np.eye(3), P=np.eye(3), criteria=criteria)
    return plane
