"""What can be set on odometry, and what each number means."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class OdometryOptions:
    """Options of :func:`kp_ros.odometry.make_odometry`. One set of defaults serves all cameras tried.

    :ivar keypoint_pixels: standard deviation of a track's place in an image, pixels.
    :ivar fewest_inliers: with fewer points than this that agree, no pose can be told.
    """

    keypoint_pixels: float = 0.5
    fewest_inliers: int = 12

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"odometry option {field.name} is {value}; give more than 0")
