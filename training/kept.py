"""What training and evaluation keep on the disk so as not to make it twice, and how to be rid of it."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_DAY = 86400.0


class Kind(Enum):
    """What is kept; the value is the name of its folder."""

    RENDERED = "training"
    EVALUATED = "evaluation"


#: Where the entries of a kind lie in its folder: a rendered world is a folder, a result a file.
_ENTRIES = {Kind.RENDERED: "*", Kind.EVALUATED: "*/*"}


@dataclass(frozen=True)
class Entry:
    """One thing that is kept.

    :ivar path: file or folder.
    :ivar size: bytes on the disk.
    :ivar used: when it was last read or written, seconds since 1970. Most disks note a reading once a day (relatime);
        where they never do it is the writing.
    """

    path: Path
    size: int
    used: float


def kept_folder(kind: Kind) -> Path:
    """``$XDG_CACHE_HOME/kp_ros/`` and the kind's folder; by default in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kp_ros" / kind.value


def kept_entries(kind: Kind, unused_days: float = 0.0) -> list[Entry]:
    """What is kept of a kind and was not used for so many days."""
    limit = time.time() - unused_days * _DAY
    entries = [_entry(path) for path in sorted(kept_folder(kind).glob(_ENTRIES[kind]))]
    return [entry for entry in entries if entry.used <= limit]


def remove(entries: list[Entry]) -> None:
    """Remove entries; whatever needs one again makes it again."""
    for entry in entries:
        if entry.path.is_dir():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink(missing_ok=True)


def _entry(path: Path) -> Entry:
    files = [file.stat() for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path.stat()]
    used = max((max(file.st_atime, file.st_mtime) for file in files), default=0.0)
    return Entry(path, sum(file.st_size for file in files), used)
