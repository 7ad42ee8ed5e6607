"""Keypoints and track tails drawn on a recording: a video, one frame, or a sheet of frames."""

from __future__ import annotations

import itertools
import math
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.drawing import TrackTails, draw_tracks
from kp_ros.features import Tracks
from kp_ros.frontend import Frontend
from kp_ros.interruption import Interruption
from kp_ros.offline.watching import Summary, Watch, unwatched
from kp_ros.recordings import messages
from kp_ros.recordings.decoding import DecodedFrame, Decoding
from kp_ros.recordings.output import OutputError, OutputFile
from kp_ros.recordings.recording import Recording, RecordingError

Image = NDArray[np.uint8]

#: MPEG-4 plays everywhere but in browsers; VP9 there too, but takes ten times longer. OpenCV's wheels have no H.264.
CODECS = {".mp4": "mp4v", ".webm": "VP90"}
#: A sheet's width to height, as near as its pictures allow, and the most pixels a side.
SHEET_ASPECT, SHEET_SIDE = 1.6, 2560
#: Images smaller than this are drawn at twice their size, for lines thin enough.
SMALL = 900


class VideoFile:
    """Writes a video of BGR images; the first one gives the size, others are fitted into it.

    A context manager with the promise of :class:`~kp_ros.recordings.output.OutputFile`.

    :param path: ``.mp4`` or ``.webm``.
    :param rate: frames a second.
    :raises OutputError: this OpenCV has no encoder, the place cannot be written, or the disk is full.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self._rate = rate
        self._output = OutputFile(path)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._frames = 0

    def __enter__(self) -> VideoFile:
        self._temporary = self._output.__enter__()
        return self

    def write(self, image: Image) -> None:
        """Append one image, uint8 [H, W, 3] BGR."""
        if self._writer is None:
            # Encoders want even sizes.
            self._size = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
            codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self._rate, self._size)
            if not self._writer.isOpened():
                raise OutputError(
                    f"OpenCV cannot write {self.path}: this build has no encoder for {self.path.suffix}; "
                    "write a .png instead, or pip install opencv-python-headless"
                )
        # OpenCV's writer keeps errors of the disk to itself.
        if shutil.disk_usage(self.path.parent).free < image.nbytes:
            raise OutputError(
                f"the disk is full: {self.path} was not written; free some space, or give --output a place on another "
                "disk"
            )
        self._writer.write(fitted(image, *self._size))
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if error is None and self._frames and (readable := count_frames(self._temporary)) != self._frames:
            failure = OutputError(
                f"{self.path} was not written: only {readable} of {self._frames} frames reached the disk; check it, or "
                "give --output a place on another one"
            )
            self._output.__exit__(type(failure), failure, None)
            raise failure
        self._output.__exit__(kind, error, traceback)


def count_frames(path: Path) -> int:
    """How many frames of a video can be read."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    try:
        while capture.grab():
            count += 1
    finally:
        capture.release()
    return count


def overlay_video(
    recording: Recording,
    frontend: Frontend,
    output: Path,
    *,
    rate: float | None = None,
    tail: int = 15,
    title: str = "",
    watch: Watch = unwatched,
) -> Summary:
    """Draw every frame's tracks with their tails into a video.

    :param rate: frames a second of the video; None takes the recording's own.
    :param tail: frames that a tail reaches back.
    :param title: shown in the legend.
    :param watch: wraps the frames, e.g. in a progress bar.
    :raises RecordingError: no frame can be decoded.
    :raises OutputError: the output cannot be written; then nothing stays of it.
    """
    started, frames, points = time.perf_counter(), 0, 0
    decoding = Decoding(recording)
    with Interruption() as interruption, VideoFile(output, rate or measured_rate(recording)) as video:
        for decoded, tracks, tails in _followed(watch(decoding.frames()), frontend, tail):
            video.write(_picture(decoded, tracks, tails, title))
            frames, points = frames + 1, points + len(tracks)
            if interruption.requested:
                break
        if not frames:
            raise RecordingError(f"no frame of {recording.path} can be used; {'; '.join(decoding.notices)}")
    seconds = time.perf_counter() - started
    return Summary(output, frames, points, seconds, interruption.requested, decoding.notices)


