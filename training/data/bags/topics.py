"""Which topics of a bag make a data set."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kp_ros.recordings.bag_messages import BagMessages, Topic
from kp_ros.recordings.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from kp_ros.recordings.recording import RecordingError, camera_info_topic
from training.data.bags.decoding import DEPTH_ENCODINGS
from training.data.bags.transforms import TF_TYPES, frame_name

COMPRESSED_DEPTH = "/compressedDepth"
#: Message types that hold a pose, the best first: an Odometry names the frame that it is the pose of.
POSE_TYPES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/TransformStamped",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
)


@dataclass(frozen=True)
class AskedTopics:
    """What the user names; None leaves the choice to the program, an empty string says "none"."""

    image: str | None = None
    camera_info: str | None = None
    depth: str | None = None
    pose: str | None = None


@dataclass(frozen=True)
class ChosenTopics:
    """The topics of one camera.

    :ivar image: of the images.
    :ivar image_frame: frame id of the images; empty where the driver gives none.
    :ivar camera_info: of their calibration, or None.
    :ivar depth: or None.
    :ivar depth_frame: frame id of the depth images.
    :ivar depth_info: calibration of the depth camera, or None.
    :ivar pose: or None; ``/tf`` is never it.
    :ivar pose_type: message type of ``pose``.
    :ivar transforms: topics of /tf and /tf_static.
    :ivar notes: what was chosen among several, and what is not there.
    """

    image: str
    image_frame: str
    camera_info: str | None
    depth: str | None
    depth_frame: str
    depth_info: str | None
    pose: str | None
    pose_type: str
    transforms: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic that is read."""
        named = (self.image, self.camera_info, self.depth, self.depth_info, self.pose)
        return tuple(topic for topic in named if topic is not None) + self.transforms


def choose_topics(bag: BagMessages, asked: AskedTopics) -> ChosenTopics:
    """Choose the topics of one camera.

    Among several image topics, one with a CameraInfo comes first, then raw before compressed, then the one with most
    messages, then the first by name. Depth is best in the image's own frame; poses are best as Odometry.

    :raises RecordingError: there is no image topic, or one that was asked for is not there.
    """
    notes: list[str] = []
    topics = {topic.name: topic for topic in bag.topics if topic.count}
    infos = {name for name, topic in topics.items() if topic.message_type == CAMERA_INFO}
    pictures = [topic for topic in topics.values() if topic.message_type in (IMAGE, COMPRESSED_IMAGE)]
    firsts = {topic.name: first_message(bag, topic.name) for topic in pictures}
    depths = [topic for topic in pictures if _is_depth(topic, firsts[topic.name])]
    images = [topic for topic in pictures if topic not in depths and firsts[topic.name] is not None]
    image = _image(images, infos, asked.image, bag, notes)
    frame = _frame(firsts[image.name])
    camera_info = _camera_info(image.name, infos, asked.camera_info, notes)
    depth = _depth(depths, firsts, frame, asked.depth, notes)
    depth_info = None if depth is None else _beside(depth.name, infos)
    pose = _pose(topics.values(), asked.pose, notes)
    transforms = tuple(sorted(name for name, topic in topics.items() if topic.message_type in TF_TYPES))
    if pose is None and not transforms and asked.pose != "":
        notes.append("no poses: the bag has neither Odometry, nor a pose topic, nor /tf")
    return ChosenTopics(
        image=image.name,
        image_frame=frame,
        camera_info=camera_info,
        depth=None if depth is None else depth.name,
        depth_frame="" if depth is None else _frame(firsts[depth.name]),
        depth_info=depth_info,
        pose=None if pose is None else pose.name,
        pose_type="" if pose is None else pose.message_type,
        transforms=transforms,
        notes=tuple(notes),
    )


def first_message(bag: BagMessages, topic: str) -> Any:
    """The first readable message of a topic, or None."""
    with closing(bag.messages((topic,))) as stream:
        return next((message.content for message in stream if message.content is not None), None)


def _frame(message: Any) -> str:
    return "" if message is None else frame_name(message.header.frame_id)


