"""Surfaces of the last keyframe's depth image, and how they pull at the pose of the next images.

Points with texture are few where a depth image knows hundreds of thousands; and what a tracked point loses to blur, to
the lens and to the rolling shutter a surface does not. Each image's depth is laid on the keyframe's: of small planes
spread over the keyframe's image, the distances to what is measured there now tell the motion across them (Chen and
Medioni, Object modelling by registration of multiple range images, 1992), and the association is by projection (Blais
and Levine, Registering multiview range data, 1995).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.odometry.base import Float64
from kp_ros.odometry.lens import Lens
from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.pose import Prior, robust_weights
from kp_ros.odometry.rgbd_depth import AROUND, fit_planes
from kp_ros.odometry.rigid_motion import carried_on, step_between

#: How far out the nine places are that a plane is fitted to, pixels: of the keyframe, whose slope counts, and now.
_WIDE, _NARROW = 4, 2
#: A plane's depth is the mean of so many.
_AVERAGED = len(AROUND)
#: With fewer surfaces than this nothing is said.
_FEWEST = 60
#: Nearer than this to the camera's plane nothing is projected, metres.
_NEAREST = 0.05
#: An image and its depth are not of the same moment: standard deviation of the time between them, seconds.
_APART = 0.02


@dataclass(frozen=True)
class Surfaces:
    """Small planes of a keyframe; the N of them are the last axis.

    :ivar points: float64 [3, N], their middles, world, metres.
    :ivar normals: float64 [3, N], unit vectors, world.
    :ivar variance: float64 [N], of the place of one of their pixels across them, square metres.
    :ivar pose: float64 [4, 4], of the keyframe, camera to world.
    :ivar velocity: float64 [6], then, metres and radians a second, camera's axes; None where it is not known yet, and
        taken for that of the next image.
    """

    points: Float64
    normals: Float64
    variance: Float64
    pose: Float64
    velocity: Float64 | None

    def __len__(self) -> int:
        return len(self.variance)

    @staticmethod
    def of(depth: Float32, lens: Lens, pose: Float64, velocity: Float64 | None, options: OdometryOptions) -> Surfaces:
        """Take a keyframe's.

        :param depth: float32 [H, W], metres along z, not finite or 0 where unknown.
        :param pose: float64 [4, 4], camera to world.
        :param velocity: as :attr:`velocity`.
        :param options: how many at most, and the depth's noise.
        """
        places = _spread(depth, options.surface_points)
        planes = fit_planes(depth, places, _WIDE, options.depth_constant, options.depth_quadratic)
        rays, scales = lens(places)
        use = np.isfinite(planes.inverse) & np.isfinite(rays).all(1)
        rays, inverse = rays[use], planes.inverse[use]
        # The points p of a plane have normal @ p = 1, and inverse depth normal @ ray.
        slope = np.einsum("nij,ni->nj", scales[use], planes.slope[use])
        normals = np.column_stack([slope, inverse - (slope * rays[:, :2]).sum(1)])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        points = rays / inverse[:, None]
        variance = _across(rays.T, normals.T, inverse, planes.deviation[use])
        turn = pose[:3, :3]
        return Surfaces(turn @ points.T + pose[:3, 3:], turn @ normals.T, variance, pose, velocity)

    def moving(self, velocity: Float64) -> Surfaces:
        """The same, moving so where it was not known."""
        return self if self.velocity is not None else replace(self, velocity=velocity)

    def pull(
        self,
        depth: Float32,
        camera: Camera,
        pose: Float64,
        velocity: Float64,
        options: OdometryOptions,
        noise: float,
    ) -> Prior:
        """What an image's depth tells of its pose.

        :param depth: as for :meth:`of`.
        :param pose: float64 [4, 4], camera to world: nearly the image's.
        :param velocity: float64 [6], then, metres and radians a second, camera's axes.
        :param noise: factor on the deviation of depths that the options tell.
        :returns: at this pose; without information where too few surfaces are seen.
        """
        turn = pose[:3, :3].T
        expected = turn @ (self.points - pose[:3, 3:])
        ahead = np.flatnonzero(expected[2] > _NEAREST)
        expected = expected[:, ahead]
        planes = fit_planes(depth, camera.project(expected.T), _NARROW, options.depth_constant, options.depth_quadratic)
        use = np.flatnonzero(np.isfinite(planes.inverse))
        if len(use) < _FEWEST:
            return Prior(pose, np.zeros((6, 6)))
        expected, inverse = expected[:, use], planes.inverse[use]
        normals = turn @ self.normals[:, ahead[use]]
        rays = expected / expected[2]
        measured = rays / inverse
        variance = self.variance[ahead[use]] + _across(rays, normals, inverse, planes.deviation[use])
        variance *= noise**2
        departure = np.einsum("cn,cn->n", normals, measured - expected)
        by_pose = np.concatenate([normals, np.cross(measured, normals, axis=0)])
        # Noise averages out, but what a sensor bends does not: the kernel is that of one pixel.
        weighted = by_pose * (robust_weights(departure**2 / variance) * _AVERAGED / variance)
        information, vector = weighted @ by_pose.T, -weighted @ departure
        # Where the camera moved on as it did, both depths are away from their images by the same. What is left is as
        # uncertain as the time between them: the information falls by a rank (Sherman and Morrison, 1950).
        before = velocity if self.velocity is None else self.velocity
        changed = velocity - carried_on(step_between(self.pose, pose)) @ before
        along = information @ changed
        share = _APART**2 / (1 + _APART**2 * (changed @ along))
        return Prior(pose, information - share * np.outer(along, along), vector - share * (changed @ vector) * along)


def _spread(depth: Float32, count: int) -> Float32:
    """Places of a depth image that have a depth, all over it: float32 [N, 2], N at most ``count``."""
    height, width = depth.shape
    # A grid of eight times as many, for much of an image may have none.
    step = max(1, int((height * width / (8 * count)) ** 0.5))
    known = depth[step // 2 :: step, step // 2 :: step]
    row, column = np.nonzero((known > 0) & (known < np.inf))
    chosen = np.linspace(0, len(row) - 1, min(count, len(row))).astype(np.int64)
    return np.stack([column[chosen], row[chosen]], axis=1).astype(np.float32) * step + step // 2


def _across(rays: Float64, normals: Float64, inverse: Float64, deviation: Float64) -> Float64:
    """Variance of a pixel's place across its plane, float64 [N], square metres, by that of its inverse depth."""
    along_z = deviation / inverse**2
    return np.asarray((np.einsum("cn,cn->n", rays, normals) * along_z) ** 2)
