"""How long tracks live, and how long they stay on the point of the world where they began."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.simulation.rendering import Matrix

#: Pixels that a track may be away from where its point truly is.
TOLERANCE = 3.0
#: Depth at an edge is the nearer or the farther of this many pixels around.
EDGE = np.ones((3, 3), np.uint8)


@dataclass
class _Track:
    """One track: where it began, and how it went on.

    :ivar pose: camera to world, of its first frame.
    :ivar ray: float64 [3], of its first keypoint, z = 1.
    :ivar nearness: float64 [2], 1 / metres: the nearer and the farther surface that it may lie on.
    """

    pose: Matrix
    ray: NDArray[np.float64]
    nearness: NDArray[np.float64]
    length: int = 1
    verified: int = 1
    lost: bool = False


@dataclass(frozen=True)
class TrackLengths:
    """Frames, of every track of two frames or more.

    :ivar lengths: int64 [T], from its first frame to its last.
    :ivar verified: int64 [T], until it was first more than :data:`TOLERANCE` from where its point truly is.
    """

    lengths: NDArray[np.int64]
    verified: NDArray[np.int64]


class TrackJudge:
    """Follows tracks frame by frame and compares them with exact depth and pose.

    A point's true place in a later frame is its first keypoint, back-projected with the depth there and projected with
    the true motion. The sky's points are infinitely far.

    :param camera: that took all frames.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._tracks: dict[int, _Track] = {}

    def update(
        self, track_id: NDArray[np.uint32], keypoints: Float32, depth: NDArray[np.float32], pose: Matrix
    ) -> None:
        """Take in one frame's tracks.

        :param track_id: uint32 [N].
        :param keypoints: float32 [N, 2], pixels.
        :param depth: float32 [H, W], metres, infinite in the sky.
        :param pose: float64 [4, 4], camera to world.
        """
        ids = track_id.tolist()
        known = [index for index, one in enumerate(ids) if one in self._tracks]
        if known:
            self._continue([self._tracks[ids[index]] for index in known], keypoints[known], pose)
        new = [index for index, one in enumerate(ids) if one not in self._tracks]
        if new:
            self._begin([ids[index] for index in new], keypoints[new], depth, pose)

    def _begin(self, ids: list[int], keypoints: Float32, depth: NDArray[np.float32], pose: Matrix) -> None:
        height, width = depth.shape
        columns, rows = np.clip(np.rint(keypoints).astype(int), 0, (width - 1, height - 1)).T
        nearness = np.stack([1 / cv2.erode(depth, EDGE)[rows, columns], 1 / cv2.dilate(depth, EDGE)[rows, columns]], 1)
        rays = self._camera.rays(keypoints).astype(np.float64)
        for one, ray, near in zip(ids, rays, nearness.astype(np.float64), strict=True):
            self._tracks[one] = _Track(pose, ray, near)

    def _continue(self, tracks: list[_Track], keypoints: Float32, pose: Matrix) -> None:
        to_world = np.array([track.pose for track in tracks])
        to_camera = np.linalg.inv(pose)
        rays = np.array([track.ray for track in tracks])
        # Divided by depth, a point at infinity is a direction like any other.
        turned = np.einsum("ij,njk,nk->ni", to_camera[:3, :3], to_world[:, :3, :3], rays)
        moved = to_world[:, :3, 3] @ to_camera[:3, :3].T + to_camera[:3, 3]
        nearness = np.array([track.nearness for track in tracks])
        points = turned[:, None] + moved[:, None] * nearness[..., None]
        before = points[..., 2] > 1e-6
        projected = points @ self._camera.matrix.T
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.linalg.norm(projected[..., :2] / projected[..., 2:] - keypoints[:, None], axis=2)
        right = (before & (away < TOLERANCE)).any(1)
        for track, is_right in zip(tracks, right.tolist(), strict=True):
            track.length += 1
            track.lost = track.lost or not is_right
            track.verified += not track.lost

    def lengths(self) -> TrackLengths:
        """Of all tracks seen so far."""
        tracks = [track for track in self._tracks.values() if track.length >= 2]
        return TrackLengths(
            np.array([track.length for track in tracks], np.int64),
            np.array([track.verified for track in tracks], np.int64),
        )
