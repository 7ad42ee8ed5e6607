import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from training.trainer import CHECKPOINT, Schedule, train

SCHEDULE = Schedule(40, 1e-2, 5, 1e-4, 1.0, 10)


class Batches(Dataset[Tensor]):
    def __len__(self) -> int:
        return SCHEDULE.steps

    def __getitem__(self, step: int) -> Tensor:
        return torch.randn(8, 3, generator=torch.Generator().manual_seed(step))


def make_module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 1))


def make_objective(module: nn.Module, break_at: int | None = None, poison: int | None = None) -> Any:
    def objective(batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        if step == break_at:
            raise RuntimeError("killed")
        loss = (module(batch) - batch.sum(1, keepdim=True)).square().mean()
        if step == poison:
            loss = loss * float("nan")
        return loss, {"loss": loss.item()}

    return objective


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one_to_the_bit(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    module = make_module()
    assert train(module, make_objective(module), Batches(), SCHEDULE, whole, 0) == 40
    first = make_module()
    with pytest.raises(RuntimeError, match="killed"):
        train(first, make_objective(first, break_at=27), Batches(), SCHEDULE, broken, 0)
    assert load_checkpoint(broken / CHECKPOINT).step == 20
    second = make_module()
    train(second, make_objective(second), Batches(), SCHEDULE, broken, 0)
    for name, value in module.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_step_that_is_not_finite_is_left_out_and_counted(tmp_path: Path) -> None:
    module = make_module()
    train(module, make_objective(module, poison=7), Batches(), SCHEDULE, tmp_path, 0)
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 40 and last["skipped"] == 1
    assert load_checkpoint(tmp_path / CHECKPOINT).skipped == 1


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [SCHEDULE.learning_rate_at(step) for step in range(41)]
    assert rates[0] == pytest.approx(1e-2 / 5) and max(rates) == pytest.approx(1e-2)
    assert rates.index(max(rates)) in (4, 5)
    assert rates[40] == pytest.approx(1e-4)


def test_a_checkpoint_replaces_the_old_one_only_when_it_is_whole(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "last.pt"
    state = Checkpoint(3, {"weight": torch.ones(2)}, {}, torch.get_rng_state())
    save_checkpoint(state, file)

    def full_disk(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(Checkpoint(4, {}, {}, torch.get_rng_state()), file)
    assert load_checkpoint(file).step == 3


def test_missing_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"zip? no")
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        load_checkpoint(tmp_path / "bad.pt")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_pretraining_survives_ctrl_c_and_kill(tmp_path: Path, number: signal.Signals) -> None:
    """The real command on real data; after either signal, the same command ends where an unbroken run ends."""
    import cv2
    import numpy as np

    photographs = tmp_path / "photographs"
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for k in range(2):
        picture = cv2.resize(rng.integers(0, 255, (40, 60), np.uint8), (480, 320), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(photographs / f"{k}.png"), picture)
    options = ["steps=14", "batch_size=1", "checkpoint_every=4", "warm_up=2", "homography.size=64", "threads=1"]

    def command(folder: str) -> list[str]:
        pretrain = [sys.executable, "-m", "training", "pretrain", "--output", str(tmp_path / folder)]
        return [*pretrain, f"photographs=[{photographs}]", *options]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    subprocess.run(command("whole"), check=True, timeout=120, **quiet)  # type: ignore[call-overload]
    process = subprocess.Popen(command("broken"), start_new_session=True, **quiet)  # type: ignore[call-overload]
    deadline = time.monotonic() + 120
    while not (tmp_path / "broken" / CHECKPOINT).exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    process.communicate(timeout=60)
    stopped = load_checkpoint(tmp_path / "broken" / CHECKPOINT).step
    assert 4 <= stopped <= 14
    subprocess.run(command("broken"), check=True, timeout=120, **quiet)  # type: ignore[call-overload]
    whole = load_checkpoint(tmp_path / "whole" / CHECKPOINT)
    resumed = load_checkpoint(tmp_path / "broken" / CHECKPOINT)
    assert whole.step == resumed.step == 14
    for name, value in whole.model.items():
        assert torch.equal(value, resumed.model[name]), name
