from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kp_ros.recordings.output import OutputError, OutputFile


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.txt"
    with OutputFile(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["out.txt"]


def test_what_was_there_stays_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), OutputFile(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with (
        pytest.raises(OutputError, match=r"disk is full: .*out\.txt was not written; free some space"),
        OutputFile(path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a folder; name a file inside it"), OutputFile(tmp_path):
        raise AssertionError("the work began")
    with (
        pytest.raises(OutputError, match=r"out\.txt: .*give --output a place that you may write to"),
        OutputFile(tmp_path / "file" / "out.txt"),
    ):
        raise AssertionError("the work began")
    with (
        pytest.raises(OutputError, match="give --output a place that you may write to"),
        OutputFile(Path("/proc/out.txt")),
    ):
        raise AssertionError("the work began")
