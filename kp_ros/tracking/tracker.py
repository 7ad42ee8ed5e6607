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
from kp_ros.tracking.prediction import CoarseFlow, FlowField, halved, relocate, thumbnail
from kp_ros.tracking.replenishment import frames_inside, inside, open_places, texture, worthiest
from kp_ros.tracking.table import TrackTable
from kp_ros.tracking.templates import Sampler, Templates
from kp_ros.tracking.verification import EpipolarGeometry, fit_geometry

Booleans = NDArray[np.bool_]
#: Where a prediction leads to so large a share of the templates, a quicker one does as well.
_CALM = 0.9
#: Then the warps change slowly, too: they are looked after in every so many frames.
_BEND_EVERY = 4
#: A share of the tracks that is not worth much: where a frame loses fewer, they are not searched; where it brings fewer
#: new ones, no others are looked for in the next frames.
_FEW = 0.03
_REST_FRAMES = 3
#: The geometry of two frames with such between them leaves points more room: a template is off by more, the more its
#: view has changed.
_ROOM = 1.2
#: How many tracks tell by how much all moved otherwise than expected.
_JERK_SAMPLE = 16


@dataclass(frozen=True)
class _Frame:
    """One image as the tracker sees it.

    :ivar smooth: uint8 [H, W], what templates are taken from and registered in.
    :ivar half: the same at half the resolution, what Lucas-Kanade works on.
    :ivar thumbnail: uint8 [h, w], what the coarse flow works on, and Lucas-Kanade where little moves, and texture is
        judged in.
    """

    smooth: NDArray[np.uint8]
    half: NDArray[np.uint8]
    thumbnail: NDArray[np.uint8]
    stamp_ns: int

    @staticmethod
    def of(image: NDArray[np.uint8], stamp_ns: int) -> _Frame:
        # A box takes half the time of a bell, and tracks are no worse.
        smooth = np.asarray(cv2.blur(image, (5, 5)) if image.size else image.copy(), np.uint8)
        half = halved(smooth)
        return _Frame(smooth, half, thumbnail(half), stamp_ns)


@dataclass(frozen=True)
class _Carried:
    """Where the tracks went, as far as images alone tell; N is their number.

    :ivar predicted: float32 [N, 2], pixels, where they were expected.
    :ivar points: float32 [N, 2], pixels, where they are.
    :ivar found: bool [N], those that were found there.
    :ivar alive: bool [N], those of them that stay.
    :ivar renew: bool [N], whose template is to be taken anew.
    :ivar warp: float32 [2, 2, N], of the templates; those of points not found mean nothing.
    :ivar seen: uint8 [rows, P], of the templates.
    :ivar calm: the first guess led to nearly all of them.
    :ivar checked: whether the geometry was checked.
    :ivar geometry: what the points agree on with those of the frame checked last; None where that is nothing.
    """

    predicted: Float32
    points: Float32
    found: Booleans
    alive: Booleans
    renew: Booleans
    warp: Float32
    seen: NDArray[np.uint8]
    calm: bool
    checked: bool
    geometry: EpipolarGeometry | None


@dataclass(frozen=True)
class Followed:
    """An image half way, see :meth:`HybridTracker.follow`.

    :ivar frame: the image.
    :ivar camera: of the image, where it is known.
    :ivar flown: dense flow from the last image to it; None where that was not needed yet.
    :ivar carried: None where there was nothing to follow.
    :ivar rests: this is all that is done with the image: its detections are not looked at.
    """

    frame: _Frame
    camera: Camera | None
    flown: FlowField | None
    carried: _Carried | None
    rests: bool = False


def _squared_distance(points: Float32, expected: Float32) -> Float32:
    """Of points from where they were expected, float32 [N], square pixels."""
    offset = points - expected
    return np.asarray(np.einsum("nc,nc->n", offset, offset))


def _seconds(last: _Frame, frame: _Frame) -> float:
    """From one frame to the next."""
    return max(frame.stamp_ns - last.stamp_ns, 1) * 1e-9


