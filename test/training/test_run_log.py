import json
from pathlib import Path

import pytest
import torch

from training.run_log import LOG_EVERY, RunLog, drop_later_lines, finite_mean


def test_a_line_has_the_mean_of_its_steps(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 40) as log:
        for step in range(1, 41):
            log.add({"loss": torch.tensor(float(step)), "constant": 2.0})
            if step % 4 == 0:
                log.add({"rare": step})
            log.end_step(step, {"skipped": step // 30})
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert first == {"step": LOG_EVERY, "loss": 10.5, "constant": 2.0, "rare": 12.0, "skipped": 0}
    assert second == {"step": 2 * LOG_EVERY, "loss": 30.5, "constant": 2.0, "rare": 32.0, "skipped": 1}


def test_what_is_not_finite_is_left_out() -> None:
    assert finite_mean([1.0, float("nan"), torch.tensor(3.0)]) == 2.0
    assert finite_mean([float("inf")]) is None


def test_lines_after_the_checkpoint_and_broken_ones_go(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    drop_later_lines(file, 10)
    file.write_text('{"step": 20, "loss": 1}\n{"step": 40, "loss": 2}\n{"step": 60, "lo')
    drop_later_lines(file, 20)
    assert file.read_text() == '{"step": 20, "loss": 1}\n'


def test_other_processes_say_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 40, enabled=False) as log:
        log.add({"loss": 1.0})
        log.end_step(LOG_EVERY, {})
    assert not list(tmp_path.iterdir())


def test_the_bar_shows_what_the_objective_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"reward": 0.25, "hit_rate": 0.5, "acceptance": 0.75, "entropy": 3.0, "gradient_norm": 1.5, "other": 9.0}
    with RunLog(tmp_path, 0, LOG_EVERY) as log:
        for step in range(1, LOG_EVERY + 1):
            log.add(figures)
            log.end_step(step, {"skipped": 2})
    shown = capsys.readouterr().err.splitlines()[-1]
    assert "reward=0.25, hit_rate=0.5, acceptance=0.75, entropy=3, gradient_norm=1.5, skipped=2" in shown
    assert "other" not in shown
