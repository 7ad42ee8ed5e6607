"""What the tracker knows of its points from one image to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Features, Float32, Tracks
from kp_ros.tracking.templates import Sampler, Templates

_IDENTITY = np.eye(2, dtype=np.float32)[:, :, None]


class TrackTable:
    """A row for each track, in no order; only what changes is written, so that an image copies little.

    Rows from the number of tracks on are room. Where a track ends, the last row takes its place.

    :ivar templates: of as many points as there are rows.
    :ivar warp: float32 [2, 2, rows], from a template's offsets to the image's.
    :ivar checked: float32 [rows, 2], pixels, where the points were in the frame that the geometry was last checked in;
        NaN where they were not yet.
    """

    def __init__(self, rows: int, sampler: Sampler) -> None:
        """Make room for so many tracks."""
        self._count = 0
        self._sampler = sampler
        self._columns = _room(rows, np.zeros((0, 0), np.float32))
        self.templates = sampler.empty(rows)
        self.warp = np.zeros((2, 2, rows), np.float32)
        self.checked = np.zeros((rows, 2), np.float32)

    def __len__(self) -> int:
        return self._count

    @property
    def tracks(self) -> Tracks:
        """All tracks in the order of their rows; views, so that what is written into them stays."""
        return self._columns[: self._count]

    def by_age(self) -> Tracks:
        """A copy of all tracks, the oldest first; of new ones the velocity is 0, whatever it is expected to be."""
        # Ids count up, and few are out of their order: this kind of sorting takes a third of the time then.
        order = np.argsort(self._columns.track_id[: self._count], kind="stable")
        # NumPy takes rows of two in a tenth of the time that indexing them takes.
        tracks = Tracks(*(column.take(order, 0) for column in _arrays(self._columns)))
        tracks.velocity[tracks.age == 1] = 0
        return tracks

    def clear(self) -> None:
        """End all tracks."""
        self._count = 0

    def describes_like(self, features: Features) -> bool:
        """Whether tracks and features have descriptors of one kind."""
        ours, theirs = self._columns.descriptors, features.descriptors
        return ours.shape[1] == theirs.shape[1] and ours.dtype == theirs.dtype

    def describe_like(self, features: Features) -> None:
        """End all tracks, and take descriptors of another kind from now on."""
        self.clear()
        self._columns = _room(len(self._columns), features.descriptors)

    def keep(self, alive: NDArray[np.bool_]) -> NDArray[np.int64]:
        """End tracks.

        :param alive: bool [number of tracks], those that stay.
        :returns: int64 [number of those], the row where each was before.
        """
        count = int(alive.sum())
        rows = np.arange(count)
        holes, movers = np.flatnonzero(~alive[:count]), count + np.flatnonzero(alive[count:])
        if len(holes):
            rows[holes] = movers
            for column in _arrays(self._columns):
                column[holes] = column[movers]
            self.templates[holes] = self.templates[movers]
            self.warp[..., holes] = self.warp[..., movers]
            self.checked[holes] = self.checked[movers]
        self._count = count
        return rows

    def append(self, features: Features, velocity: Float32, first_id: int, checked: bool) -> NDArray[np.int64]:
        """Begin tracks; their templates are still to be taken.

        :param velocity: float32 [number of features, 2], that they are expected to have, pixels a second.
        :param first_id: of the first of them; it and the others' were never used.
        :param checked: whether the geometry was checked in this frame.
        :returns: int64 [number of features], their rows.
        """
        first, self._count = self._count, self._count + len(features)
        self._make_room(self._count)
        columns, rows = self._columns, slice(first, self._count)
        columns.track_id[rows] = np.arange(first_id, first_id + len(features), dtype=np.uint32)
        columns.age[rows] = 1
        columns.velocity[rows] = velocity
        self.checked[rows] = features.keypoints if checked else np.nan
        columns.keypoints[rows], columns.scores[rows] = features.keypoints, features.scores
        columns.descriptors[rows] = features.descriptors
        return np.arange(first, self._count)

    def put_templates(self, rows: NDArray[np.int64], templates: Templates) -> None:
        """Begin with new templates, not warped."""
        self.templates[rows] = templates
        self.warp[..., rows] = _IDENTITY

    def _make_room(self, rows: int) -> None:
        """Add rows where there are fewer."""
        room = len(self._columns)
        if rows <= room:
            return
        last = self._columns
        self._columns = _room(rows, last.descriptors)
        for column, values in zip(_arrays(self._columns), _arrays(last), strict=True):
            column[:room] = values
        templates, warp = self._sampler.empty(rows), np.zeros((2, 2, rows), np.float32)
        templates[:room], warp[..., :room] = self.templates, self.warp
        checked = np.zeros((rows, 2), np.float32)
        checked[:room] = self.checked
        self.templates, self.warp, self.checked = templates, warp, checked


def _room(rows: int, descriptors: NDArray[Any]) -> Tracks:
    """Room for so many tracks with descriptors like these."""
    ids, ages = np.zeros((2, rows), np.uint32)
    keypoints, velocities = np.zeros((2, rows, 2), np.float32)
    described = np.zeros((rows, descriptors.shape[1]), descriptors.dtype)
    return Tracks(ids, ages, keypoints, velocities, np.zeros(rows, np.float32), described)


def _arrays(tracks: Tracks) -> tuple[NDArray[Any], ...]:
    return tracks.track_id, tracks.age, tracks.keypoints, tracks.velocity, tracks.scores, tracks.descriptors
