"""What was computed once stays on the disk: features, tracks and judgements, each named by all that it depends on.

Entries are written under another name first, so that a killed process leaves none that is half written; an entry that
cannot be read is as good as none, and is computed and written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Json = Any
Entry = TypeVar("Entry")


def digest(*parts: object) -> str:
    """Hash of what an entry depends on, hexadecimal: arrays by type, shape and content, all else by its text."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype}{part.shape}".encode())
            total.update(np.ascontiguousarray(part).data)
        else:
            total.update(str(part).encode())
        total.update(b"\0")
    return total.hexdigest()


def source_digest(*files: Path) -> str:
    """Hash of source files: a judgement does not outlive the code that made it."""
    return digest(*(file.read_bytes() for file in sorted(files)))


class Cache:
    """A folder of entries.

    :param folder: made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arrays(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays under a key; computed and kept where they are not there whole."""
        return self._entry(key, ".npz", _read_arrays, _write_arrays, compute)

    def json(self, key: str, compute: Callable[[], Json]) -> Json:
        """The JSON value under a key; computed and kept where it is not there whole."""
        return self._entry(key, ".json", _read_json, _write_json, compute)

    def _entry(
        self,
        key: str,
        suffix: str,
        read: Callable[[Path], Entry],
        write: Callable[[Path, Entry], None],
        compute: Callable[[], Entry],
    ) -> Entry:
        # A folder for each first byte: thousands of files in one folder are slow to list.
        file = self.folder / key[:2] / f"{key}{suffix}"
        try:
            return read(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            entry = compute()
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{key}.{os.getpid()}{suffix}")
        try:
            write(partial, entry)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        return entry


def _read_arrays(file: Path) -> Arrays:
    # The archive's checksums tell a damaged entry.
    with np.load(file, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def _write_arrays(file: Path, entry: Arrays) -> None:
    np.savez(file, allow_pickle=False, **entry)


def _read_json(file: Path) -> Json:
    checksum, _, text = file.read_text().partition("\n")
    if checksum != digest(text):
        raise ValueError("damaged")
    return json.loads(text)


def _write_json(file: Path, entry: Json) -> None:
    text = json.dumps(entry)
    file.write_text(f"{digest(text)}\n{text}")
