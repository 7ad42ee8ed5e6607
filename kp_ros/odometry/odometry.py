"""The first, simple odometry: each frame against the landmarks of those before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kp_ros.errors import UserError
from kp_ros.odometry.base import Estimate, Float64, Health, Landmarks, Mode, OdometryFrame, State
from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.robust_estimation import poselib


class FrameToLandmarks:
    """RGB-D odometry: PnP against points that were put into the world by the depth of their first frame."""

    def __init__(self, mode: Mode, options: OdometryOptions) -> None:
        if mode is not Mode.RGBD:
            raise UserError(f"odometry of mode {mode.value} is not there yet; use {Mode.RGBD.value}")
        self._options = options
        self._estimate_pose: Callable = poselib().estimate_absolute_pose  # type: ignore[type-arg]
        self.reset()

    def reset(self) -> None:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        self._pose = np.eye(4)
        self._segment = 0
        self._stamp_ns: int | None = None
        self._last_ids = np.zeros(0, np.uint32)
        self._map = Landmarks(np.zeros(0, np.uint32), np.zeros((0, 3)), np.zeros(0))

    def process(self, frame: OdometryFrame) -> Estimate:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        if frame.depth is None or frame.depth.shape != frame.image.shape:
            raise UserError("RGB-D odometry needs a depth image of the same size as the image, registered to it")
        tracks, rays = frame.tracks, frame.camera.rays(frame.tracks.keypoints).astype(np.float64)
        focal = (frame.camera.matrix[0, 0] + frame.camera.matrix[1, 1]) / 2
        _, mine, theirs = np.intersect1d(tracks.track_id, self._map.track_id, return_indices=True)
        inliers, before = np.zeros(0, np.int64), self._pose
        state, reason = State.GOOD, ""
        covariance = np.eye(6) * 1e-9
        if self._stamp_ns is not None and len(mine) >= self._options.fewest_inliers:
            height, width = frame.image.shape
            camera = {"model": "SIMPLE_PINHOLE", "width": width, "height": height, "params": [focal, 0.0, 0.0]}
            ransac = {"max_reproj_error": 3 * self._options.keypoint_pixels, "min_iterations": 50}
            found, info = self._estimate_pose(rays[mine, :2] * focal, self._map.points[theirs], camera, ransac, {})
            inliers = np.flatnonzero(info["inliers"])
            if len(inliers) >= self._options.fewest_inliers:
                rotation = found.R.T
                self._pose = np.eye(4)
                self._pose[:3, :3], self._pose[:3, 3] = rotation, -rotation @ found.t
                covariance = np.eye(6) * 1e-4
            mine, theirs = mine[inliers], theirs[inliers]
        if self._stamp_ns is not None and len(inliers) < self._options.fewest_inliers:
            state, reason = State.LOST, f"only {len(inliers)} points agree with a pose"
            covariance = np.eye(6)
            self._segment += 1
            mine, theirs = mine[:0], theirs[:0]
        column, row = np.rint(tracks.keypoints).astype(int).T
        depth = frame.depth[row.clip(0, frame.depth.shape[0] - 1), column.clip(0, frame.depth.shape[1] - 1)]
        fresh = np.isfinite(depth) & (depth > 0) & np.isfinite(rays).all(1)
        fresh[mine] = False
        points = (rays[fresh] * depth[fresh, None]) @ self._pose[:3, :3].T + self._pose[:3, 3]
        self._map = Landmarks(
            np.concatenate([self._map.track_id[theirs], tracks.track_id[fresh]]),
            np.concatenate([self._map.points[theirs], points]),
            np.concatenate([self._map.deviation[theirs], 0.003 * depth[fresh].astype(np.float64) ** 2]),
        )
        velocity: Float64 = np.zeros(6)
        if self._stamp_ns is not None:
            step = np.linalg.inv(before) @ self._pose
            turn = np.array([step[2, 1] - step[1, 2], step[0, 2] - step[2, 0], step[1, 0] - step[0, 1]]) / 2
            velocity = np.concatenate([step[:3, 3], turn]) / (frame.stamp_ns - self._stamp_ns) * 1e9
        survival = float(np.isin(self._last_ids, tracks.track_id).mean()) if len(self._last_ids) else 0.0
        self._last_ids, self._stamp_ns = tracks.track_id, frame.stamp_ns
        health = Health(len(inliers), len(inliers) / max(len(theirs), 1), survival, 0.0, 0.0, reason)
        return Estimate(
            frame.stamp_ns, state, self._segment, self._pose, covariance, velocity, covariance, True, health
        )

    def landmarks(self) -> Landmarks:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        return self._map

    def close(self) -> None:
        """See :class:`kp_ros.odometry.base.Odometry`."""
