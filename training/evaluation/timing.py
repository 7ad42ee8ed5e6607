"""Time a frame, from a grey image to keypoints (or tracks), on this machine."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.tracking import load_tracker
from training.data.sequence import Image, Sequence
from training.evaluation.cache import Cache, digest
from training.evaluation.linking import FlowLinker
from training.evaluation.subjects import Kind, Subject

#: As a robot would run it: :func:`kp_ros.detectors.load_detector` takes two threads too.
THREADS = 2
#: Frames that are not counted: the first ones build sessions and fill caches.
WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """How long one frame takes.

    :ivar median: milliseconds.
    :ivar slow: nine of ten frames are faster, milliseconds.
    :ivar width: of the images, pixels.
    :ivar height: likewise.
    :ivar processor: name of the processor.
    :ivar load: work that waited for or ran on each processor when the measurement began; above 1, other programs
        slowed it down.
    :ivar measured: when, ISO 8601.
    """

    median: float
    slow: float
    width: int
    height: int
    processor: str
    load: float
    measured: str


def time_subject(subject: Subject, sequence: Sequence, frames: int, cache: Cache) -> Timing:
    """Time a subject on the first frames of a sequence, or look up what was measured on this machine before.

    Nothing else of this program should run meanwhile.
    """
    images = [sequence.grey(index) for index in range(min(len(sequence), frames + WARM_UP))]
    processor = processor_name()
    key = digest("timing", subject.digest, processor, THREADS, *images)

    def measure() -> dict[str, Any]:
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(THREADS)
        try:
            seconds = _seconds(subject, sequence, images)[WARM_UP:]
        finally:
            cv2.setNumThreads(threads)
        height, width = images[0].shape
        median, slow = (float(1000 * np.quantile(seconds, share)) for share in (0.5, 0.9))
        now = datetime.now().isoformat(timespec="seconds")
        return asdict(Timing(median, slow, width, height, processor, load, now))

    return Timing(**cache.json(key, measure))


def processor_name() -> str:
    """The processor's own name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _seconds(subject: Subject, sequence: Sequence, images: list[Image]) -> list[float]:
    if subject.kind is Kind.FLOW:
        return _flow_seconds(sequence.subset(range(len(images))), subject.max_keypoints)
    detector = load_detector(subject.model, max_keypoints=subject.max_keypoints, threads=THREADS)
    try:
        seconds = []
        frontend = Frontend(detector, load_tracker(subject.max_keypoints))
        for index, image in enumerate(images):
            start = time.perf_counter()
            if subject.kind is Kind.TRACKS:
                frontend.process(image, int(sequence.stamps_ns[index]), sequence.camera(index))
            else:
                detector(image)
            seconds.append(time.perf_counter() - start)
        return seconds
    finally:
        detector.close()


def _flow_seconds(sequence: Sequence, max_keypoints: int) -> list[float]:
    linker = FlowLinker(sequence, max_keypoints)
    linker.begin()
    seconds = []
    for frame in range(1, len(sequence)):
        # Reading the image is not the method's time.
        linker.load(frame)
        start = time.perf_counter()
        links = linker.link(frame)
        linker.advance(frame, links, np.ones(len(links.sources), np.bool_))
        seconds.append(time.perf_counter() - start)
    return seconds
