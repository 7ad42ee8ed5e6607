"""Where the points of one frame are in another, by depth and true poses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32
from training.data.sequence import Depth, Sequence

#: Depths at and beyond this are not trusted, metres.
FARTHEST = 100.0
#: A point nearer than this to the other camera has no projection worth judging, metres.
NEAREST = 0.05
#: A point is seen where its depth lies within this share of the depth that the other frame measured.
DEPTH_TOLERANCE = 0.1
#: Frames whose depth is kept in memory.
KEPT_FRAMES = 40


@dataclass(frozen=True)
class WorldPoints:
    """Keypoints lifted off their image: each twice, since a corner often sits on an occluding edge.

    :ivar points: float64 [2, N, 3], world, metres: by the nearest and by the farthest depth of the 3 x 3 neighbourhood.
    :ivar valid: bool [2, N], whether that depth is known.
    """

    points: NDArray[np.float64]
    valid: NDArray[np.bool_]

    def __getitem__(self, index: Any) -> WorldPoints:
        return WorldPoints(self.points[:, index], self.valid[:, index])


class DepthReprojection:
    """Projects keypoints between the frames of a sequence that has registered depth, poses and cameras.

    :raises ValueError: the sequence lacks one of them.
    """

    def __init__(self, sequence: Sequence) -> None:
        if sequence.load_depth is None or sequence.poses is None or sequence.cameras is None:
            raise ValueError(f"{sequence.name} lacks depth, poses or cameras")
        self._cameras, self._poses = sequence.cameras, sequence.poses
        self._inverse_poses = np.linalg.inv(sequence.poses)
        self._bounds = lru_cache(KEPT_FRAMES)(lambda index: depth_bounds(sequence.depth(index)))

    def lift(self, index: int, keypoints: Float32) -> WorldPoints:
        """Keypoints [N, 2] of frame ``index`` in the world."""
        near_far = self._bounds(index)
        height, width = near_far[0].shape
        columns, rows = _nearest_pixels(keypoints, width, height)
        rays = self._cameras[index].rays(keypoints).astype(np.float64)
        rotation, position = self._poses[index][:3, :3], self._poses[index][:3, 3]
        points, valid = [], []
        for depth in near_far:
            along = depth[rows, columns].astype(np.float64)
            known = (along > 0) & (along < FARTHEST) & np.isfinite(rays).all(1)
            points.append((rays * np.where(known, along, 0)[:, None]) @ rotation.T + position)
            valid.append(known)
        return WorldPoints(np.array(points), np.array(valid))

    def project(self, points: WorldPoints, index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """World points in frame ``index``.

        :returns: pixels, float64 [2, N, 2], and whether the point is inside the image, in front of the camera and not
            hidden, bool [2, N]. Where the frame's depth is unknown, nothing hides.
        """
        near, far = self._bounds(index)
        height, width = near.shape
        pose = self._inverse_poses[index]
        pixels, seen = [], []
        for world, valid in zip(points.points, points.valid, strict=True):
            local = world @ pose[:3, :3].T + pose[:3, 3]
            visible = valid & (local[:, 2] > NEAREST)
            local[:, 2] = np.maximum(local[:, 2], 1e-3)
            projected = project(self._cameras[index], local)
            visible &= (projected >= 0).all(1) & (projected < (width, height)).all(1)
            columns, rows = _nearest_pixels(np.where(visible[:, None], projected, 0), width, height)
            low, high = near[rows, columns], far[rows, columns]
            between = (low * (1 - DEPTH_TOLERANCE) < local[:, 2]) & (local[:, 2] < high * (1 + DEPTH_TOLERANCE))
            pixels.append(projected)
            seen.append(visible & ((high <= 0) | between))
        return np.array(pixels), np.array(seen)


def depth_bounds(depth: Depth | None) -> tuple[Depth, Depth]:
    """The nearest and the farthest known depth of every pixel's 3 x 3 neighbourhood, float32 [H, W].

    The nearest is 1000 m, out of range, and the farthest 0 where none is known.
    """
    if depth is None:
        raise ValueError("the frame has no depth")
    kernel = np.ones((3, 3), np.uint8)
    near = cv2.erode(np.where(depth > 0, depth, np.float32(1000)).astype(np.float32), kernel)
    return np.asarray(near, np.float32), np.asarray(cv2.dilate(depth, kernel), np.float32)


def project(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, 3] in front of a camera -> pixels, float64 [N, 2], with distortion."""
    if len(points) == 0:
        return np.zeros((0, 2))
    still = np.zeros(3)
    if camera.model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], still, still, camera.matrix, camera.distortion)
    else:
        pixels, _ = cv2.projectPoints(np.ascontiguousarray(points), still, still, camera.matrix, camera.distortion)
    return np.asarray(pixels, np.float64).reshape(-1, 2)


def _nearest_pixels(points: NDArray[Any], width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rounded = np.round(points).astype(np.intp)
    return rounded[:, 0].clip(0, width - 1), rounded[:, 1].clip(0, height - 1)
