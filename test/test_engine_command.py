"""``kp_ros engine``, with the real TensorRT-RTX, which builds without a card."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kp_ros.cli import build
from kp_ros.commands.engine import parse_size
from kp_ros.detectors.engine_cache import VARIABLE
from kp_ros.errors import UserError

BUILD = ["engine", "build", "--backend", "tensorrt-rtx", "--size", "320x250", "-k", "64", "--for", "8.9"]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def test_engines_are_built_listed_and_removed(runner: CliRunner, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13 (x86-64 only)")
    made = runner.invoke(build(), BUILD)
    assert made.exit_code == 0, made.output
    (engine,) = tmp_path.glob("*.engine")
    # The camera's height, filled up to the network's stride.
    assert engine.name.startswith("kp_base_320x256_fp16_")
    before = engine.stat().st_mtime_ns
    assert runner.invoke(build(), BUILD).exit_code == 0
    assert engine.stat().st_mtime_ns == before
    listed = runner.invoke(build(), ["engine", "list"])
    assert "320x256" in listed.output and "8.9" in listed.output
    engine.with_suffix(".json").write_text("{")
    assert "damaged" in runner.invoke(build(), ["engine", "list"]).output
    assert "1 engines removed" in runner.invoke(build(), ["engine", "clean"]).output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--for", "9.0"], "does not build for compute capability 9.0"),
        (["--precision", "int4"], "choose one of: fp16, fp32"),
        (["--size", "big"], "width x height"),
        (["no_such_model"], "neither a file nor one of ours"),
    ],
)
def test_what_cannot_be_built_is_an_error_that_names_the_fix(
    runner: CliRunner, tmp_path: Path, change: list[str], message: str
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13 (x86-64 only)")
    said = runner.invoke(build(), [*BUILD, *change])
    assert said.exit_code == 1 and message in said.output
    assert list(tmp_path.glob("*.engine")) == []


def test_without_a_card_it_says_so(runner: CliRunner) -> None:
    said = runner.invoke(build(), ["engine", "build", "--backend", "tensorrt-rtx"])
    if said.exit_code == 0:
        pytest.skip("this machine has a card")
    assert "CUDA" in said.output or "pip install" in said.output


def test_a_size_is_width_by_height() -> None:
    assert parse_size("640x480") == parse_size(" 640 X 480 ") == (640, 480)
    for text in ("640", "x480", "640x-480", "8x8"):
        with pytest.raises(UserError, match="640x480"):
            parse_size(text)
