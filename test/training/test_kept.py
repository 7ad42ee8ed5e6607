import os
import time
from pathlib import Path

import pytest

from training.kept import Kind, kept_entries, kept_folder, remove

DAY = 86400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two worlds of 3 and 5 bytes, and a result of 7; the first world and nothing else is 40 days old."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, size in (
        ("training/old/0.jpg", 1),
        ("training/old/deep/1.npy", 2),
        ("training/new/0.jpg", 5),
        ("evaluation/ab/abcd.json", 7),
    ):
        file = tmp_path / "kp_ros" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    before = time.time() - 40 * DAY
    for file in (tmp_path / "kp_ros/training/old").rglob("*"):
        os.utime(file, (before, before))
    return tmp_path / "kp_ros"


def test_folders_follow_the_cache_home(cache: Path) -> None:
    assert kept_folder(Kind.RENDERED) == cache / "training"
    assert kept_folder(Kind.EVALUATED) == cache / "evaluation"


def test_a_world_is_one_entry_and_a_result_is_one(cache: Path) -> None:
    worlds = {entry.path.name: entry.size for entry in kept_entries(Kind.RENDERED)}
    assert worlds == {"old": 3, "new": 5}
    assert [(entry.path.name, entry.size) for entry in kept_entries(Kind.EVALUATED)] == [("abcd.json", 7)]


def test_what_was_used_lately_stays(cache: Path) -> None:
    assert [entry.path.name for entry in kept_entries(Kind.RENDERED, 30)] == ["old"]
    assert kept_entries(Kind.RENDERED, 41) == kept_entries(Kind.EVALUATED, 1) == []
    remove(kept_entries(Kind.RENDERED, 30))
    assert not (cache / "training/old").exists()
    assert (cache / "training/new/0.jpg").is_file()


def test_a_reading_counts_as_use(cache: Path) -> None:
    file = cache / "training/old/0.jpg"
    os.utime(file, (time.time(), file.stat().st_mtime))
    assert kept_entries(Kind.RENDERED, 30) == []


def test_nothing_kept_is_nothing_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for kind in Kind:
        remove(kept_entries(kind))
        assert kept_entries(kind) == []
