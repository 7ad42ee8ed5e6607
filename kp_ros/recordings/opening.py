"""From a path to a recording, whatever it is stored as."""

from __future__ import annotations

from pathlib import Path

from kp_ros.recordings.bag_messages import is_bag
from kp_ros.recordings.bag_recording import BagRecording
from kp_ros.recordings.image_folder import ImageFolder
from kp_ros.recordings.recording import Recording, RecordingError
from kp_ros.recordings.video import Video


def open_recording(
    path: Path,
    *,
    topic: str | None = None,
    camera_info: str | None = None,
    rate: float = 30.0,
    companions: tuple[str, ...] = (),
) -> Recording:
    """Open a bag, a video or a folder of images.

    :param topic: of a bag's images, where it has several; of others, what a replay publishes.
    :param camera_info: of a bag's calibration, where it is not beside the images.
    :param rate: frames a second of a folder or video that does not tell.
    :param companions: topics of a bag's other images that come along with the frames.
    :raises RecordingError: it cannot be read; the message says why and what to do.
    """
    if not path.exists():
        raise RecordingError(
            f"{path} does not exist; give a bag (.mcap, .db3, .bag, folder), a video or a folder of images"
        )
    try:
        if is_bag(path):
            return BagRecording(path, topic, camera_info, companions)
        if path.is_dir():
            return ImageFolder(path, topic or "/camera/image_raw", rate)
        return Video(path, topic or "/camera/image_raw", rate)
    except PermissionError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}; give yourself the right to read it") from error
