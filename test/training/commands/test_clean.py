from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "kp_ros/training/world/0.jpg"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 3_000_000)
    return file


def test_a_dry_run_says_what_would_go_and_keeps_it(world: Path) -> None:
    result = CliRunner().invoke(app, ["clean", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "training: 1 entries, 3 MB to remove" in result.output
    assert world.is_file()


def test_what_is_kept_goes(world: Path) -> None:
    result = CliRunner().invoke(app, ["clean"])
    assert result.exit_code == 0, result.output
    assert "training: 1 entries, 3 MB removed" in result.output
    assert "evaluation: 0 entries" in result.output
    assert not world.parent.exists()


def test_what_was_used_lately_stays(world: Path) -> None:
    assert CliRunner().invoke(app, ["clean", "--unused-days", "1"]).exit_code == 0
    assert world.is_file()
