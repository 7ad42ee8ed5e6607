"""Each further image makes the landmarks' depths more certain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import LandmarkTable
from kp_ros.odometry.median import median
from kp_ros.odometry.pose import PoseFit

#: Share of an image's information that counts: errors of one pose and one template are alike in all its images.
_SHARE = 0.4
#: A landmark's deviation never falls below this share of its inverse depth.
_LEAST_RELATIVE = 1e-3
#: Inverse depths are positive: the least, as a share of the median.
_FARTHEST = 1e-3
#: Images that a landmark's history reaches back.
_MEMORY = 20


def update_depths(landmarks: LandmarkTable, fit: PoseFit) -> LandmarkTable:
    """Take in what an image tells of its landmarks' depths.

    One step of an extended Kalman filter for each inlier. The pose's uncertainty counts as noise of the observation.

    :param landmarks: N.
    :param fit: of the image's pose, from the same landmarks.
    """
    linear, variance = fit.linearised, landmarks.variance
    strength, along = linear.strength, linear.pose_along
    of_pose = ((fit.covariance @ along) * along).sum(0)
    noise = 1 + of_pose / np.maximum(strength, 1e-12)
    share = _SHARE * fit.weights / noise
    information = strength * share
    variance = 1 / (1 / variance + information)
    shift = variance * share * linear.error_along
    least = _FARTHEST * median(landmarks.inverse_depth) if len(landmarks) else 0.0
    depth = np.maximum(landmarks.inverse_depth + shift, least)
    variance = np.maximum(variance, (_LEAST_RELATIVE * depth) ** 2)
    agreed = np.minimum(landmarks.agreed + fit.inliers, _MEMORY)
    disagreed = np.where(fit.inliers, landmarks.disagreed, np.minimum(landmarks.disagreed + 1, _MEMORY))
    return replace(landmarks, inverse_depth=depth, variance=variance, agreed=agreed, disagreed=disagreed)


def trust(landmarks: LandmarkTable) -> Float64:
    """How far each landmark has been right before: float64 [N], 0 to 1; what is new has to earn it.

    Points on something that moves by itself disagree again and again, however many they become.
    """
    return np.asarray((landmarks.agreed + 1.5) / (landmarks.agreed + landmarks.disagreed + 2.5))