class HybridTracker:
    """Follows points by their appearance and ties them to detections by descriptor.

    A frame goes through seven steps. The first four need images alone:

    1. Dense flow between thumbnails predicts every point.
    2. Its template is registered there, with an affine warp: what correlates is found, without drift.
    3. What the template missed is followed by Lucas-Kanade from the last frame and registered again. Where the point
       has changed its looks too much for that, it stays where Lucas-Kanade brought it if its surroundings are still
       those of the last frame and the template is not beyond recognition, and gets a new template.
    4. Points off the epipolar geometry of the two frames end.

    The others need the detections:

    5. What was not found is searched among them by descriptor, unless it is little; if most was not, the whole frame
       is, and the first four steps are done again from there. What is found on top of an older point ends.
    6. Detections on tracks confirm them: the track takes over their score and descriptor.
    7. Free detections begin new tracks, first those with much texture and a long way to the image's edge.

    Where little moves and few tracks end, no dense flow is needed: points go on as they did, but for what a few of them
    tell of a jerk of the camera, and one step of the registration does. Of what a frame loses, a few are not searched
    for. The last two steps are then done in every fourth frame only, and so is step 4, which compares with the frame
    that it was last done in.
    """

    def __init__(self, options: TrackerOptions) -> None:
        self.options = options
        self._sampler = Sampler(options.template_points, options.template_spacing)
        self._table = TrackTable(options.max_tracks, self._sampler)
        self._coarse = CoarseFlow()
        self._calm, self._unbent_frames, self._unchecked_frames = False, 0, 0
        self._resting, self._enough = 0, 0
        self._next_id = 0
        self._last: _Frame | None = None

    def reset(self) -> None:
        """Forget all tracks; ids go on counting and are never used again."""
        self._table.clear()
        self._last = None
        self._calm, self._unbent_frames, self._unchecked_frames, self._resting = False, 0, 0, 0

    def update(self, image: NDArray[np.uint8], stamp_ns: int, features: Features, camera: Camera | None) -> Tracks:
        """Carry the tracks on to one more image; see :class:`kp_ros.tracking.base.Tracker`."""
        return self.join(self.follow(image, stamp_ns, camera), features)

    def follow(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None) -> Followed:
        """Do the steps that need no detections; see :class:`kp_ros.tracking.base.Tracker`."""
        if self._last is not None and image.shape != self._last.smooth.shape:
            self.reset()
        frame, tracks, last = _Frame.of(image, stamp_ns), self._table.tracks, self._last
        if last is None or len(tracks) == 0:
            return Followed(frame, camera, self._flow_to(frame), None)
        bend = self._unbent_frames == 0
        if self._calm and self._resting and self._unchecked_frames < _REST_FRAMES:
            predicted = self._expected(tracks, last, frame)
            carried = self._carry(tracks, predicted, last, frame, camera, bend, check=False)
            if carried.calm:
                rests = not self._lost(carried).size and self._may_rest(int(np.count_nonzero(carried.alive)))
                return Followed(frame, camera, None, carried, rests)
        flown = self._flow_to(frame)
        predicted = flown.predict(tracks.keypoints)
        return Followed(frame, camera, flown, self._carry(tracks, predicted, last, frame, camera, bend, check=True))

    def _flow_to(self, frame: _Frame) -> FlowField:
        """Dense flow from the last frame to this one."""
        last = self._last.thumbnail if self._last else None
        return self._coarse.between(last, frame.thumbnail, frame.smooth.shape, self._calm)

    def _expected(self, tracks: Tracks, last: _Frame, frame: _Frame) -> Float32:
        """Where tracks are if they go on as they did, but for a jerk that moves all alike; float32 [N, 2], pixels."""
        places = tracks.keypoints + tracks.velocity * _seconds(last, frame)
        sample = slice(None, None, max(1, len(places) // _JERK_SAMPLE))
        followed, status = self._flow(last, frame, tracks.keypoints[sample], places[sample], quick=True)
        jerk = np.sort((followed - places[sample])[status], axis=0)
        return places + jerk[len(jerk) // 2] if len(jerk) else places

    def needs_detections(self, followed: Followed) -> bool:
        """See :class:`kp_ros.tracking.base.Tracker`."""
        return not followed.rests

    def join(self, followed: Followed, features: Features | None) -> Tracks:
        """Do the steps that need the detections; see :class:`kp_ros.tracking.base.Tracker`."""
        frame, flown, carried = followed.frame, followed.flown, followed.carried
        table, last = self._table, self._last
        if followed.rests and last is not None and carried is not None:
            self._settle(carried, last, frame, None)
            self._resting -= 1
            self._last = frame
            return table.by_age()
        assert features is not None
        if not table.describes_like(features):
            # Another detector: no track can be told from its points.
            self.reset()
            table.describe_like(features)
            carried, flown = None, None
        renewed, calm = np.zeros(0, np.int64), False
        if last is not None and carried is not None:
            before = len(table)
            carried = self._relocated(table.tracks, carried, last, followed, features)
            renewed = self._settle(carried, last, frame, features)
            if len(table) < (1 - self.options.relocation_share) * before:
                # What most tracks did not follow is no flow: the view was cut.
                flown = FlowField(None, np.ones(2, np.float32))
            calm = carried.calm
        rests = self._may_rest(len(table))
        self._resting -= rests
        new, velocity = features[:0], np.zeros((0, 2), np.float32)
        if not (rests and calm):
            free = self._confirm(frame.smooth.shape, features)
            if not rests:
                new, velocity = self._begin(frame, features, free, flown or self._flow_to(frame))
        self._replenish(frame, new, velocity, renewed)
        self._last = frame
        return table.by_age()

    def _carry(
        self,
        tracks: Tracks,
        predicted: Float32,
        last: _Frame,
        frame: _Frame,
        camera: Camera | None,
        bend: bool,
        check: bool,
    ) -> _Carried:
        """Steps 2 to 4, the last of them if asked for."""
        start, options, templates = tracks.keypoints, self.options, self._table.templates.draft()
        points, found, renew, warp, calm = self._find(start, predicted, last, frame, templates, bend, quick=not check)
        alive = found & inside(points, frame.smooth.shape, options.border_pixels)
        if not check:
            renew[:] = False
            return _Carried(predicted, points, found, alive, renew, warp, templates.seen, calm, check, None)
        area = np.abs(warp[0, 0] * warp[1, 1] - warp[0, 1] * warp[1, 0])
        renew |= found & ((area > options.template_zoom) | (area < 1 / options.template_zoom))
        # A template that hangs over the image's edge would hold what is not there.
        renew &= inside(points, frame.smooth.shape, self._sampler.reach)
        # Of a track that began since the last check there is nothing to compare with.
        index = np.flatnonzero(alive & np.isfinite(self._table.checked[: len(alive), 0]))
        first, second = self._table.checked[index], points[index]
        sample = options.epipolar_sample * (2 if self._unchecked_frames else 1)
        fitted = fit_geometry(first, second, camera, self._epipolar_room, sample)
        geometry = None
        if fitted is not None:
            geometry, distance = fitted
            fits = distance <= self._epipolar_room
            if 2 * np.count_nonzero(fits) >= len(fits):
                alive[index] = fits
            else:
                geometry = None
                # Where most points held, yet no rigid scene explains them, there is no ground to prefer some of them.
                alive[index] = len(index) > options.chance_share * len(alive)
        return _Carried(predicted, points, found, alive, renew, warp, templates.seen, calm, check, geometry)

    @property
    def _epipolar_room(self) -> float:
        """How far points may be from the geometry of this frame and the one checked last, pixels."""
        return self.options.epipolar_pixels * (_ROOM if self._unchecked_frames else 1)

    def _relocated(
        self, tracks: Tracks, carried: _Carried, last: _Frame, followed: Followed, features: Features
    ) -> _Carried:
        """Carry the tracks anew from where descriptors predict them, if most were not found."""
        if carried.calm or np.count_nonzero(carried.found) >= (1 - self.options.relocation_share) * len(tracks):
            return carried
        predicted = relocate(tracks, features)
        if predicted is None:
            return carried
        return self._carry(tracks, predicted, last, followed.frame, followed.camera, bend=True, check=True)

    def _settle(self, carried: _Carried, last: _Frame, frame: _Frame, features: Features | None) -> NDArray[np.int64]:
        """Step 5, unless there are no detections: bring the tracks into this frame; rows that need a new template."""
        options, points, alive, tracks = self.options, carried.points, carried.alive, self._table.tracks
        self._calm = carried.calm
        self._unbent_frames = (self._unbent_frames + 1) % _BEND_EVERY if self._calm else 0
        np.copyto(self._table.warp[..., : len(tracks)], carried.warp, where=carried.found)
        self._table.templates.seen[:] = carried.seen
        if features is not None:
            self._rescue(tracks, carried, frame, features)
        self._unchecked_frames = 0 if carried.checked else self._unchecked_frames + 1
        if carried.checked:
            index = np.flatnonzero(alive)
            alive[index[crowded(points[index], tracks.track_id[index], options.duplicate_pixels)]] = False
        # The limit may have been lowered: the youngest go.
        index = np.flatnonzero(alive)
        if len(index) > options.max_tracks:
            alive[index[np.argsort(tracks.track_id[index])[options.max_tracks :]]] = False
        np.divide(points - tracks.keypoints, _seconds(last, frame), out=tracks.velocity)
        tracks.keypoints[:] = points
        if carried.checked:
            self._table.checked[: len(points)] = points
        tracks.age[:] += np.uint32(1)
        return np.flatnonzero(carried.renew[self._table.keep(alive)])

    def _find(
        self,
        start: Float32,
        predicted: Float32,
        last: _Frame,
        frame: _Frame,
        templates: Templates,
        bend: bool,
        quick: bool,
    ) -> tuple[Float32, Booleans, Booleans, Float32, bool]:
        """Steps 2 and 3: points, found, renew, warp and calm of :class:`_Carried`.

        :param quick: nearly all points are where they were predicted, so that one step is enough for them, and the few
            that are not are not followed any further.
        """
        options, count = self.options, len(start)
        steps = 1 if quick else options.template_iterations
        points, warp, correlation = self._register(templates, slice(0, count), frame, predicted, steps, bend)
        found = correlation >= options.template_correlation
        found &= _squared_distance(points, predicted) <= options.template_shift**2
        calm = bool(np.count_nonzero(found) >= _CALM * count)
        renew, missed = np.zeros(count, bool), np.flatnonzero(~found)
        if quick and len(missed) < _FEW * count:
            return points, found, renew, warp, calm
        followed, status = self._flow(last, frame, start[missed], predicted[missed], quick)
        missed, followed = missed[status], followed[status]
        again, again_warp, correlation = self._register(templates, missed, frame, followed, 1, bend=not quick)
        good = correlation >= options.template_correlation
        good &= _squared_distance(again, followed) <= options.flow_shift**2
        index = missed[good]
        points[index], warp[..., index], found[index] = again[good], again_warp[..., good], True
        # The old template must still be recognised: else something has slid in front of the point and would take over
        # its id.
        changed = ~good & (correlation >= options.renewal_correlation)
        missed, followed = missed[changed], followed[changed]
        changed = self._sampler.alike(last.smooth, start[missed], frame.smooth, followed) >= options.flow_correlation
        # It needs a new template, for which there is no room at the image's edge.
        changed &= inside(followed, frame.smooth.shape, self._sampler.reach)
        index = missed[changed]
        points[index], found[index], renew[index] = followed[changed], True, True
        return points, found, renew, warp, calm

    def _flow(
        self, last: _Frame, frame: _Frame, points: Float32, predicted: Float32, quick: bool
    ) -> tuple[Float32, Booleans]:
        """Lucas-Kanade at half the resolution, or on the thumbnails; see :func:`flow`."""
        window = self.options.flow_window
        if quick:
            shrink = frame.smooth.shape[1] / frame.thumbnail.shape[1]
            return flow(last.thumbnail, frame.thumbnail, points, predicted, window, shrink)
        return flow(last.half, frame.half, points, predicted, window, 2.0)

    def _register(
        self, templates: Templates, rows: Any, frame: _Frame, expected: Float32, iterations: int, bend: bool = True
    ) -> tuple[Float32, Float32, Float32]:
        warp = self._table.warp[..., rows]
        return self._sampler.register(frame.smooth, templates, rows, expected, warp, iterations, bend)

    def _rescue(self, tracks: Tracks, carried: _Carried, frame: _Frame, features: Features) -> None:
        """Look for lost tracks among the detections; in place, put those found where they are and keep them alive."""
        options, shape = self.options, frame.smooth.shape
        lost = self._lost(carried)
        if len(lost) == 0:
            return
        lost = lost[inside(carried.predicted[lost], shape, 0)]
        claim = search(
            carried.predicted[lost],
            tracks.descriptors[lost],
            features.keypoints,
            features.descriptors,
            options.rescue_pixels,
            options.rescue_similarity,
        )
        lost, claim = lost[claim >= 0], claim[claim >= 0]
        if len(lost) == 0:
            return
        detected = features.keypoints[claim]
        templates, steps = self._table.templates, options.template_iterations
        again, warp, correlation = self._register(templates, lost, frame, detected, steps)
        good = correlation >= options.template_correlation
        good &= _squared_distance(again, detected) <= options.template_shift**2
        good &= inside(again, shape, options.border_pixels)
        if carried.geometry is not None:
            known = np.flatnonzero(np.isfinite(self._table.checked[lost, 0]))
            distance = carried.geometry.distance(self._table.checked[lost[known]], again[known])
            good[known] &= distance <= self._epipolar_room
        index = lost[good]
        carried.points[index], carried.alive[index] = again[good], True
        self._table.warp[..., index] = warp[..., good]

    def _confirm(self, shape: tuple[int, ...], features: Features) -> Booleans:
        """Step 6; which detections are left, bool [M]."""
        options, tracks = self.options, self._table.tracks
        claim, distance = Lookup(features.keypoints, shape, options.confirm_pixels).nearest(tracks.keypoints)
        close = np.flatnonzero(claim >= 0)
        alike = similarity(tracks.descriptors[close], features.descriptors[claim[close]])
        claim[close[alike < options.confirm_similarity]] = -1
        claim = unique_claims(claim, distance)
        index = np.flatnonzero(claim >= 0)
        tracks.scores[index] = features.scores[claim[index]]
        tracks.descriptors[index] = features.descriptors[claim[index]]
        free = np.ones(len(features), bool)
        free[claim[index]] = False
        return free

    def _lost(self, carried: _Carried) -> NDArray[np.int64]:
        """The tracks that are searched for; a few are not worth the time: what begins in their places is as good."""
        lost = np.flatnonzero(~carried.found)
        return lost if len(lost) >= _FEW * len(carried.found) else lost[:0]

    def _may_rest(self, count: int) -> bool:
        """Whether no new tracks are looked for in a frame with so many: few were found lately, few have ended since."""
        return self._resting > 0 and count >= max(self._enough, self.options.max_tracks // 2)

    def _replenish(self, frame: _Frame, new: Features, velocity: Float32, renewed: NDArray[np.int64]) -> None:
        """Begin new tracks, and take new templates for them and for the rows of tracks that need one."""
        if len(new) == len(renewed) == 0:
            return
        begun = self._table.append(new, velocity, self._next_id, checked=self._unchecked_frames == 0)
        rows = np.concatenate([renewed, begun])
        self._next_id += len(new)
        self._table.put_templates(rows, self._sampler.take(frame.smooth, self._table.tracks.keypoints[rows]))

    def _begin(self, frame: _Frame, features: Features, free: Booleans, flown: FlowField) -> tuple[Features, Float32]:
        """Step 7: the detections that become tracks, and the velocities that they are expected to have."""
        options, shape, tracks = self.options, frame.smooth.shape, self._table.tracks
        places = features.keypoints
        free = free & open_places(places, tracks.keypoints, shape, options.spacing_pixels, self._sampler.reach)
        features = features[free]
        motion = flown.predict(features.keypoints) - features.keypoints
        life = frames_inside(features.keypoints, motion, shape)
        strength = texture(frame.thumbnail, shape, features.keypoints)
        worth = strength * np.minimum(life, options.life_enough)
        worth[(life < options.life_least) | (strength < options.texture)] = 0
        chosen = worthiest(worth, options.max_tracks - len(tracks))
        few = _FEW * options.max_tracks
        self._resting = _REST_FRAMES if len(chosen) < few else 0
        self._enough = len(tracks) + len(chosen) - int(few)
        if self._resting:
            # What is done in every so many frames only is not done in one and the same.
            self._unbent_frames = 0
        seconds = _seconds(self._last, frame) if self._last else 1.0
        return features[chosen], motion[chosen] / seconds
