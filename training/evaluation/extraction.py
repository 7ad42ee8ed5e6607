"""Keypoints of images and tracks of sequences, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import Detector, DetectorInfo
from kp_ros.features import Features, Float32
from kp_ros.frontend import Frontend
from kp_ros.tracking import load_tracker
from training.data.sequence import Image, Sequence
from training.evaluation.cache import Arrays, Cache, digest
from training.evaluation.subjects import Kind, Subject

#: Called after every image: counts progress, and raises where the work shall end.
Tick = Callable[[], None]


@dataclass(frozen=True)
class Keypoints:
    """What a subject found in one image.

    :ivar keypoints: float32 [N, 2], pixels.
    :ivar descriptors: [N, D], see :class:`kp_ros.features.Features`; empty for tracks.
    :ivar ids: uint32 [N], track ids; None without tracks.
    """

    keypoints: Float32
    descriptors: NDArray[Any]
    ids: NDArray[np.uint32] | None = None


class Extractor:
    """A subject's keypoints, from the cache or from its detector, which is loaded when it is first needed."""

    def __init__(self, subject: Subject, cache: Cache) -> None:
        self.subject = subject
        self._cache = cache
        self._loaded: Detector | None = None

    def __call__(self, image: Image) -> Keypoints:
        """Detect and describe in one grey image, uint8 [H, W]."""
        features = self.features(image)
        return Keypoints(features.keypoints, features.descriptors)

    def features(self, image: Image) -> Features:
        """Detect and describe in one grey image, uint8 [H, W]; with scores."""
        key = digest("features", self.subject.detector_digest, image)
        return Features(**self._cache.arrays(key, lambda: self._detect(image)))

    def sequence(self, sequence: Sequence, content: str, tick: Tick) -> list[Keypoints]:
        """Keypoints of every frame; with ids where the subject is a tracker.

        :param content: :func:`sequence_digest` of the sequence.
        """
        if self.subject.kind is not Kind.TRACKS:
            found = []
            for index in range(len(sequence)):
                found.append(self(sequence.grey(index)))
                tick()
            return found
        key = digest("tracks", self.subject.digest, content)
        arrays = self._cache.arrays(key, lambda: self._track(sequence, tick))
        ends = np.cumsum(arrays["counts"])[:-1]
        empty = np.zeros((0, 0), np.float32)
        rows = zip(np.split(arrays["keypoints"], ends), np.split(arrays["ids"], ends), strict=True)
        return [Keypoints(keypoints, empty, ids) for keypoints, ids in rows]

    @property
    def info(self) -> DetectorInfo:
        """Which detector it is."""
        return self._detector().info

    def close(self) -> None:
        """Free the detector."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def _detector(self) -> Detector:
        if self._loaded is None:
            self._loaded = self.subject.detector()
        return self._loaded

    def _detect(self, image: Image) -> Arrays:
        features = self._detector()(image)
        return {"keypoints": features.keypoints, "scores": features.scores, "descriptors": features.descriptors}

    def _track(self, sequence: Sequence, tick: Tick) -> Arrays:
        frontend = Frontend(_Remembering(self), load_tracker(self.subject.max_keypoints))
        tracks = []
        for index in range(len(sequence)):
            stamp = int(sequence.stamps_ns[index])
            tracks.append(frontend.process(sequence.grey(index), stamp, sequence.camera(index)).tracks)
            tick()
        return {
            "keypoints": np.concatenate([frame.keypoints for frame in tracks]),
            "ids": np.concatenate([frame.track_id for frame in tracks]),
            "counts": np.array([len(frame) for frame in tracks]),
        }


class _Remembering:
    """The frontend's detector that asks the cache first."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    @property
    def info(self) -> DetectorInfo:
        return self._extractor.info

    def __call__(self, image: Image) -> Features:
        return self._extractor.features(image)

    def close(self) -> None:
        self._extractor.close()


def sequence_digest(sequence: Sequence) -> str:
    """Hash of a sequence's images, times, cameras, poses and depth."""
    parts: list[object] = [sequence.name, sequence.stamps_ns, sequence.depth_registered]
    for camera in sequence.cameras or ():
        parts += [camera.matrix, camera.distortion, camera.model]
    if sequence.poses is not None:
        parts.append(sequence.poses)
    for index in range(len(sequence)):
        parts.append(sequence.image(index))
        if sequence.depth_registered:
            parts.append(sequence.depth(index))
    return digest(*parts)
