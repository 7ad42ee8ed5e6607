"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from kp_ros.errors import UserError


class OutputError(UserError):
    """A file that cannot be written. The message names it, the cause and the fix."""


class OutputFile:
    """Owns one output: work goes to a temporary name beside it, which takes the final name when all is written.

    As a context manager it gives the temporary path. A normal end syncs the file to disk and renames it over ``path``;
    any exception removes it and leaves whatever ``path`` held before. Code that wants to keep partial work on Ctrl-C
    catches the KeyboardInterrupt inside the block and finishes its file.

    :param path: the final name; its folder is made when missing.
    :raises OutputError: on entry when the place cannot be written, before any work is done; at any time when the disk
        is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # The suffix stays last: OpenCV chooses a file's format by it.
        self.temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")

    def __enter__(self) -> Path:
        if self.path.is_dir():
            raise OutputError(f"cannot write {self.path}: it is a folder; name a file inside it")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.temporary.open("wb").close()
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}; give --output a place that you may write to"
            ) from error
        return self.temporary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            try:
                with explained(self.path):
                    _sync(self.temporary)
                    self.temporary.replace(self.path)
                    _sync(self.path.parent)
            finally:
                self.temporary.unlink(missing_ok=True)
            return
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _explanation(self.path, error) from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes ``path``, into an :class:`OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise _explanation(path, error) from error


def _explanation(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"the disk is full: {path} was not written; free some space, or give --output a place on another disk"
        )
    return OutputError(f"cannot write {path}: {error.strerror or error}; give --output a place that you may write to")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
