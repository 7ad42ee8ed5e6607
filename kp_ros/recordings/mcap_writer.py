"""Writes MCAP files that ``ros2 bag``, Foxglove and this project read, without ROS.

>>> with McapWriter(Path("drive.mcap")) as bag:
...     bag.write("/camera/image", messages.image(pixels, "bgr8", stamp_ns, "camera"), stamp_ns)
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.writer import CompressionType, Writer
from rosbags.typesys.store import Typestore

from kp_ros import __version__
from kp_ros.recordings.messages import typestore
from kp_ros.recordings.output import OutputFile, explained

#: What rosbag2 needs to give a topic's later subscribers its last message (``ros2 bag play`` reads it); rmw's enums.
LATCHED_QOS = """- history: 1
  depth: 1
  reliability: 1
  durability: 1
  deadline:
    sec: 9223372036
    nsec: 854775807
  lifespan:
    sec: 9223372036
    nsec: 854775807
  liveliness: 1
  liveliness_lease_duration:
    sec: 9223372036
    nsec: 854775807
  avoid_ros_namespace_conventions: false
"""


class McapWriter:
    """One MCAP file, profile ``ros2``, schemas as ros2msg text, chunks compressed with zstd.

    As a context manager it puts the file under its name, finished and synced, at a normal end and removes it on any
    exception: see :class:`~kp_ros.recordings.output.OutputFile`.

    :param path: the file to write.
    :param types: where message definitions are found; rosbags' store of ROS 2 types unless told otherwise.
    :raises OutputError: the place cannot be written, or the disk is full.
    """

    def __init__(self, path: Path, types: Typestore | None = None) -> None:
        self.path = path
        self._types = types or typestore()
        self._output = OutputFile(path)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def __enter__(self) -> McapWriter:
        self._file = self._output.__enter__().open("wb")
        self._writer = Writer(self._file, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library=f"kp_ros {__version__}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with explained(self.path):
                    self._writer.finish()
                    self._file.close()
        except BaseException as failure:
            self._abandon()
            self._output.__exit__(type(failure), failure, failure.__traceback__)
            raise
        if error is not None:
            self._abandon()
        self._output.__exit__(kind, error, traceback)

    def _abandon(self) -> None:
        # A full disk refuses the last buffered bytes of a file that is thrown away.
        with suppress(OSError):
            self._file.close()

    def add_topic(self, topic: str, message_type: str, *, latched: bool = False) -> None:
        """Declare a topic; :meth:`write` does it by itself for ordinary ones.

        :param latched: its last message is for later subscribers too (transient local).
        """
        if topic in self._channels:
            return
        if message_type not in self._schemas:
            definition, _ = self._types.generate_msgdef(message_type, ros_version=2)
            self._schemas[message_type] = self._writer.register_schema(message_type, "ros2msg", definition.encode())
        metadata = {
            "offered_qos_profiles": LATCHED_QOS if latched else "",
            "topic_type_hash": self._types.hash_rihs01(message_type),
        }
        self._channels[topic] = self._writer.register_channel(topic, "cdr", self._schemas[message_type], metadata)
        self._counts[topic] = 0

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Serialise a message of rosbags and write it.

        :param message: of any type in the type store, e.g. from :mod:`kp_ros.recordings.messages`.
        :param stamp_ns: log and publish time, nanoseconds.
        """
        self.write_cdr(topic, message.__msgtype__, self._types.serialize_cdr(message, message.__msgtype__), stamp_ns)

    def write_cdr(self, topic: str, message_type: str, cdr: bytes | memoryview, stamp_ns: int) -> None:
        """Write a message that is serialised already, as it is."""
        with explained(self.path):
            self.add_topic(topic, message_type)
            channel, sequence = self._channels[topic], self._counts[topic]
            self._writer.add_message(channel, stamp_ns, bytes(cdr), stamp_ns, sequence)
            self._counts[topic] = sequence + 1
