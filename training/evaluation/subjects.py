"""What is judged: a detector with its descriptors, a detector's tracks, or corners followed by optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

import cv2
import onnxruntime

import kp_ros.detectors
import kp_ros.tracking
from kp_ros.detectors.base import Detector, ModelError
from kp_ros.detectors.model_file import find_model, read_model
from training.evaluation.cache import digest, source_digest

#: Detectors of OpenCV that have descriptors to match.
BASELINES = ("orb", "sift")
#: GFTT corners and pyramidal Lucas-Kanade.
FLOW = "klt"


class Kind(Enum):
    """How a subject finds the same point in two images."""

    DESCRIPTORS = "descriptors"
    TRACKS = "tracks"
    FLOW = "flow"


@dataclass(frozen=True)
class Subject:
    """One row of the tables.

    :ivar name: unique among the subjects.
    :ivar kind: how it finds the same point in two images.
    :ivar model: as :func:`kp_ros.detectors.load_detector` takes it; ``klt`` for flow.
    :ivar max_keypoints: the most keypoints an image.
    """

    name: str
    kind: Kind
    model: str
    max_keypoints: int

    @property
    def learned(self) -> bool:
        """Whether it is an exported model, not one of OpenCV's detectors."""
        return self.model not in (*BASELINES, FLOW)

    @cached_property
    def file_hash(self) -> str:
        """SHA-256 of the model's file; empty for OpenCV's detectors."""
        return read_model(find_model(self.model)).sha256 if self.learned else ""

    @cached_property
    def detector_digest(self) -> str:
        """Hash of all that its detector's keypoints depend on beside the image."""
        version = onnxruntime.__version__ if self.learned else cv2.__version__
        return digest(self.max_keypoints, self.file_hash or self.model, version, _package_digest(kp_ros.detectors))

    @cached_property
    def digest(self) -> str:
        """Hash of all that its tracks and matches depend on beside the images."""
        tracker = _package_digest(kp_ros.tracking) if self.kind is Kind.TRACKS else ""
        return digest(self.kind.value, self.detector_digest, tracker)

    def detector(self) -> Detector:
        """Load the detector, on one thread: the evaluation runs one subject a processor.

        :raises ModelError: the model cannot be used.
        """
        return kp_ros.detectors.load_detector(self.model, max_keypoints=self.max_keypoints, threads=1)

    def with_budget(self, max_keypoints: int) -> Subject:
        """The same subject with another keypoint budget."""
        return Subject(self.name, self.kind, self.model, max_keypoints)


def make_subjects(models: Sequence[str], max_keypoints: int, tracks: bool) -> list[Subject]:
    """Subjects of the models and baselines named, in their order.

    :param models: paths of exported models, names of shipped ones, ``orb``, ``sift`` or ``klt``.
    :param tracks: a learned model's own tracks, as the frontend makes them, are a second row.
    :raises ModelError: a model cannot be used, or has no descriptors.
    """
    subjects = []
    taken: set[str] = set()
    for model in models:
        if model == FLOW:
            subjects.append(Subject(FLOW, Kind.FLOW, FLOW, max_keypoints))
            continue
        if model not in BASELINES and read_model(find_model(model)).descriptor_size == 0:
            raise ModelError(f"{model} has no descriptors, so its keypoints cannot be matched")
        name = _unique(model if model in BASELINES else Path(model).stem, taken)
        subjects.append(Subject(name, Kind.DESCRIPTORS, model, max_keypoints))
        if tracks and model not in BASELINES:
            subjects.append(Subject(f"{name} + tracks", Kind.TRACKS, model, max_keypoints))
    return subjects


def _unique(name: str, taken: set[str]) -> str:
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name} ({number})", number + 1
    taken.add(chosen)
    return chosen


def _package_digest(package: object) -> str:
    folder = Path(str(getattr(package, "__file__", ""))).parent
    return source_digest(*folder.glob("*.py"))
