"""The tracker: predict, follow, register, verify, confirm, replenish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Features, Float32, Tracks
from kp_ros.tracking import templates as template_module
from kp_ros.tracking.association import Lookup, search, similarity, unique_claims
from kp_ros.tracking.lucas_kanade import flow
from kp_ros.tracking.options import TrackerOptions
from kp_ros.tracking.prediction import CoarseFlow
from kp_ros.tracking.replenishment import choose, inside
from kp_ros.tracking.templates import Templates
from kp_ros.tracking.verification import epipolar_distance


@dataclass(frozen=True)
class _State:
    """The followed points, oldest first, and what each one looked like."""

    tracks: Tracks
    templates: Templates
    warp: Float32

    def __getitem__(self, index: Any) -> _State:
        return _State(self.tracks[index], self.templates[index], self.warp[index])


def _concatenate(first: _State, second: _State) -> _State:
    def join(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([a, b])

    a, b = first.tracks, second.tracks
    return _State(
        Tracks(
            join(a.track_id, b.track_id),
            join(a.age, b.age),
            join(a.keypoints, b.keypoints),
            join(a.velocity, b.velocity),
            join(a.scores, b.scores),
            join(a.descriptors, b.descriptors),
        ),
        Templates(
            join(first.templates.solver, second.templates.solver),
            join(first.templates.appearance, second.templates.appearance),
        ),
        join(first.warp, second.warp),
    )


class HybridTracker:
    """Follows points by flow and templates, and ties them to detections by descriptor."""

    def __init__(self, options: TrackerOptions) -> None:
        self.options = options
        self._coarse = CoarseFlow()
        self._next_id = 0
        self._state: _State | None = None
        self._image: NDArray[np.uint8] | None = None
        self._stamp_ns = 0

    def reset(self) -> None:
        """Forget all tracks; ids go on counting and are never used again."""
        self._state = None
        self._image = None
        self._coarse.reset()

    def update(self, image: NDArray[np.uint8], stamp_ns: int, features: Features, camera: Camera | None) -> Tracks:
        """Carry the tracks on to one more image; see :class:`kp_ros.tracking.base.Tracker`."""
        state, last = self._state, self._image
        predicted = self._coarse.step(image, np.zeros((0, 2), np.float32) if state is None else state.tracks.keypoints)
        smooth = cv2.GaussianBlur(image, (3, 3), 0) if image.size else image
        if state is not None and last is not None and len(state.tracks):
            seconds = max((stamp_ns - self._stamp_ns) * 1e-9, 1e-9)
            state = self._carry(state, last, image, smooth, predicted, features, camera, seconds)
            state, features = self._confirm(state, image.shape, features)
        born = self._born(state, smooth, features)
        self._state = born if state is None else _concatenate(state, born)
        self._image, self._stamp_ns = image.copy(), stamp_ns
        return self._state.tracks

    def _carry(
        self,
        state: _State,
        last: NDArray[np.uint8],
        image: NDArray[np.uint8],
        smooth: NDArray[np.uint8],
        predicted: Float32,
        features: Features,
        camera: Camera | None,
        seconds: float,
    ) -> _State:
        options, start = self.options, state.tracks.keypoints
        followed, found = flow(last, image, start, predicted, options.flow_window, options.flow_levels)
        found &= inside(followed, image.shape, options.border_pixels)
        state, start, followed = state[found], start[found], followed[found]
        registered, warp, correlation = self._register(smooth, state, followed)
        area = np.abs(warp[:, 0, 0] * warp[:, 1, 1] - warp[:, 0, 1] * warp[:, 1, 0])
        moved = np.linalg.norm(registered - followed, axis=1)
        sound = (correlation >= options.template_correlation) & (moved <= options.template_shift)
        sound &= inside(registered, image.shape, options.border_pixels)
        zoomed = (area > options.template_zoom) | (area < 1 / options.template_zoom)
        points = np.where(sound[:, None], registered, followed)
        alive = sound.copy()
        doubtful = np.flatnonzero(~sound)
        back, found = flow(image, last, followed[doubtful], start[doubtful], options.flow_window, options.flow_levels)
        round_trip = np.linalg.norm(back - start[doubtful], axis=1)
        alive[doubtful] = found & (round_trip <= options.round_trip_pixels)
        renew = alive & (~sound | zoomed)
        points, warp, renew, start, state = points[alive], warp[alive], renew[alive], start[alive], state[alive]

        distance = epipolar_distance(start, points, camera, options.epipolar_pixels, options.epipolar_sample)
        alive = distance <= options.epipolar_pixels
        points, warp, renew, start, state = points[alive], warp[alive], renew[alive], start[alive], state[alive]

        index = np.flatnonzero(renew)
        if len(index):
            fresh = self._take(smooth, points[index])
            state.templates.solver[index], state.templates.appearance[index] = fresh.solver, fresh.appearance
            warp[index] = np.eye(2, dtype=np.float32)
        old = state.tracks
        velocity = ((points - start) / seconds).astype(np.float32)
        tracks = Tracks(
            old.track_id, old.age + np.uint32(1), points.astype(np.float32), velocity, old.scores, old.descriptors
        )
        return _State(tracks, state.templates, warp)

    def _confirm(self, state: _State, shape: tuple[int, ...], features: Features) -> tuple[_State, Features]:
        options, tracks = self.options, state.tracks
        claim, distance = Lookup(features.keypoints, shape, options.confirm_pixels).nearest(tracks.keypoints)
        near = np.flatnonzero(claim >= 0)
        alike = similarity(tracks.descriptors[near], features.descriptors[claim[near]])
        claim[near[alike < options.confirm_similarity]] = -1
        claim = unique_claims(claim, distance)
        index = np.flatnonzero(claim >= 0)
        scores, descriptors = tracks.scores.copy(), tracks.descriptors.copy()
        scores[index], descriptors[index] = features.scores[claim[index]], features.descriptors[claim[index]]
        tracks = Tracks(tracks.track_id, tracks.age, tracks.keypoints, tracks.velocity, scores, descriptors)
        free = np.ones(len(features), bool)
        free[claim[index]] = False
        return _State(tracks, state.templates, state.warp), features[free]

    def _born(self, state: _State | None, smooth: NDArray[np.uint8], features: Features) -> _State:
        options = self.options
        tracked = np.zeros((0, 2), np.float32) if state is None else state.tracks.keypoints
        wanted = options.max_tracks - len(tracked)
        chosen = choose(
            features.keypoints, tracked, smooth.shape, wanted, options.spacing_pixels, options.border_pixels
        )
        new = features[chosen]
        ids = np.arange(self._next_id, self._next_id + len(new), dtype=np.uint32)
        self._next_id += len(new)
        tracks = Tracks(
            ids,
            np.ones(len(new), np.uint32),
            new.keypoints.astype(np.float32),
            np.zeros((len(new), 2), np.float32),
            new.scores,
            new.descriptors,
        )
        warp = np.tile(np.eye(2, dtype=np.float32), (len(new), 1, 1))
        return _State(tracks, self._take(smooth, new.keypoints), warp)

    def _take(self, smooth: NDArray[np.uint8], points: Float32) -> Templates:
        return template_module.take(smooth, points, self.options.template_points, self.options.template_spacing)

    def _register(self, smooth: NDArray[np.uint8], state: _State, points: Float32) -> tuple[Float32, Float32, Float32]:
        options = self.options
        return template_module.register(
            smooth,
            state.templates,
            points,
            state.warp,
            options.template_points,
            options.template_spacing,
            options.template_iterations,
        )
