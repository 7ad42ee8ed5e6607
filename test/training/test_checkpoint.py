from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint


def test_a_checkpoint_replaces_the_old_one_only_when_it_is_whole(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(Checkpoint(3, {"weight": torch.ones(2)}, {}, []), file)

    def full_disk(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(Checkpoint(4, {}, {}, []), file)
    assert load_checkpoint(file).step == 3


def test_missing_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"zip? no")
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        load_checkpoint(tmp_path / "bad.pt")
