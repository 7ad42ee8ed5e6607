"""The pinhole camera of a CameraInfo message, free of ROS."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

#: ROS's name of a distortion model -> how many coefficients its D may hold.
DISTORTION_COEFFICIENTS = {
    "": (0, 4, 5),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}


class CalibrationError(ValueError):
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

    def rays(self, keypoints: Float32) -> Float32:
        """Pixels to the unit plane of the optical frame (x right, y down, z forward), undistorted.

        :param keypoints: float32 [N, 2], pixels.
        :returns: float32 [N, 3], z = 1; NaN where the lens model has no inverse.
        """
        rays = np.ones((len(keypoints), 3), np.float32)
        if len(keypoints) == 0:
            return rays
        points = np.ascontiguousarray(keypoints, np.float64)[:, None]
        if self.model == "equidistant":
            plane = cv2.fisheye.undistortPoints(points, self.matrix, self.distortion)
            # OpenCV marks points at or beyond 90 degrees with -1e6.
            plane[np.abs(plane) > 1e5] = np.nan
        elif not self.distortion.any():
            focal = self.matrix[[0, 1], [0, 1]]
            plane = (points - self.matrix[:2, 2]) / focal
            plane[..., 0] -= self.matrix[0, 1] / focal[0] * plane[..., 1]
        else:
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-9)
            plane = cv2.undistortPointsIter(points, self.matrix, self.distortion, np.eye(3), np.eye(3), criteria)
        rays[:, :2] = plane[:, 0]
        return rays
