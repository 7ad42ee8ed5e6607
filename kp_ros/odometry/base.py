"""What goes into odometry and what comes out of it.

Frames: ``camera`` is the optical frame of the (left) camera, x right, y down, z forward. ``world`` is ``camera`` as it
was in the first image of the first segment: the node turns it into REP-105's ``odom`` by the camera's mounting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32, Tracks

Float64 = NDArray[np.float64]


class Mode(str, Enum):
    """What tells depth."""

    #: Nothing: poses are up to one scale a segment.
    MONO = "mono"
    #: A second, rectified camera to the right.
    STEREO = "stereo"
    #: A depth image that is registered to the camera's.
    RGBD = "rgbd"


class State(str, Enum):
    """How far an estimate can be trusted."""

    #: No pose yet: mono waits for parallax, the others for depth.
    INITIALISING = "initialising"
    GOOD = "good"
    #: A pose, but with few or badly spread points, or one that was carried on by motion alone.
    WEAK = "weak"
    #: No pose can be told. The last one is repeated, with a covariance that says so.
    LOST = "lost"


@dataclass(frozen=True)
class OdometryFrame:
    """One image's part in odometry.

    :ivar stamp_ns: of the image, nanoseconds; later than that of the frame before.
    :ivar image: uint8 [H, W], grey; of stereo the left one.
    :ivar camera: its intrinsics.
    :ivar tracks: of :meth:`kp_ros.frontend.Frontend.process` for the same image.
    :ivar right: stereo: uint8 [H, W], grey, rectified with ``image``: a point's two places share their row.
    :ivar baseline: stereo: metres from the left to the right camera.
    :ivar depth: RGB-D: float32 [H, W], metres along z, not finite or 0 where unknown.
    :ivar angular_velocity: float64 [3], radians a second in ``camera``, mean since the frame before, where a gyroscope
        tells it.
    :ivar keypoint_covariance: float64 [N, 2, 2], of the tracks' places, pixels squared, where a model tells it; None
        takes one deviation for all, weighed by their scores.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    camera: Camera
    tracks: Tracks
    right: NDArray[np.uint8] | None = None
    baseline: float | None = None
    depth: Float32 | None = None
    angular_velocity: Float64 | None = None
    keypoint_covariance: Float64 | None = None


@dataclass(frozen=True)
class Health:
    """What the state was decided by.

    :ivar inliers: points that agree with the pose.
    :ivar inlier_ratio: their share of the points that had a landmark, 0 to 1.
    :ivar survival: share of the last frame's tracks that are still there, 0 to 1.
    :ivar coverage: share of the cells of an 8 x 6 grid over the image that hold an inlier, 0 to 1.
    :ivar parallax: median angle between the inliers' rays now and at the last keyframe, rotation taken out, radians.
    :ivar reason: why the state is not good, in words for the diagnostics; empty when it is.
    """

    inliers: int
    inlier_ratio: float
    survival: float
    coverage: float
    parallax: float
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """Where the camera was when an image was taken.

    :ivar stamp_ns: of the image, nanoseconds.
    :ivar state: how far it can be trusted.
    :ivar segment: counts from 0; a new one begins when tracking starts again after it was lost. Poses of one segment
        are consistent with each other; the first pose of a segment is the last of the one before.
    :ivar pose: float64 [4, 4], ``camera`` to ``world``; metres, with ``mono`` a unit of the segment's own.
    :ivar covariance: float64 [6, 6] of the pose since the segment's start, x y z (metres) and rotations about x y z
        (radians), both in ``world``; symmetric, positive definite.
    :ivar velocity: float64 [6], linear (metres a second) and angular (radians a second), in ``camera``.
    :ivar velocity_covariance: float64 [6, 6], of the same order.
    :ivar keyframe: the frame became one.
    :ivar health: what the state was decided by.
    """

    stamp_ns: int
    state: State
    segment: int
    pose: Float64
    covariance: Float64
    velocity: Float64
    velocity_covariance: Float64
    keyframe: bool
    health: Health


@dataclass(frozen=True)
class Landmarks:
    """Points of the map that are now tracked.

    :ivar track_id: uint32 [N].
    :ivar points: float64 [N, 3], ``world``, metres.
    :ivar deviation: float64 [N], standard deviation along the ray, metres.
    """

    track_id: NDArray[np.uint32]
    points: Float64
    deviation: Float64


class Odometry(Protocol):
    """Turns tracks into poses, image by image."""

    def process(self, frame: OdometryFrame) -> Estimate:
        """Carry the pose on to one more image.

        What it gives depends on the frames alone, never on how fast they come: live and offline agree.

        :raises kp_ros.errors.UserError: the mode's second image or depth is missing, or does not fit the first.
        """
        ...

    def landmarks(self) -> Landmarks:
        """Give the map points as of the last frame."""
        ...

    def reset(self) -> None:
        """Forget everything, the world too: the next frame begins segment 0 at the identity."""
        ...

    def close(self) -> None:
        """End the background work."""
        ...
