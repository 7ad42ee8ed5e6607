"""Features -> Tracks: every keypoint gets a persistent id and an age."""

from __future__ import annotations

from typing import Any

from kp_ros.tracking.base import Tracker
from kp_ros.tracking.options import TrackerOptions
from kp_ros.tracking.tracker import HybridTracker

__all__ = ["HybridTracker", "Tracker", "TrackerOptions", "load_tracker"]


def load_tracker(max_tracks: int = 1024, **options: Any) -> Tracker:
    """Make the tracker.

    :param max_tracks: how many points are followed at most.
    :param options: further fields of :class:`TrackerOptions`.
    :raises ValueError: an option is out of its range.
    :raises TypeError: an option is unknown.
    """
    return HybridTracker(TrackerOptions(max_tracks=max_tracks, **options))