def _is_depth(topic: Topic, first: Any) -> bool:
    if topic.name.endswith(COMPRESSED_DEPTH):
        return True
    if topic.message_type == COMPRESSED_IMAGE or first is None:
        return False
    # mono16 is light as well: thermal cameras have it.
    return bool(first.encoding in DEPTH_ENCODINGS and (first.encoding != "mono16" or "depth" in topic.name))


def _image(images: list[Topic], infos: set[str], asked: str | None, bag: BagMessages, notes: list[str]) -> Topic:
    if asked is not None:
        for topic in images:
            if topic.name == asked:
                return topic
        listing = ", ".join(topic.name for topic in images) or "none"
        raise RecordingError(f"the bag has no images on {asked}; its image topics are: {listing}")
    if not images:
        listing = ", ".join(f"{topic.name} ({topic.message_type})" for topic in bag.topics)
        raise RecordingError(f"the bag has no image topic that can be read; its topics are: {listing}")
    best = min(
        images,
        key=lambda topic: (
            camera_info_topic(topic.name) not in infos,
            topic.message_type == COMPRESSED_IMAGE,
            -topic.count,
            topic.name,
        ),
    )
    others = [topic.name for topic in images if topic is not best]
    if others:
        notes.append(f"took the images of {best.name}; with --image you choose another: {', '.join(sorted(others))}")
    return best


def _camera_info(image: str, infos: set[str], asked: str | None, notes: list[str]) -> str | None:
    if asked == "":
        return None
    if asked is not None:
        if asked not in infos:
            raise RecordingError(
                f"the bag has no CameraInfo on {asked}; there is: {', '.join(sorted(infos)) or 'none'}"
            )
        return asked
    beside = _beside(image, infos)
    if beside is not None:
        return beside
    if infos:
        notes.append(
            f"no calibration: nothing on {camera_info_topic(image)}; with --camera-info you choose among "
            f"{', '.join(sorted(infos))}"
        )
    else:
        notes.append(
            "no calibration: the bag has no CameraInfo; the data set can train methods that need images alone. Record "
            f"{camera_info_topic(image)} as well, or put a calib.json beside images/"
        )
    return None


def _beside(image: str, infos: set[str]) -> str | None:
    topic = camera_info_topic(image.removesuffix(COMPRESSED_DEPTH))
    return topic if topic in infos else None


def _depth(
    depths: list[Topic], firsts: dict[str, Any], frame: str, asked: str | None, notes: list[str]
) -> Topic | None:
    if asked == "" or (asked is None and not depths):
        return None
    if asked is not None:
        for topic in depths:
            if topic.name == asked:
                return topic
        listing = ", ".join(topic.name for topic in depths) or "none"
        raise RecordingError(f"the bag has no depth images on {asked}; its depth topics are: {listing}")
    best = min(
        depths,
        key=lambda topic: (
            _frame(firsts[topic.name]) != frame,
            topic.message_type == COMPRESSED_IMAGE,
            -topic.count,
            topic.name,
        ),
    )
    if len(depths) > 1:
        notes.append(f"took the depth of {best.name}; with --depth you choose another")
    return best


def _pose(topics: Iterable[Topic], asked: str | None, notes: list[str]) -> Topic | None:
    if asked in ("", "/tf"):
        return None
    candidates = [topic for topic in topics if topic.message_type in POSE_TYPES]
    if asked is not None:
        for topic in candidates:
            if topic.name == asked:
                return topic
        listing = ", ".join(topic.name for topic in candidates) or "none"
        raise RecordingError(f"the bag has no poses on {asked}; its pose topics are: {listing}")
    if not candidates:
        return None
    best = min(
        candidates,
        key=lambda topic: (
            POSE_TYPES.index(topic.message_type),
            "truth" not in topic.name,
            -topic.count,
            topic.name,
        ),
    )
    others = sorted(topic.name for topic in candidates if topic is not best)
    if others:
        notes.append(f"took the poses of {best.name}; with --pose you choose another: {', '.join(others)}")
    return best
