"""What can be set on the tracker, and what each number means."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class TrackerOptions:
    """Options of :class:`kp_ros.tracking.tracker.HybridTracker`. One set of defaults serves all cameras tried.

    :ivar max_tracks: how many points are followed at most.
    :ivar template_points: side of a template, squares of a chessboard, odd; its black squares are its samples.
    :ivar template_spacing: side of such a square, pixels.
    :ivar template_iterations: Gauss-Newton steps that register a template in a frame; where little moves, one does.
    :ivar template_correlation: correlation above which a registration confirms the point, 0 to 1.
    :ivar template_shift: farthest that a registration may end from where coarse flow predicted the point, pixels.
    :ivar template_zoom: change of area, as a factor, after which a template is taken anew.
    :ivar flow_window: side of the window of Lucas-Kanade, which follows what the templates lost, at half the
        resolution, pixels there.
    :ivar flow_shift: farthest that a registration may end from where Lucas-Kanade brought the point, pixels.
    :ivar flow_correlation: correlation with the last frame above which a new template may be taken, 0 to 1.
    :ivar renewal_correlation: correlation with its last template that a point must keep for that, 0 to 1.
    :ivar epipolar_pixels: largest distance of a point from the epipolar geometry of two frames, pixels; a fifth more
        where others lie between them.
    :ivar epipolar_sample: how many points the epipolar geometry is fitted to, twice as many where it is not in every
        frame; all are checked.
    :ivar confirm_pixels: a detection this close to a track may confirm it, pixels.
    :ivar confirm_similarity: least cosine (float descriptors) or share of equal bits that confirms, 0 to 1.
    :ivar rescue_pixels: how far around its prediction a lost track is searched by descriptor, pixels.
    :ivar rescue_similarity: least similarity of descriptors that finds a lost track again, 0 to 1.
    :ivar relocation_share: share of tracks lost above which the whole frame is searched by descriptor, 0 to 1.
    :ivar chance_share: share of tracks found again up to which they are taken for chance, unless they fit one epipolar
        geometry: the view was cut, 0 to 1.
    :ivar texture: least mean gradient, in its weakest direction, where a track begins, grey levels a pixel.
    :ivar life_least: no track begins where the flow leaves the image within so many frames.
    :ivar life_enough: beyond so many frames in the image, a place is not better for being farther from the edge.
    :ivar spacing_pixels: new tracks begin at least this far from the others, pixels.
    :ivar duplicate_pixels: of two tracks that come this close, the younger ends, pixels.
    :ivar border_pixels: tracks end this close to the image's edge, pixels; they begin where a whole template fits.
    """

    max_tracks: int = 1024
    template_points: int = 11
    template_spacing: float = 2.0
    template_iterations: int = 2
    template_correlation: float = 0.75
    template_shift: float = 2.0
    template_zoom: float = 1.6
    flow_window: int = 11
    flow_shift: float = 1.0
    flow_correlation: float = 0.7
    renewal_correlation: float = 0.55
    epipolar_pixels: float = 1.0
    epipolar_sample: int = 120
    confirm_pixels: float = 2.0
    confirm_similarity: float = 0.7
    rescue_pixels: float = 12.0
    rescue_similarity: float = 0.85
    relocation_share: float = 0.6
    chance_share: float = 0.4
    texture: float = 0.18
    life_least: float = 3.0
    life_enough: float = 20.0
    spacing_pixels: float = 5.0
    duplicate_pixels: float = 1.5
    border_pixels: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"tracker option {field.name} is {value}; give 0 or more")
            if field.name.endswith(("correlation", "similarity", "share")) and value > 1:
                raise ValueError(f"tracker option {field.name} is {value}; give 0 to 1")
        if self.max_tracks < 1:
            raise ValueError(f"tracker option max_tracks is {self.max_tracks}; give 1 or more")
        if self.template_points % 2 == 0 or self.template_points < 5:
            raise ValueError(f"tracker option template_points is {self.template_points}; give an odd number from 5 on")
        if self.template_iterations < 1:
            raise ValueError("tracker option template_iterations is 0; give 1 or more")
        if self.flow_window < 5:
            raise ValueError(f"tracker option flow_window is {self.flow_window}; give 5 or more")
        if self.template_spacing <= 0 or self.template_zoom <= 1:
            raise ValueError("tracker options template_spacing and template_zoom must be above 0 and above 1")
