"""One camera of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kp_ros.recordings import messages
from kp_ros.recordings.bag_messages import BagMessages, Topic, open_bag
from kp_ros.recordings.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, NANOSECONDS
from kp_ros.recordings.recording import Frame, RecordingError, camera_info_topic

#: Encodings of sensor_msgs/Image that hold distances, not light.
DEPTH_ENCODINGS = ("16UC1", "32FC1", "64FC1")


class BagRecording:
    """The images of one topic of a bag, each with the calibration that was current.

    A frame's calibration is the last one recorded before it; frames before the first one have the first one.

    :param path: a rosbag2 folder, .mcap, .db3, or a .bag of ROS 1.
    :param topic: the image topic; None takes the only one that there is. Depth images do not count.
    :param camera_info: the topic of the calibration; None takes ``camera_info`` beside the images.
    :param companions: topics of images whose messages come along with the frames, for example of depth.
    :raises RecordingError: nothing can be read, there is no such topic, or there are several to choose from.
    """

    def __init__(
        self,
        path: Path,
        topic: str | None = None,
        camera_info: str | None = None,
        companions: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self._companions = companions
        self.notices: list[str] = []
        self._bag = open_bag(path)
        try:
            chosen = _choose(self._bag, path, topic)
            self.topic = chosen.name
            self.frame_count: int | None = chosen.count
            self.camera_info_topic = camera_info or camera_info_topic(chosen.name)
            self._check_camera_info(asked=camera_info is not None)
        except BaseException:
            self._bag.close()
            raise

    def _check_camera_info(self, asked: bool) -> None:
        infos = [topic.name for topic in self._bag.topics if topic.message_type == CAMERA_INFO]
        if self.camera_info_topic in infos:
            return
        others = f"; name another with --camera-info: {', '.join(infos)}" if infos else ""
        lacking = f"{self.path} has no CameraInfo on {self.camera_info_topic}"
        if asked:
            raise RecordingError(f"{lacking}{others or '; it has none at all: leave --camera-info away'}")
        self.notices.append(f"{lacking}: keypoints get no rays (x y z are NaN){others}")

    def frames(self) -> Iterator[Frame]:
        """See :class:`~kp_ros.recordings.recording.Recording`."""
        current = self._first_camera_info()
        number = unreadable = 0
        companions: list[tuple[str, Any]] = []
        for message in self._bag.messages((self.topic, self.camera_info_topic, *self._companions)):
            if message.topic in self._companions:
                if message.content is not None:
                    companions.append((message.topic, ros2_image(message.content)))
            elif message.topic == self.camera_info_topic:
                current = ros2_camera_info(message.content) or current
            elif message.content is None:
                unreadable += 1
            else:
                image = ros2_image(message.content)
                seconds, nanoseconds = divmod(messages.stamp_of(image), NANOSECONDS)
                name = f"{number:06d}_{seconds}.{nanoseconds:09d}"
                yield Frame(name, message.recorded_ns, image, current, tuple(companions))
                companions.clear()
                number += 1
        broken = f"{unreadable} messages on {self.topic} are no images (broken bytes) and were skipped"
        for notice in (broken if unreadable else None, self._bag.damage):
            if notice and notice not in self.notices:
                self.notices.append(notice)

    def _first_camera_info(self) -> Any:
        if all(topic.name != self.camera_info_topic for topic in self._bag.topics):
            return None
        with closing(self._bag.messages((self.camera_info_topic,))) as stream:
            return next((info for message in stream if (info := ros2_camera_info(message.content))), None)

    def close(self) -> None:
        """See :class:`~kp_ros.recordings.recording.Recording`."""
        self._bag.close()


def _choose(bag: BagMessages, path: Path, topic: str | None) -> Topic:
    images = [
        candidate
        for candidate in bag.topics
        if candidate.message_type in (IMAGE, COMPRESSED_IMAGE) and not candidate.name.endswith("/compressedDepth")
    ]
    if topic is not None:
        chosen = [candidate for candidate in images if candidate.name == topic]
        if chosen:
            return chosen[0]
        raise RecordingError(f"{path} has no images on {topic}; {_listing(images, bag)}")
    if len(images) > 1:
        images = [candidate for candidate in images if not is_depth(bag, candidate)] or images
    if len(images) == 1:
        return images[0]
    problem = "has several image topics" if images else "has no image topic"
    raise RecordingError(f"{path} {problem}; {_listing(images, bag)}")


def _listing(images: list[Topic], bag: BagMessages) -> str:
    if images:
        return "choose with --topic: " + ", ".join(f"{topic.name} ({topic.count} images)" for topic in images)
    return "its topics are: " + ", ".join(f"{topic.name} ({topic.message_type})" for topic in bag.topics)


def is_depth(bag: BagMessages, topic: Topic) -> bool:
    """Whether the images of a topic hold distances, by its first message."""
    if topic.message_type != IMAGE:
        return False
    with closing(bag.messages((topic.name,))) as stream:
        first = next((message.content for message in stream if message.content is not None), None)
    return first is not None and first.encoding in DEPTH_ENCODINGS


def ros2_image(content: Any) -> Any:
    """The same image as a message of ROS 2: a bag of ROS 1, or of an old ROS 2, has its own message classes."""
    header = messages.header(messages.stamp_of(content), content.header.frame_id)
    if hasattr(content, "format"):
        return messages.make(COMPRESSED_IMAGE, header=header, format=content.format, data=content.data)
    names = ("height", "width", "encoding", "is_bigendian", "step", "data")
    return messages.make(IMAGE, header=header, **{name: getattr(content, name) for name in names})


def ros2_camera_info(content: Any) -> Any:
    """As :func:`ros2_image`; ROS 1 spells D, K, R and P in capitals. None stays None."""
    if content is None:
        return None
    matrices = {name: getattr(content, name, getattr(content, name.upper(), None)) for name in ("d", "k", "r", "p")}
    names = ("height", "width", "distortion_model", "binning_x", "binning_y")
    roi_names = ("x_offset", "y_offset", "height", "width", "do_rectify")
    return messages.make(
        CAMERA_INFO,
        header=messages.header(messages.stamp_of(content), content.header.frame_id),
        roi=messages.make(
            "sensor_msgs/msg/RegionOfInterest", **{name: getattr(content.roi, name) for name in roi_names}
        ),
        **{name: getattr(content, name) for name in names},
        **matrices,
    )
