"""The tracker: predict, register, follow, verify, confirm, replenish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Features, Float32, Tracks
from kp_ros.tracking.association import Lookup, crowded, search, similarity, unique_claims
from kp_ros.tracking.lucas_kanade import flow
from kp_ros.tracking.options import TrackerOptions
from kp_ros.tracking.prediction import CoarseFlow, FlowField, relocate
from kp_ros.tracking.replenishment import choose, inside, texture
from kp_ros.tracking.templates import Sampler
from kp_ros.tracking.verification import epipolar_distance

Booleans = NDArray[np.bool_]
_IDENTITY = np.eye(2, dtype=np.float32)


@dataclass(frozen=True)
class _Frame:
    """One image, and what the registration sees of it."""

    image: NDArray[np.uint8]
    smooth: NDArray[np.uint8]
    stamp_ns: int

    @staticmethod
    def of(image: NDArray[np.uint8], stamp_ns: int) -> _Frame:
        own = image.copy()
        return _Frame(own, cv2.GaussianBlur(own, (3, 3), 0) if own.size else own, stamp_ns)


class HybridTracker:
    """Follows points by their appearance and ties them to detections by descriptor.

    A frame goes through seven steps:

    1. Dense flow between thumbnails predicts every point.
    2. Its template is registered there, with an affine warp: what correlates is found, without drift.
    3. What the template missed is followed by Lucas-Kanade from the last frame and registered again. Where the point
       has changed its looks too much for that, a template of the last frame takes over, if it correlates.
    4. What is lost still is searched among the detections by descriptor; if most is lost, the whole frame is.
    5. Points off the epipolar geometry of the two frames, or on top of an older one, end.
    6. Detections on tracks confirm them: the track takes over their score and descriptor.
    7. Free detections begin new tracks, first those with much texture and a long way to the image's edge.
    """

    def __init__(self, options: TrackerOptions) -> None:
        self.options = options
        self._sampler = Sampler(options.template_points, options.template_spacing)
        # Rows [0, count) belong to the tracks, in the order of self._tracks; the dead are overwritten by the last.
        self._templates = self._sampler.empty(options.max_tracks)
        self._warp = np.zeros((options.max_tracks, 2, 2), np.float32)
        self._coarse = CoarseFlow()
        self._next_id = 0
        self._tracks: Tracks | None = None
        self._last: _Frame | None = None

    def reset(self) -> None:
        """Forget all tracks; ids go on counting and are never used again."""
        self._tracks = None
        self._last = None
        self._coarse.reset()

    def update(self, image: NDArray[np.uint8], stamp_ns: int, features: Features, camera: Camera | None) -> Tracks:
        """Carry the tracks on to one more image; see :class:`kp_ros.tracking.base.Tracker`."""
        tracks, last = self._tracks, self._last
        if tracks is not None and last is not None:
            a, b = tracks.descriptors, features.descriptors
            if image.shape != last.image.shape or a.shape[1] != b.shape[1] or a.dtype != b.dtype:
                self.reset()
                tracks, last = None, None
        frame = _Frame.of(image, stamp_ns)
        flown = self._coarse.step(frame.image)
        if tracks is None or last is None:
            tracks = _none(features)
        elif len(tracks):
            tracks = self._carry(tracks, flown.predict(tracks.keypoints), last, frame, features, camera)
            tracks, features = self._confirm(tracks, image.shape, features)
        self._tracks = self._replenish(tracks, frame, features, flown)
        self._last = frame
        return self._tracks[np.argsort(self._tracks.track_id)]

    def _carry(
        self,
        tracks: Tracks,
        predicted: Float32,
        last: _Frame,
        frame: _Frame,
        features: Features,
        camera: Camera | None,
    ) -> Tracks:
        start, options = tracks.keypoints, self.options
        points, alive, renew = self._find(start, predicted, last, frame)
        if alive.mean() < 1 - options.relocation_share:
            relocated = relocate(tracks, features)
            if relocated is not None:
                predicted = relocated
                points, alive, renew = self._find(start, predicted, last, frame)
        self._rescue(tracks, points, predicted, alive, frame, features)
        alive &= inside(points, frame.image.shape, options.border_pixels)
        index = np.flatnonzero(alive)
        distance = epipolar_distance(
            start[index], points[index], camera, options.epipolar_pixels, options.epipolar_sample
        )
        if np.isinf(distance).all() and len(index) > options.chance_share * len(alive):
            # Most points held, yet no rigid scene explains them: no ground to prefer some of them.
            distance[:] = 0
        alive[index] = distance <= options.epipolar_pixels
        index = np.flatnonzero(alive)
        alive[index] = ~crowded(points[index], tracks.track_id[index], options.duplicate_pixels)
        index = np.flatnonzero(alive & renew)
        self._templates[index] = self._sampler.take(frame.smooth, points[index])
        self._warp[index] = _IDENTITY
        seconds = max(frame.stamp_ns - last.stamp_ns, 1) * 1e-9
        moved = Tracks(
            tracks.track_id,
            tracks.age + np.uint32(1),
            points,
            ((points - start) / seconds).astype(np.float32),
            tracks.scores,
            tracks.descriptors,
        )
        return moved[self._compact(alive)]

    def _find(
        self, start: Float32, predicted: Float32, last: _Frame, frame: _Frame
    ) -> tuple[Float32, Booleans, Booleans]:
        """Steps 2 and 3: positions float32 [N, 2], whether they hold, and whether the template must be taken anew."""
        options, count = self.options, len(start)
        points, warp, found = self._register(slice(0, count), frame, predicted, options.template_shift)
        missed = np.flatnonzero(~found)
        followed, status = flow(last.image, frame.image, start[missed], predicted[missed], options.flow_window)
        missed, followed = missed[status], followed[status]
        again, again_warp, good = self._register(missed, frame, followed, options.flow_shift)
        index = missed[good]
        points[index], warp[index], found[index] = again[good], again_warp[good], True
        # A template that hangs over the image's edge would hold what is not there.
        whole = inside(start[missed], frame.image.shape, self._sampler.reach)
        changed, followed = missed[~good & whole], followed[~good & whole]
        fresh = self._sampler.take(last.smooth, start[changed])
        moved, moved_warp, correlation = self._sampler.register(
            frame.smooth, fresh, followed, np.tile(_IDENTITY, (len(changed), 1, 1)), options.template_iterations
        )
        good = correlation >= options.flow_correlation
        good &= np.linalg.norm(moved - followed, axis=1) <= options.template_shift
        # The old template, carried along by the new one's warp, must still be recognised: else something has slid in
        # front of the point and would take over its id.
        _, _, old = self._sampler.register(
            frame.smooth, self._templates[changed], moved, self._warp[changed] @ moved_warp, 1
        )
        good &= old >= options.renewal_correlation
        index = changed[good]
        self._templates[index] = fresh[good]
        points[index], warp[index], found[index] = moved[good], moved_warp[good], True
        self._warp[:count][found] = warp[found]
        area = np.abs(warp[:, 0, 0] * warp[:, 1, 1] - warp[:, 0, 1] * warp[:, 1, 0])
        zoomed = (area > options.template_zoom) | (area < 1 / options.template_zoom)
        return points, found, zoomed & inside(points, frame.image.shape, self._sampler.reach)

    def _register(
        self, index: Any, frame: _Frame, expected: Float32, shift: float
    ) -> tuple[Float32, Float32, Booleans]:
        options = self.options
        points, warp, correlation = self._sampler.register(
            frame.smooth, self._templates[index], expected, self._warp[index], options.template_iterations
        )
        moved = np.linalg.norm(points - expected, axis=1)
        return points, warp, (correlation >= options.template_correlation) & (moved <= shift)

    def _rescue(
        self,
        tracks: Tracks,
        points: Float32,
        predicted: Float32,
        alive: Booleans,
        frame: _Frame,
        features: Features,
    ) -> None:
        """Step 4: look for lost tracks among the detections; mark those found as alive, in place."""
        options = self.options
        lost = np.flatnonzero(~alive & inside(predicted, frame.image.shape, 0))
        claim = search(
            predicted[lost],
            tracks.descriptors[lost],
            features.keypoints,
            features.descriptors,
            options.rescue_pixels,
            options.rescue_similarity,
        )
        lost, claim = lost[claim >= 0], claim[claim >= 0]
        if len(lost):
            again, warp, good = self._register(lost, frame, features.keypoints[claim], options.template_shift)
            index = lost[good]
            points[index], self._warp[index], alive[index] = again[good], warp[good], True

    def _compact(self, alive: Booleans) -> NDArray[np.int64]:
        """Close the gaps of the dead with the last rows; returns which row went where, int64 [number alive]."""
        count = int(alive.sum())
        holes, movers = np.flatnonzero(~alive[:count]), count + np.flatnonzero(alive[count:])
        self._templates[holes] = self._templates[movers]
        self._warp[holes] = self._warp[movers]
        order = np.arange(count)
        order[holes] = movers
        return order

    def _confirm(self, tracks: Tracks, shape: tuple[int, ...], features: Features) -> tuple[Tracks, Features]:
        options = self.options
        claim, distance = Lookup(features.keypoints, shape, options.confirm_pixels).nearest(tracks.keypoints)
        near = np.flatnonzero(claim >= 0)
        alike = similarity(tracks.descriptors[near], features.descriptors[claim[near]])
        claim[near[alike < options.confirm_similarity]] = -1
        claim = unique_claims(claim, distance)
        index = np.flatnonzero(claim >= 0)
        scores, descriptors = tracks.scores.copy(), tracks.descriptors.copy()
        scores[index], descriptors[index] = features.scores[claim[index]], features.descriptors[claim[index]]
        confirmed = Tracks(tracks.track_id, tracks.age, tracks.keypoints, tracks.velocity, scores, descriptors)
        free = np.ones(len(features), bool)
        free[claim[index]] = False
        return confirmed, features[free]

    def _replenish(self, tracks: Tracks, frame: _Frame, features: Features, flown: FlowField) -> Tracks:
        options, count = self.options, len(tracks)
        strength = texture(frame.smooth, features.keypoints)
        life = flown.frames_inside(features.keypoints, frame.image.shape)
        chosen = choose(
            features.keypoints,
            (life >= options.life_least) & (strength >= options.texture),
            strength * np.minimum(life, options.life_enough),
            tracks.keypoints,
            frame.image.shape,
            options.max_tracks - count,
            options.spacing_pixels,
            self._sampler.reach,
        )
        new, total = features[chosen], count + len(chosen)
        self._templates[count:total] = self._sampler.take(frame.smooth, new.keypoints)
        self._warp[count:total] = _IDENTITY
        ids = np.arange(self._next_id, self._next_id + len(new), dtype=np.uint32)
        self._next_id += len(new)
        return Tracks(
            np.concatenate([tracks.track_id, ids]),
            np.concatenate([tracks.age, np.ones(len(new), np.uint32)]),
            np.concatenate([tracks.keypoints, new.keypoints]).astype(np.float32),
            np.concatenate([tracks.velocity, np.zeros((len(new), 2), np.float32)]),
            np.concatenate([tracks.scores, new.scores]),
            np.concatenate([tracks.descriptors, new.descriptors]),
        )


def _none(features: Features) -> Tracks:
    """No tracks, with descriptors of the same kind as the features'."""
    numbers, pairs = np.zeros(0, np.uint32), np.zeros((0, 2), np.float32)
    empty = features[:0]
    return Tracks(numbers, numbers, pairs, pairs, empty.scores, empty.descriptors)
