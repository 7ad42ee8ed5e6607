"""A bag of a stereo or depth camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kp_ros.camera import CalibrationError, Camera
from kp_ros.depth_decoding import decode_compressed_depth, decode_depth
from kp_ros.features import Float32
from kp_ros.image_decoding import Grey, ImageError
from kp_ros.odometry.base import Mode
from kp_ros.recordings import messages
from kp_ros.recordings.bag_messages import BagMessages, Topic, open_bag
from kp_ros.recordings.bag_recording import is_depth, ros2_camera_info, ros2_image
from kp_ros.recordings.decoding import camera_of, decode
from kp_ros.recordings.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from kp_ros.recordings.recording import RecordingError, camera_info_topic
from kp_ros.recordings.sensor_folder import Rectification, remapped
from kp_ros.recordings.sensor_recording import SensorFrame, decimal_seconds
from kp_ros.synchronisation import Synchroniser

#: Parts of a topic's name that tell what it shows.
RIGHT_WORDS = ("right", "infra2", "image_1", "cam1", "fisheye2")
LEFT_WORDS = ("left", "infra1", "image_0", "cam0", "fisheye1")
#: Depth images of this kind are registered with the colour images.
REGISTERED_WORDS = ("aligned", "registered")
#: Messages of one topic that wait for their partners: recorders write topics in bursts.
CAPACITY = 50


class SensorBag:
    """Images of a bag, each with the right image or the depth image of its time.

    :param mode: None takes what the bag has: depth, else a right camera, else one camera.
    :param topic: of the (left) images; None takes the one that is neither depth nor right.
    :param second: of the right or the depth images; None takes the one whose name says so.
    :param camera_info: of the calibration; None takes ``camera_info`` beside the images.
    :param rectified: the images are rectified: CameraInfo's P describes them. Stereo's are taken for rectified, too, if
        their topic says so (``image_rect``); else they are rectified here, by CameraInfo's R and P.
    :param tolerance_ns: the most that the stamps of a pair differ.
    :raises RecordingError: a topic is missing, or there are several to choose from.
    """

    def __init__(
        self,
        path: Path,
        mode: Mode | None = None,
        *,
        topic: str | None = None,
        second: str | None = None,
        camera_info: str | None = None,
        rectified: bool = False,
        tolerance_ns: int = 20_000_000,
    ) -> None:
        self.path = path
        self.notices: list[str] = []
        self._tolerance_ns = tolerance_ns
        self._bag = open_bag(path)
        try:
            self._images = [one for one in self._bag.topics if one.message_type in (IMAGE, COMPRESSED_IMAGE)]
            self._depths = [one for one in self._images if _is_depth(self._bag, one)]
            lights = [one for one in self._images if one not in self._depths]
            rights = [one for one in lights if _says(one, RIGHT_WORDS)]
            self.mode = mode or self._mode(second, rights)
            first = [one for one in lights if one not in rights] or lights
            if len(first) > 1 and self.mode is Mode.STEREO:
                first = [one for one in first if _says(one, LEFT_WORDS)] or first
            self.topic = self._choose("images", topic, first, "--topic")
            self.frame_count: int | None = next(one.count for one in self._images if one.name == self.topic)
            self.second: str | None = None
            if self.mode is Mode.STEREO:
                self.second = self._choose("right images", second, rights, "--right")
            elif self.mode is Mode.RGBD:
                preferred = [one for one in self._depths if _says(one, REGISTERED_WORDS)]
                self.second = self._choose("depth images", second, preferred or self._depths, "--depth")
            self._is_rectified = rectified
            self._is_described_by_p = rectified or self.mode is Mode.STEREO
            self._info_topic = self._info(camera_info or camera_info_topic(self.topic))
            if self.mode is Mode.STEREO and self.second is not None:
                self._right_info_topic = self._info(camera_info_topic(self.second))
        except BaseException:
            self._bag.close()
            raise

    def _mode(self, second: str | None, rights: list[Topic]) -> Mode:
        if self._depths and (second is None or any(one.name == second for one in self._depths)):
            return Mode.RGBD
        return Mode.STEREO if rights or second else Mode.MONO

    def _choose(self, what: str, asked: str | None, candidates: list[Topic], option: str) -> str:
        if asked is not None:
            if any(one.name == asked for one in self._images):
                return asked
            raise RecordingError(f"{self.path} has no images on {asked}; {self._listing(option)}")
        if len(candidates) == 1:
            return candidates[0].name
        raw = [one for one in candidates if one.message_type == IMAGE]
        if len(raw) == 1:
            return raw[0].name
        number = "several topics" if candidates else "no topic"
        raise RecordingError(f"{self.path} has {number} of {what}; {self._listing(option)}")

    def _listing(self, option: str) -> str:
        if not self._images:
            return "its topics are: " + ", ".join(f"{one.name} ({one.message_type})" for one in self._bag.topics)
        return f"choose with {option}: " + ", ".join(f"{one.name} ({one.count} images)" for one in self._images)

    def _info(self, topic: str) -> str:
        infos = [one.name for one in self._bag.topics if one.message_type == CAMERA_INFO]
        if topic in infos:
            return topic
        if len(infos) == 1 and self.mode is not Mode.STEREO:
            return infos[0]
        others = f"name it with --camera-info: {', '.join(infos)}" if infos else "record it with the images"
        raise RecordingError(f"{self.path} has no CameraInfo on {topic}, and odometry needs one; {others}")

    def frames(self) -> Iterator[SensorFrame]:
        """See :class:`~kp_ros.recordings.sensor_recording.SensorRecording`.

        :raises RecordingError: the calibration cannot be used.
        """
        info = self._first(self._info_topic)
        baseline, rectification = None, None
        if self.mode is Mode.STEREO:
            right_info = self._first(self._right_info_topic)
            baseline = self._baseline(right_info)
            if not (self._is_rectified or "rect" in self.topic):
                rectification = Rectification(self._maps(info), self._maps(right_info))
                self._notice(
                    f"{self.topic} and {self.second} are rectified by their CameraInfo (--rectified: they are)"
                )
        synchroniser: Synchroniser[Any, Any] = Synchroniser(self._tolerance_ns, CAPACITY)
        topics = [one for one in (self.topic, self.second, self._info_topic) if one is not None]
        number = unusable = 0
        reason = ""
        for message in self._bag.messages(topics):
            content = message.content
            if content is None:
                unusable, reason = unusable + (message.topic != self._info_topic), "broken bytes"
                continue
            if message.topic == self._info_topic:
                info = content
                continue
            stamp_ns = messages.stamp_of(content)
            first, second = content, None
            if self.second is not None:
                add = synchroniser.add_first if message.topic == self.topic else synchroniser.add_second
                pair = add(stamp_ns, content)
                if pair is None:
                    continue
                stamp_ns, first, second = pair.stamp_ns, pair.first, pair.second
            try:
                yield self._frame(number, stamp_ns, first, second, info, baseline, rectification)
                number += 1
            except ImageError as error:
                unusable, reason = unusable + 1, str(error)
        if synchroniser.unpaired_first:
            self._notice(
                f"{synchroniser.unpaired_first} images have no partner on {self.second} within "
                f"{self._tolerance_ns / 1e6:g} ms and were left out (--tolerance)"
            )
        if unusable:
            self._notice(f"{unusable} messages could not be decoded and were left out; the last: {reason}")
        if self._bag.damage:
            self._notice(self._bag.damage)

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)

    def _maps(self, info: Any) -> tuple[Any, Any]:
        """Where each pixel of the rectified image comes from."""
        raw, rectified = ros2_camera_info(info), self._camera(info)
        camera = camera_of(raw)
        make = cv2.fisheye.initUndistortRectifyMap if camera.model == "equidistant" else cv2.initUndistortRectifyMap
        turn = np.array(raw.r, np.float64).reshape(3, 3)
        size = (camera.width, camera.height)
        maps = make(camera.matrix, camera.distortion, turn, rectified.matrix, size, cv2.CV_16SC2)
        return maps[0], maps[1]

    def _frame(
        self,
        number: int,
        stamp_ns: int,
        first: Any,
        second: Any,
        info: Any,
        baseline: float | None,
        rectification: Rectification | None,
    ) -> SensorFrame:
        image = decode(ros2_image(first))
        right: Grey | None = None
        depth: Float32 | None = None
        if self.mode is Mode.STEREO:
            right = decode(ros2_image(second))
            if rectification is not None:
                image, right = remapped(image, rectification.left), remapped(right, rectification.right)
        elif self.mode is Mode.RGBD:
            depth = _decode_depth(second)
        time = decimal_seconds(stamp_ns)
        camera = self._camera(info).resized(image.shape[1], image.shape[0])
        return SensorFrame(f"{number:06d}_{time}", stamp_ns, time, image, camera, right, baseline, depth)

    def _camera(self, info: Any) -> Camera:
        try:
            return camera_of(ros2_camera_info(info), self._is_described_by_p)
        except CalibrationError as error:
            raise RecordingError(f"{self.path}, {self._info_topic}: {error}") from error

    def _baseline(self, info: Any) -> float:
        projection = ros2_camera_info(info).p
        if projection[0] == 0 or projection[3] >= 0:
            raise RecordingError(
                f"{self.path}: the CameraInfo on {self._right_info_topic} has no baseline (P[3] is {projection[3]:g}); "
                "calibrate the pair with camera_calibration, and exchange --topic and --right if they are swapped"
            )
        return float(-projection[3] / projection[0])

    def _first(self, topic: str) -> Any:
        with closing(self._bag.messages((topic,))) as stream:
            for message in stream:
                if message.content is not None:
                    return message.content
        raise RecordingError(f"{self.path} has no readable CameraInfo on {topic}, and odometry needs one")

    def close(self) -> None:
        """See :class:`~kp_ros.recordings.sensor_recording.SensorRecording`."""
        self._bag.close()


def _says(topic: Topic, words: tuple[str, ...]) -> bool:
    return any(word in topic.name.lower() for word in words)


def _is_depth(bag: BagMessages, topic: Topic) -> bool:
    return topic.name.endswith("/compressedDepth") or is_depth(bag, topic)


def _decode_depth(content: Any) -> Float32:
    if hasattr(content, "format"):
        return decode_compressed_depth(content.format, content.data)
    return decode_depth(
        content.encoding, content.height, content.width, content.step, bool(content.is_bigendian), content.data
    )
