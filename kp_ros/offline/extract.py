"""Features of a recording in one .npz file, for evaluation and for training."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import Detector
from kp_ros.features import Features, Tracks
from kp_ros.frontend import Frontend
from kp_ros.interruption import Interruption
from kp_ros.offline.watching import Summary, Watch, unwatched
from kp_ros.recordings import messages
from kp_ros.recordings.decoding import Decoding
from kp_ros.recordings.output import OutputFile, explained
from kp_ros.recordings.recording import Recording, RecordingError
from kp_ros.tracking.base import Tracker


def extract(
    recording: Recording,
    detector: Detector,
    output: Path,
    *,
    tracker: Tracker | None = None,
    watch: Watch = unwatched,
) -> Summary:
    """Write the detector's points of every frame, or with a tracker its points, to a .npz file.

    The arrays, for F frames with N points in all, those of frame i at ``offsets[i]:offsets[i + 1]``: ``names`` str [F]
    (file names for folders; they sort by time), ``stamps`` int64 [F] nanoseconds, ``offsets`` int64 [F + 1],
    ``keypoints`` float32 [N, 2] pixels, ``scores`` float32 [N], ``descriptors`` [N, D] (float32, or uint8 of packed
    bits), and with a tracker ``track_id`` int64 [N].

    :param watch: wraps the frames, e.g. in a progress bar.
    :raises RecordingError: no frame can be decoded.
    :raises OutputError: the output cannot be written; then nothing stays of it.
    """
    started = time.perf_counter()
    decoding = Decoding(recording)
    frontend = None if tracker is None else Frontend(detector, tracker)
    names: list[str] = []
    stamps: list[int] = []
    offsets = [0]
    with (
        Interruption() as interruption,
        OutputFile(output) as temporary,
        _Columns(output) as columns,
    ):
        for decoded in watch(decoding.frames()):
            stamp_ns = messages.stamp_of(decoded.frame.message)
            found: Features | Tracks
            if frontend is None:
                found = detector(decoded.image)
            else:
                tracks = frontend.process(decoded.image, stamp_ns, decoded.camera).tracks
                columns.append("track_id", tracks.track_id.astype(np.int64))
                found = tracks
            columns.append("keypoints", found.keypoints)
            columns.append("scores", found.scores)
            columns.append("descriptors", found.descriptors)
            names.append(decoded.frame.name)
            stamps.append(stamp_ns)
            offsets.append(offsets[-1] + len(found))
            if interruption.requested:
                break
        if not names:
            raise RecordingError(f"no frame of {recording.path} can be used; {'; '.join(decoding.notices)}")
        with temporary.open("wb") as file:
            np.savez(
                file,
                names=np.array(names),
                stamps=np.array(stamps, np.int64),
                offsets=np.array(offsets, np.int64),
                allow_pickle=False,
                **columns.arrays(offsets[-1]),
            )
    seconds = time.perf_counter() - started
    return Summary(output, len(names), offsets[-1], seconds, interruption.requested, decoding.notices)


class _Columns:
    """Arrays that grow by rows, on disk beside the output: an hour of descriptors does not fit into memory."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._files: dict[str, Any] = {}
        self._like: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> _Columns:
        return self

    def append(self, name: str, rows: NDArray[Any]) -> None:
        with explained(self._output):
            if name not in self._files:
                self._files[name] = tempfile.TemporaryFile(dir=self._output.parent)  # noqa: SIM115
                self._like[name] = rows[:0].copy()
            self._files[name].write(rows.astype(self._like[name].dtype, copy=False).tobytes())

    def arrays(self, rows: int) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for name, file in self._files.items():
            with explained(self._output):
                file.flush()
            like = self._like[name]
            shape = (rows, *like.shape[1:])
            # An empty file cannot be mapped.
            arrays[name] = (
                np.memmap(file, like.dtype, "r", shape=shape) if np.prod(shape) else np.zeros(shape, like.dtype)
            )
        return arrays

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
