"""What can be set on odometry, and what each number means."""

from __future__ import annotations

from dataclasses import dataclass, fields

#: Options that may be 0.
_MAY_BE_ZERO = {"depth_constant", "surface_points", "window_landmarks"}


@dataclass(frozen=True)
class OdometryOptions:
    """Options of :func:`kp_ros.odometry.make_odometry`. One set of defaults serves all cameras tried.

    :ivar keypoint_pixels: standard deviation of a track's place in an image, pixels.
    :ivar disparity_pixels: standard deviation of a disparity of a window with strong texture, pixels.
    :ivar farthest_disparity: largest disparity that is searched, as a share of the image's width, 0 to 1.
    :ivar depth_constant: standard deviation of a measured depth z is ``depth_constant + depth_quadratic z^2``, metres.
    :ivar depth_quadratic: the same, 1 / metres.
    :ivar surface_points: RGB-D: surfaces of a keyframe that the next images' depths are laid on at most; 0 leaves them
        out.
    :ivar fewest_inliers: with fewer points than this that agree, no pose can be told.
    :ivar lost_inlier_ratio: with a smaller share of points that agree, no pose can be told, 0 to 1.
    :ivar good_inliers: points that a good pose needs.
    :ivar good_inlier_ratio: share of the points with a landmark that must agree with a good pose, 0 to 1.
    :ivar good_survival: share of the last image's tracks that must still be there, 0 to 1.
    :ivar good_coverage: share of the cells of an 8 x 6 grid over the image that must hold such a point, 0 to 1.
    :ivar good_shift: largest standard deviation of a good pose's position, as a share of the scene's depth.
    :ivar good_turn: and of its direction, radians.
    :ivar start_points: points with a certain depth that a segment begins with.
    :ivar start_parallax: mono: median angle between the rays of the two images that a segment begins with, radians.
    :ivar start_certainty: mono: median inverse depth of the points that it begins with, in standard deviations.
    :ivar start_direction: mono: largest standard deviation of the direction of the motion between them, radians.
    :ivar certain: an inverse depth of so many standard deviations makes a point certain.
    :ivar keyframe_gap: a keyframe comes at least so many frames after the last one.
    :ivar keyframe_survival: where a smaller share of its landmarks is left, a new one is made, 0 to 1.
    :ivar keyframe_parallax: and where the rays to its landmarks have turned by more than this, radians.
    :ivar window_keyframes: mono: keyframes that are adjusted together, 3 or more.
    :ivar window_landmarks: mono: landmarks that are adjusted with them at most; 0 leaves the window out.
    :ivar window_delay: mono: frames after its keyframe at which the window's result is taken up, 1 to ``keyframe_gap``.
    """

    keypoint_pixels: float = 0.5
    disparity_pixels: float = 0.4
    farthest_disparity: float = 0.16
    depth_constant: float = 0.001
    depth_quadratic: float = 0.002
    surface_points: int = 600
    fewest_inliers: int = 10
    lost_inlier_ratio: float = 0.2
    good_inliers: int = 30
    good_inlier_ratio: float = 0.5
    good_survival: float = 0.35
    good_coverage: float = 0.15
    good_shift: float = 0.01
    good_turn: float = 0.01
    start_points: int = 40
    start_parallax: float = 0.008
    start_certainty: float = 8.0
    start_direction: float = 0.05
    certain: float = 3.0
    keyframe_gap: int = 3
    keyframe_survival: float = 0.7
    keyframe_parallax: float = 0.03
    window_keyframes: int = 7
    window_landmarks: int = 150
    window_delay: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 or (value == 0 and field.name in _MAY_BE_ZERO)):
                raise ValueError(f"odometry option {field.name} is {value}; give more than 0")
            if field.name.endswith(("ratio", "coverage", "survival", "disparity")) and value > 1:
                raise ValueError(f"odometry option {field.name} is {value}; give 0 to 1")
        if self.window_keyframes < 3:
            raise ValueError(f"odometry option window_keyframes is {self.window_keyframes}; give 3 or more")
        if self.window_delay > self.keyframe_gap:
            raise ValueError(
                "odometry option window_delay is above keyframe_gap; a window would begin before the last ended"
            )
