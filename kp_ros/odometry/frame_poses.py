"""Where the camera was in the frames that landmarks hang on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Integers, LandmarkTable, Points
from kp_ros.odometry.rigid_motion import inverse


class FramePoses:
    """Poses by number of frame. What moves a keyframe moves the frames after it, up to the next keyframe, too."""

    def __init__(self) -> None:
        self._numbers = np.zeros(0, np.int64)
        self._keyframes = np.zeros(0, np.int64)
        self._poses = np.zeros((0, 4, 4))

    def add(self, number: int, pose: Float64, keyframe: int) -> None:
        """Add a frame, later than all others.

        :param number: of the frame.
        :param pose: float64 [4, 4], camera to world.
        :param keyframe: number of the keyframe that it moves with.
        """
        self._numbers = np.append(self._numbers, number)
        self._keyframes = np.append(self._keyframes, keyframe)
        self._poses = np.concatenate([self._poses, pose[None]])

    def __getitem__(self, number: int) -> Float64:
        return np.asarray(self._poses[np.searchsorted(self._numbers, number)])

    def keep(self, numbers: Integers) -> None:
        """Forget all frames but these."""
        kept = np.isin(self._numbers, numbers)
        self._numbers, self._keyframes, self._poses = self._numbers[kept], self._keyframes[kept], self._poses[kept]

    def correct(self, keyframes: dict[int, Float64]) -> None:
        """Move keyframes to new poses, and with each the frames that hang on it."""
        for keyframe, pose in keyframes.items():
            rows = self._keyframes == keyframe
            if rows.any():
                self._poses[rows] = pose @ inverse(self[keyframe]) @ self._poses[rows]

    def points(self, landmarks: LandmarkTable) -> Points:
        """Put landmarks into the world."""
        poses = self._poses[np.searchsorted(self._numbers, landmarks.anchor)]
        direction = np.einsum("nij,nj->ni", poses[:, :3, :3], landmarks.ray)
        return Points(poses[:, :3, 3], direction, landmarks.inverse_depth, landmarks.variance)

    def last_keyframes(self, count: int) -> list[int]:
        """Numbers of the last keyframes, at most ``count``."""
        return [int(number) for number in self._numbers[self._numbers == self._keyframes][-count:]]

    def placed(self, landmarks: LandmarkTable, rows: Integers, places: Float64) -> LandmarkTable:
        """Move some landmarks to new places in the world.

        :param landmarks: all of them.
        :param rows: int64 [M], of those that move.
        :param places: float64 [M, 3], world.
        """
        poses = self._poses[np.searchsorted(self._numbers, landmarks.anchor[rows])]
        local = np.einsum("nji,nj->ni", poses[:, :3, :3], places - poses[:, :3, 3])
        before = local[:, 2] > 0
        rows, local = rows[before], local[before]
        ray, inverse_depth = landmarks.ray.copy(), landmarks.inverse_depth.copy()
        ray[rows], inverse_depth[rows] = local / local[:, 2:], 1 / local[:, 2]
        return replace(landmarks, ray=ray, inverse_depth=inverse_depth)
