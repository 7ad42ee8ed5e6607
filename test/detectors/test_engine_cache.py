import errno
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kp_ros.detectors import engine_cache
from kp_ros.detectors.engine_cache import VARIABLE, EngineCache, EngineKey, default_folder

KEY = EngineKey(
    model="kp",
    onnx_sha256="ab",
    backend="tensorrt",
    backend_version="10.3.0",
    cuda_runtime="12060",
    driver="12080",
    gpu="Orin",
    compute_capability="8.7",
    multiprocessors=8,
    precision="fp16",
    height=480,
    width=640,
    max_keypoints=1024,
)


def never() -> bytes:
    raise AssertionError("built although it was there")


@pytest.mark.parametrize("name", [field.name for field in fields(EngineKey)])
def test_a_key_that_differs_anywhere_is_another_file(name: str) -> None:
    value = getattr(KEY, name)
    assert replace(KEY, **{name: value + type(value)(1)}).stem != KEY.stem
    assert replace(KEY).stem == KEY.stem


def test_it_is_built_once(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "new" / "folder")
    assert cache.get_or_build(KEY, lambda: b"engine") == b"engine"
    assert cache.get_or_build(KEY, never) == b"engine"
    (listed,) = cache.engines()
    assert (listed.key, listed.size) == (KEY, 6)
    assert cache.get_or_build(replace(KEY, driver="13000"), lambda: b"other") == b"other"
    assert len(cache.engines()) == 2


@pytest.mark.parametrize("harm", ["bytes", "cut", "description", "no description", "foreign"])
def test_a_damaged_or_foreign_engine_is_built_anew(harm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = EngineCache(tmp_path)
    cache.get_or_build(KEY, lambda: b"old engine")
    engine, description = tmp_path / f"{KEY.stem}.engine", tmp_path / f"{KEY.stem}.json"
    if harm == "bytes":
        engine.write_bytes(b"new engine")
    elif harm == "cut":
        engine.write_bytes(b"old")
    elif harm == "description":
        description.write_text(description.read_text()[:40])
    elif harm == "no description":
        description.unlink()
    else:
        description.write_text(description.read_text().replace("Orin", "Thor"))
    assert cache.get_or_build(KEY, lambda: b"rebuilt") == b"rebuilt"
    assert "building anew" in caplog.text
    assert cache.get_or_build(KEY, never) == b"rebuilt"


BUILDS = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_engine_cache import KEY
from kp_ros.detectors.engine_cache import EngineCache
def build():
    print("building", flush=True)
    time.sleep(float(sys.argv[3]))
    return b"engine"
assert EngineCache(Path(sys.argv[1])).get_or_build(KEY, build) == b"engine"
"""


def builder(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", BUILDS, str(folder), str(Path(__file__).parent), str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_builds(tmp_path: Path) -> None:
    processes = [builder(tmp_path, 1.0) for _ in range(2)]
    said = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(said) == ["", "building\n"]


def test_a_killed_builder_holds_nobody_up(tmp_path: Path) -> None:
    process = builder(tmp_path, 600)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert EngineCache(tmp_path).get_or_build(KEY, lambda: b"engine") == b"engine"


def test_a_full_disk_costs_the_cache_and_not_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine_cache.os, "fsync", full)
    assert EngineCache(tmp_path).get_or_build(KEY, lambda: b"engine") == b"engine"
    assert "No space left" in caplog.text and "builds it again" in caplog.text
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert EngineCache(Path("/proc/kp_ros/engines")).get_or_build(KEY, lambda: b"engine") == b"engine"
    assert f"set {VARIABLE}" in caplog.text


def test_cleaning_leaves_what_is_kept_and_what_others_are_writing(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.get_or_build(KEY, lambda: b"12345")
    cache.get_or_build(replace(KEY, width=320), lambda: b"123")
    old, young = tmp_path / "old.partial", tmp_path / "young.partial"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    assert cache.clean(lambda engine: engine.key == KEY) == 3
    assert [engine.key for engine in cache.engines()] == [KEY]
    assert young.exists() and not old.exists()
    assert cache.clean() == 5
    assert [file.name for file in tmp_path.iterdir()] == ["young.partial"]


def test_the_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_folder() == tmp_path / "kp_ros" / "engines"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
