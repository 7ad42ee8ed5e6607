"""Bags whose index is missing or broken (a robot that lost power): their messages, from the front to where they end.

The formats: https://mcap.dev/spec, https://wiki.ros.org/Bags/Format/2.0, and rosbag2_storage_sqlite3's tables.
"""

from __future__ import annotations

import bz2
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Schema
from rosbags.rosbag1.reader import Header, RecordType


class DamageError(Exception):
    """The readable part of a file ends here. The message says what was met."""


@dataclass(frozen=True)
class BagRecord:
    """One message, still in bytes.

    :ivar topic: its name.
    :ivar message_type: as ROS 2 spells it.
    :ivar recorded_ns: nanoseconds.
    :ivar data: the serialised message.
    :ivar encoding: of ``data``: ``cdr`` or ``ros1``.
    :ivar definition: text of the message type; empty where the bag holds none.
    :ivar definition_format: ``ros2msg``, ``ros2idl``, ``ros1msg`` or empty.
    """

    topic: str
    message_type: str
    recorded_ns: int
    data: bytes
    encoding: str
    definition: str
    definition_format: str


def bag_records(path: Path) -> Iterator[BagRecord]:
    """The messages of one storage file in the order of the file.

    :raises DamageError: after the last message that can be read, when the file does not end as it should.
    """
    readers: dict[str, Callable[[Path], Iterator[BagRecord]]] = {
        ".mcap": _mcap_records,
        ".db3": _sqlite_records,
        ".bag": _ros1_records,
        ".active": _ros1_records,
    }
    return readers[path.suffix](path)


def _mcap_records(path: Path) -> Iterator[BagRecord]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with path.open("rb") as file:
        if file.read(8) != b"\x89MCAP0\r\n":
            raise DamageError("it does not begin as an MCAP file does")
        for opcode, body in _mcap_flat(file):
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(ReadDataStream(BytesIO(body)))
                schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(body)))
                channels[channel.id] = channel
            elif opcode == Opcode.MESSAGE:
                channel_id, _, recorded_ns, _ = struct.unpack_from("<HIQQ", body)
                channel = channels.get(channel_id)
                if channel is None or channel.schema_id not in schemas:
                    continue
                schema = schemas[channel.schema_id]
                yield BagRecord(
                    channel.topic,
                    _ros2_type(schema.name),
                    recorded_ns,
                    body[22:],
                    channel.message_encoding,
                    schema.data.decode(errors="replace"),
                    schema.encoding,
                )
            elif opcode == Opcode.FOOTER:
                return


