"""What can be set on the tracker, and what each number means."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class TrackerOptions:
    """Options of :class:`kp_ros.tracking.tracker.HybridTracker`. One set of defaults serves all cameras tried.

    :ivar max_tracks: how many points are followed at most.
    :ivar flow_window: side of the frame-to-frame Lucas-Kanade window, pixels, odd.
    :ivar flow_levels: how many pyramid levels above full resolution that search uses.
    :ivar round_trip_pixels: largest distance between a point and where flow forth and back brings it.
    :ivar template_points: side of a template, samples, odd.
    :ivar template_spacing: distance between two samples of a template, pixels.
    :ivar template_iterations: Gauss-Newton steps that register a template in a frame.
    :ivar template_correlation: correlation above which a registration confirms the point, (0, 1).
    :ivar template_shift: farthest that a registration may move a point away from where flow brought it, pixels.
    :ivar template_zoom: change of area, as a factor, after which a template is taken anew.
    :ivar flow_correlation: correlation of one frame's patch with the next one's below which a point is lost.
    :ivar epipolar_pixels: largest distance of a point from the epipolar geometry of two frames, pixels.
    :ivar epipolar_sample: how many points the epipolar geometry is fitted to; all are checked.
    :ivar confirm_pixels: a detection this close to a track may confirm it, pixels.
    :ivar confirm_similarity: least cosine (float descriptors) or share of equal bits that confirms.
    :ivar rescue_pixels: how far around its prediction a lost track is searched by descriptor, pixels.
    :ivar rescue_similarity: least similarity of descriptors that finds a lost track again.
    :ivar spacing_pixels: new tracks begin at least this far from the others, pixels.
    :ivar duplicate_pixels: of two tracks that come this close, the younger ends, pixels.
    :ivar border_pixels: tracks end, and none begins, this close to the image's edge, pixels.
    """

    max_tracks: int = 1024
    flow_window: int = 11
    flow_levels: int = 1
    round_trip_pixels: float = 0.7
    template_points: int = 11
    template_spacing: float = 1.25
    template_iterations: int = 3
    template_correlation: float = 0.85
    template_shift: float = 1.5
    template_zoom: float = 1.6
    flow_correlation: float = 0.8
    epipolar_pixels: float = 1.0
    epipolar_sample: int = 300
    confirm_pixels: float = 2.0
    confirm_similarity: float = 0.7
    rescue_pixels: float = 12.0
    rescue_similarity: float = 0.85
    spacing_pixels: float = 5.0
    duplicate_pixels: float = 1.5
    border_pixels: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"tracker option {field.name} is {getattr(self, field.name)}; give 0 or more")
        for name in ("flow_window", "template_points"):
            if getattr(self, name) % 2 == 0 or getattr(self, name) < 5:
                raise ValueError(f"tracker option {name} is {getattr(self, name)}; give an odd number of 5 or more")
