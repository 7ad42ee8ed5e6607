"""How offline work shows its progress without knowing a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kp_ros.recordings.decoding import DecodedFrame

#: Wraps the frames of a recording, for example in a progress bar.
Watch = Callable[[Iterator[DecodedFrame]], Iterator[DecodedFrame]]


def unwatched(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """No progress bar."""
    return frames


@dataclass(frozen=True)
class Summary:
    """What a piece of offline work did.

    :ivar output: the file that was written.
    :ivar frames: how many frames are in it.
    :ivar points: keypoints or tracks in all those frames.
    :ivar seconds: wall time.
    :ivar interrupted: Ctrl-C came before the recording's end; the file is whole and holds the frames until then.
    :ivar notices: what the user should know of the recording.
    """

    output: Path
    frames: int
    points: int
    seconds: float
    interrupted: bool
    notices: list[str]
