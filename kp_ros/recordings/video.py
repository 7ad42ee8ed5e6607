"""A video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from kp_ros.recordings import messages
from kp_ros.recordings.messages import NANOSECONDS
from kp_ros.recordings.recording import Frame, RecordingError, camera_info_topic


class Video:
    """Frames of a video, as bgr8 images, stamped with their time from the video's start.

    :param topic: what a replay publishes.
    :param rate: frames a second where the file does not tell times.
    :raises RecordingError: OpenCV cannot read it.
    """

    def __init__(self, path: Path, topic: str = "/camera/image_raw", rate: float = 30.0) -> None:
        self.path = path
        self.topic = topic
        self.camera_info_topic = camera_info_topic(topic)
        capture = cv2.VideoCapture(str(path))
        try:
            if not capture.isOpened():
                raise RecordingError(
                    f"{path} is no video that OpenCV can read, nor a bag (.mcap, .db3, .bag), nor a folder; "
                    f"convert a video with: ffmpeg -i {path} -c:v libx264 out.mp4"
                )
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            self._rate = capture.get(cv2.CAP_PROP_FPS) or rate
        finally:
            capture.release()
        self.frame_count = count if count > 0 else None
        self.notices = [f"{path} is a video without calibration: keypoints get no rays (x y z are NaN)"]

    def frames(self) -> Iterator[Frame]:
        """See :class:`~kp_ros.recordings.recording.Recording`."""
        capture = cv2.VideoCapture(str(self.path))
        # A phone's video held upright is turned by a mark in the file; keypoints are in the sensor's own pixels.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        number, last_ns = 0, -1
        try:
            while True:
                milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
                grabbed, pixels = capture.read()
                if not grabbed:
                    break
                stamp_ns = round(milliseconds * 1e6)
                if stamp_ns <= last_ns:
                    stamp_ns = last_ns + round(NANOSECONDS / self._rate) if number else 0
                yield Frame(f"{number:06d}", stamp_ns, messages.image(pixels, "bgr8", stamp_ns, "camera"), None)
                number, last_ns = number + 1, stamp_ns
        finally:
            capture.release()
        notice = f"{self.path} ends after {number} of {self.frame_count} frames: it is cut off or damaged there"
        # Containers often count a few frames too many.
        if self.frame_count and number < self.frame_count * 0.95 and notice not in self.notices:
            self.notices.append(notice)

    def close(self) -> None:
        """See :class:`~kp_ros.recordings.recording.Recording`. The file is open only while it is read."""