def overlay_sheet(
    recording: Recording,
    frontend: Frontend,
    output: Path,
    *,
    frame: int | None = None,
    tiles: int = 6,
    tail: int = 15,
    title: str = "",
    watch: Watch = unwatched,
) -> Summary:
    """Draw one frame, or a sheet of frames evenly over the recording, into a picture.

    :param frame: number of the one frame to show, from 0; None makes a sheet.
    :param tiles: how many frames the sheet shows.
    """
    started, frames, points = time.perf_counter(), 0, 0
    decoding = Decoding(recording)
    count = recording.frame_count or sum(1 for _ in recording.frames())
    if frame is not None and not 0 <= frame < count:
        raise RecordingError(f"{recording.path} has no frame {frame}; choose one from 0 to {count - 1}")
    # The last of each of the sheet's equal parts: the first frames have no tails to show.
    wanted = {frame} if frame is not None else {(part + 1) * count // tiles - 1 for part in range(tiles)}
    chosen: list[Image] = []
    with Interruption() as interruption, OutputFile(output) as temporary:
        for decoded, tracks, tails in _followed(watch(decoding.frames()), frontend, tail):
            if frames in wanted or interruption.requested:
                chosen.append(_picture(decoded, tracks, tails, title))
            frames, points = frames + 1, points + len(tracks)
            if interruption.requested or (frame is not None and chosen):
                break
        if not chosen:
            raise RecordingError(
                f"{recording.path} ends after {frames} usable frames, before those to be shown; "
                f"{'; '.join(decoding.notices)}"
            )
        encoded = cv2.imencode(output.suffix, sheet(chosen))[1]
        temporary.write_bytes(encoded.tobytes())
    seconds = time.perf_counter() - started
    return Summary(output, frames, points, seconds, interruption.requested, decoding.notices)


def _followed(
    frames: Iterator[DecodedFrame], frontend: Frontend, tail: int
) -> Iterator[tuple[DecodedFrame, Tracks, TrackTails]]:
    """Each frame with its tracks and the tails as of that frame."""
    tails = TrackTails(tail)
    for decoded in frames:
        stamp_ns = messages.stamp_of(decoded.frame.message)
        tracks = frontend.process(decoded.image, stamp_ns, decoded.camera).tracks
        tails.update(tracks)
        yield decoded, tracks, tails


def _picture(decoded: DecodedFrame, tracks: Tracks, tails: TrackTails, title: str) -> Image:
    scale = 2 if decoded.image.shape[1] < SMALL else 1
    return draw_tracks(decoded.image, tracks, tails, scale=scale, title=title)


def sheet(pictures: list[Image], gap: int = 8) -> Image:
    """Pictures side by side and in rows, in reading order.

    :param pictures: uint8 [H, W, 3] each; those of another size than the first are fitted into its size.
    :param gap: black pixels between them.
    """
    height, width = pictures[0].shape[:2]
    count = len(pictures)
    columns = min(
        range(1, count + 1), key=lambda n: abs(math.log(n * width / (math.ceil(count / n) * height) / SHEET_ASPECT))
    )
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        whole[top : top + height, left : left + width] = fitted(picture, width, height)
    shrink = SHEET_SIDE / max(whole.shape[:2])
    if count == 1 or shrink >= 1:
        return whole
    return np.asarray(cv2.resize(whole, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)


def fitted(image: Image, width: int, height: int) -> Image:
    """The image as large as fits into a size, black around it."""
    if image.shape[:2] == (height, width):
        return image
    if image.shape[0] - height in (0, 1) and image.shape[1] - width in (0, 1):
        return image[:height, :width]
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
    frame = np.zeros((height, width, 3), np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return frame


def measured_rate(recording: Recording, frames: int = 50, fallback: float = 30.0) -> float:
    """Frames a second as recorded: the median of the first intervals."""
    times: list[int] = []
    stream = recording.frames()
    with suppress(StopIteration):
        while len(times) < frames:
            times.append(next(stream).recorded_ns)
    intervals = [after - before for before, after in itertools.pairwise(times) if after > before]
    return min(max(1e9 / statistics.median(intervals), 1.0), 240.0) if intervals else fallback
