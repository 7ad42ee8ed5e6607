"""Messages out of a bag of any kind, whole or damaged: rosbag2 folders, .mcap, .db3, and ROS 1 .bag files."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from kp_ros.recordings.messages import typestore
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.salvage import BagRecord, DamageError, bag_records

#: ``.bag.active`` is what a recorder of ROS 1 leaves that was killed.
BAG_SUFFIXES = (".mcap", ".db3", ".bag", ".active")


@dataclass(frozen=True)
class Topic:
    """One topic of a bag.

    :ivar name: as recorded.
    :ivar message_type: as ROS 2 spells it: ``sensor_msgs/msg/Image``.
    :ivar count: messages on it.
    """

    name: str
    message_type: str
    count: int


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    :ivar topic: its name.
    :ivar recorded_ns: when it was recorded, nanoseconds.
    :ivar content: the message as rosbags gives it, or None where its bytes are not such a message.
    """

    topic: str
    recorded_ns: int
    content: Any


class BagMessages(Protocol):
    """An open bag."""

    topics: tuple[Topic, ...]
    #: Where the bag's readable part ends and what mends it; None while nothing wrong was met.
    damage: str | None

    def messages(self, topics: Collection[str]) -> Generator[BagMessage, None, None]:
        """All messages of these topics as recorded; ends where the bag's readable part ends."""
        ...

    def close(self) -> None:
        """Close the bag's files."""
        ...


def is_bag(path: Path) -> bool:
    """Whether a path is a bag by its looks: a file of a bag's suffix, or a folder that holds one."""
    return bool(bag_files(path))


def bag_files(path: Path) -> list[Path]:
    """The storage files of a bag, in the order of recording: the file itself, or those of a rosbag2 folder."""
    if path.is_file():
        return [path] if path.suffix in BAG_SUFFIXES else []
    # rosbag2 numbers a split bag name_0, name_1, ... name_10: by number, not by letter.
    found = (file for suffix in (".mcap", ".db3") for file in path.glob(f"*{suffix}"))
    return sorted(found, key=lambda file: (len(file.name), file.name))


def open_bag(path: Path) -> BagMessages:
    """Open a bag by its index, or message by message where the index is missing or broken.

    :raises RecordingError: nothing in it can be read.
    """
    try:
        return IndexedBag(path)
    except PermissionError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}; give yourself the right to read it") from error
    except Exception as error:
        # Damaged bytes make rosbags, apsw, zstd, lz4, yaml and struct raise each in its own way; whichever it was, the
        # messages themselves may still be there.
        return SequentialBag(path, str(error))


class IndexedBag:
    """A whole bag, read by rosbags."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = AnyReader([path], default_typestore=typestore())
        self._reader.open()
        self.damage: str | None = None
        counts: dict[tuple[str, str], int] = {}
        for connection in self._reader.connections:
            key = (connection.topic, connection.msgtype)
            counts[key] = counts.get(key, 0) + connection.msgcount
        self.topics = tuple(Topic(name, kind, count) for (name, kind), count in sorted(counts.items()))

    def messages(self, topics: Collection[str]) -> Generator[BagMessage, None, None]:
        """See :class:`BagMessages`."""
        connections = [connection for connection in self._reader.connections if connection.topic in topics]
        if not connections:
            return
        stream = self._reader.messages(connections=connections)
        last_ns: int | None = None
        while True:
            try:
                connection, recorded_ns, raw = next(stream)
            except StopIteration:
                return
            except Exception as error:  # as in open_bag: any of five libraries may have met the damage
                self.damage = _damage(self._path, last_ns, str(error))
                return
            content = None
            # Whatever a broken message makes the parser raise, the messages around it are fine.
            with suppress(Exception):
                content = self._reader.deserialize(raw, connection.msgtype)
            yield BagMessage(connection.topic, recorded_ns, content)
            last_ns = recorded_ns

    def close(self) -> None:
        """See :class:`BagMessages`."""
        self._reader.close()


class SequentialBag:
    """A bag without a usable index: its files are read from the front, to where they end or break."""

    def __init__(self, path: Path, reason: str) -> None:
        self._path = path
        self._files = bag_files(path)
        self.damage: str | None = None
        types: dict[str, BagRecord] = {}
        counts: dict[tuple[str, str], int] = {}
        for record in self._records(()):
            key = (record.topic, record.message_type)
            counts[key] = counts.get(key, 0) + 1
            types.setdefault(record.message_type, record)
        if not counts:
            raise RecordingError(
                f"no message can be read from {path} ({reason.rstrip('.')}); {_mend(path)}, or record again"
            )
        self.topics = tuple(Topic(name, kind, count) for (name, kind), count in sorted(counts.items()))
        self._stores = {kind: _store(record) for kind, record in types.items()}

    def _records(self, topics: Collection[str]) -> Iterator[BagRecord]:
        last_ns: int | None = None
        whole = len(self._files) == 1 or (self._path / "metadata.yaml").exists()
        if not whole:
            self.damage = f"{self._path} has no metadata.yaml; {_mend(self._path)}"
        for file in self._files:
            try:
                for record in bag_records(file):
                    last_ns = record.recorded_ns
                    if not topics or record.topic in topics:
                        yield record
            except DamageError as error:
                self.damage = _damage(file, last_ns, str(error))

    def messages(self, topics: Collection[str]) -> Generator[BagMessage, None, None]:
        """See :class:`BagMessages`."""
        for record in self._records(topics):
            store, content = self._stores[record.message_type], None
            with suppress(Exception):  # as in IndexedBag
                decode = store.deserialize_cdr if record.encoding == "cdr" else store.deserialize_ros1
                content = decode(record.data, record.message_type)
            yield BagMessage(record.topic, record.recorded_ns, content)

    def close(self) -> None:
        """See :class:`BagMessages`. Files are open only while they are read."""


def _store(record: BagRecord) -> Typestore:
    """The types that a bag's own definition of a message gives, else those of ROS 2."""
    parsers: Mapping[str, Any] = {
        "ros2msg": get_types_from_msg,
        "ros1msg": get_types_from_msg,
        "ros2idl": lambda text, _: get_types_from_idl(text),
    }
    if record.definition and record.definition_format in parsers:
        store = get_typestore(Stores.EMPTY)
        with suppress(Exception):  # a definition cut short: the standard one will do
            store.register(parsers[record.definition_format](record.definition, record.message_type))
            return store
    return typestore()


def _damage(path: Path, last_ns: int | None, reason: str) -> str:
    until = "before its first message" if last_ns is None else f"after the message recorded at {last_ns / 1e9:.3f} s"
    return f"{path} is damaged: it can be read no further than {until} ({reason.rstrip('.')}); {_mend(path)}"


def _mend(path: Path) -> str:
    if path.suffix in (".bag", ".active"):
        return f"`rosbag reindex {path}` may mend it"
    if path.suffix == ".mcap":
        return f"`mcap recover {path} -o recovered.mcap` mends it"
    if path.suffix == ".db3":
        return f"`sqlite3 {path} .recover` and `ros2 bag reindex` on its folder mend it"
    return f"`ros2 bag reindex {path}` mends it"
