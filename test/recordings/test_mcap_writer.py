from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from drives import FRAMES, IMAGE_TOPIC, INFO_TOPIC, Drive, WriteBag
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability

from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.output import OutputError


def test_others_read_it(tmp_path: Path, drive: Drive, write_mcap: WriteBag) -> None:
    path = write_mcap(tmp_path / "drive.mcap")
    with AnyReader([path]) as bag:
        assert {connection.topic: connection.msgcount for connection in bag.connections} == {
            IMAGE_TOPIC: FRAMES,
            INFO_TOPIC: FRAMES,
        }
        images = [
            (stamp_ns, bag.deserialize(raw, connection.msgtype))
            for connection, stamp_ns, raw in bag.messages()
            if connection.topic == IMAGE_TOPIC
        ]
    assert [stamp_ns for stamp_ns, _ in images] == drive.stamps
    np.testing.assert_array_equal(images[3][1].data.reshape(120, 160), drive.images[3])
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None
        schemas = {schema.name: schema for schema in summary.schemas.values()}
        assert schemas[messages.IMAGE].encoding == "ros2msg"
        # Foxglove needs the definitions of the fields' types in the same text.
        assert b"MSG: std_msgs/Header" in schemas[messages.IMAGE].data
        assert sum(1 for _ in reader.iter_messages()) == 2 * FRAMES


def test_latched_topics(tmp_path: Path) -> None:
    path = tmp_path / "latched.mcap"
    with McapWriter(path) as bag:
        bag.add_topic("/model", "std_msgs/msg/String", latched=True)
        bag.write("/model", messages.make("std_msgs/msg/String", data="kp_base"), 1)
    with AnyReader([path]) as reader:
        (connection,) = reader.connections
        (qos,) = connection.ext.offered_qos_profiles  # type: ignore[union-attr]
        assert isinstance(qos, Qos)
        assert qos.durability is QosDurability.TRANSIENT_LOCAL


def test_nothing_stays_of_a_bag_that_failed(tmp_path: Path, drive: Drive) -> None:
    with pytest.raises(ZeroDivisionError), McapWriter(tmp_path / "half.mcap") as bag:
        bag.write(IMAGE_TOPIC, drive.image(0), drive.stamps[0])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 2000])
def test_full_disk(tmp_path: Path, drive: Drive, count: int) -> None:
    """Early, while a chunk is written, or not before the file is closed."""
    path = tmp_path / "out.mcap"
    (tmp_path / f".out.{os.getpid()}.part.mcap").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"), McapWriter(path) as bag:
        for index in range(count):
            bag.write(IMAGE_TOPIC, drive.image(index % FRAMES), drive.stamps[0] + index)
    assert list(tmp_path.iterdir()) == []