def _mcap_flat(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Records with those inside chunks; of a chunk that is cut off, those that are there."""
    while True:
        opcode, body, whole = _mcap_record(file)
        if opcode == Opcode.CHUNK and len(body) > 32:
            (name_length,) = struct.unpack_from("<I", body, 28)
            compression = body[32 : 32 + name_length].decode(errors="replace")
            chunk = BytesIO(_decompress(compression, body[40 + name_length :]))
            while True:
                inner_opcode, inner_body, inner_whole = _mcap_record(chunk)
                if not inner_whole:
                    break
                yield inner_opcode, inner_body
        elif whole:
            yield opcode, body
        if not whole:
            raise DamageError("the file is cut off")


def _mcap_record(file: BinaryIO) -> tuple[int, bytes, bool]:
    """Opcode, body, and whether all of it was there."""
    head = file.read(9)
    if len(head) < 9:
        return 0, b"", False
    opcode, length = struct.unpack("<BQ", head)
    body = file.read(min(length, 1 << 32))
    return opcode, body, len(body) == length


def _decompress(compression: str, data: bytes) -> bytes:
    """As much as a chunk, perhaps cut off, gives."""
    decompressors: dict[str, Callable[[], object]] = {
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "bz2": bz2.BZ2Decompressor,
    }
    if compression in ("", "none"):
        return data
    if compression not in decompressors:
        raise DamageError(f"its compression '{compression}' is not known")
    decompressor = decompressors[compression]()
    plain = bytearray()
    try:
        # In small steps: what came before a corrupt byte is kept.
        for start in range(0, len(data), 4096):
            plain += decompressor.decompress(data[start : start + 4096])  # type: ignore[attr-defined]
    except (zstandard.ZstdError, RuntimeError, EOFError, OSError):
        pass
    return bytes(plain)


def _sqlite_records(path: Path) -> Iterator[BagRecord]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            # SQLite refuses a file shorter than its header says, unless it is told that someone is repairing it.
            database.execute("PRAGMA writable_schema=ON")
            topics = {
                row[0]: row[1:] for row in database.execute("SELECT id, name, type, serialization_format FROM topics")
            }
            definitions = _sqlite_definitions(database)
            # In the order of rows: the index by time is the first thing that a cut takes away.
            for topic_id, recorded_ns, data in database.execute(
                "SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY rowid"
            ):
                name, message_type, encoding = topics[topic_id]
                definition, definition_format = definitions.get(message_type, ("", ""))
                yield BagRecord(name, message_type, recorded_ns, data, encoding, definition, definition_format)
    except (sqlite3.Error, KeyError) as error:
        raise DamageError(str(error)) from error


def _sqlite_definitions(database: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    try:
        rows = database.execute("SELECT topic_type, encoded_message_definition, encoding FROM message_definitions")
        return {message_type: (definition, encoding) for message_type, definition, encoding in rows}
    except sqlite3.Error:
        # Before Iron there is no such table; a cut may have taken it.
        return {}


def _ros1_records(path: Path) -> Iterator[BagRecord]:
    connections: dict[int, tuple[str, str, str]] = {}
    with path.open("rb") as file:
        if file.readline() != b"#ROSBAG V2.0\n":
            raise DamageError("it does not begin as a bag of ROS 1 does")
        for header, data in _ros1_flat(file):
            operation = header.get_uint8("op")
            if operation == RecordType.CONNECTION:
                fields = Header.read(BytesIO(struct.pack("<I", len(data)) + data))
                connections[header.get_uint32("conn")] = (
                    header.get_string("topic"),
                    _ros2_type(fields.get_string("type")),
                    fields.get_string("message_definition"),
                )
            elif operation == RecordType.MSGDATA and header.get_uint32("conn") in connections:
                topic, message_type, definition = connections[header.get_uint32("conn")]
                yield BagRecord(topic, message_type, header.get_time("time"), data, "ros1", definition, "ros1msg")


def _ros1_flat(file: BinaryIO) -> Iterator[tuple[Header, bytes]]:
    while True:
        record = _ros1_record(file)
        if record is None:
            return
        header, data, whole = record
        if header.get_uint8("op") == RecordType.CHUNK:
            chunk = BytesIO(_decompress(header.get_string("compression"), data))
            while (inner := _ros1_record(chunk)) is not None and inner[2]:
                yield inner[:2]
        elif whole:
            yield header, data
        if not whole:
            raise DamageError("the file is cut off")


def _ros1_record(file: BinaryIO) -> tuple[Header, bytes, bool] | None:
    """Header, data, and whether all of it was there; None at the end of the file."""
    head = file.read(4)
    if not head:
        return None
    (header_length,) = struct.unpack("<I", head.ljust(4, b"\0"))
    header_bytes = file.read(header_length)
    length_bytes = file.read(4)
    if len(length_bytes) < 4:
        header = Header()
        header["op"] = b"\0"
        return header, b"", False
    header = Header.read(BytesIO(head + header_bytes))
    (length,) = struct.unpack("<I", length_bytes)
    data = file.read(length)
    return header, data, len(data) == length


def _ros2_type(name: str) -> str:
    """``sensor_msgs/Image`` -> ``sensor_msgs/msg/Image``."""
    return re.sub(r"^(\w+)/(\w+)$", r"\1/msg/\2", name)
