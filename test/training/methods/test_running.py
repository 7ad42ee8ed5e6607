"""From a command to a model that the robot's detector loads, for the methods that reward detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from small_scenes import NETWORK, SIDE, killed_in_step
from typer.testing import CliRunner

from kp_ros.detectors import load_detector
from kp_ros.errors import UserError
from training.__main__ import app
from training.checkpoint import load_checkpoint
from training.configuration import load_config, save_config
from training.data.guard import RUN_FILE, load_fingerprints
from training.methods.dad import DAD, DadConfig
from training.methods.distillation import DISTILLATION, DistillationConfig
from training.methods.method import MethodConfig, Trained
from training.methods.registry import METHODS, find_method
from training.methods.running import resolve, run_method
from training.methods.traqpoint import TRAQPOINT, TraqpointConfig
from training.pretrain import PretrainConfig
from training.runs import CONFIG, load_network, method_of_run
from training.trainer import CHECKPOINT

CONFIGS = Path(__file__).resolve().parents[3] / "training" / "configs"


def run(config: MethodConfig, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    resolved = resolve(config)
    save_config(resolved, folder / CONFIG)
    assert run_method(find_method(config.method), resolved, folder) == config.steps
    return folder / CHECKPOINT


@pytest.fixture(scope="module")
def detector(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(DadConfig(**small), tmp_path_factory.mktemp("dad"))


def later_configs(small: dict[str, Any], start: Path) -> list[MethodConfig]:
    """Methods that train on from a run."""
    shape = {"frames": 3, "curriculum": [[0.1, 0.95]], "cell": 16, "global_points": 8, "least_cosine": None}
    return [
        TraqpointConfig(**small, **shape, start=start),
        DistillationConfig(**small, teachers=[start, start], trained=Trained.EVERYTHING),
    ]


def test_a_killed_run_goes_on_as_if_it_had_not_been(small: dict[str, Any], detector: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run_method(killed_in_step(DAD, 3), DadConfig(**small), tmp_path)
    assert load_checkpoint(tmp_path / CHECKPOINT).step == 2
    resumed = load_checkpoint(run(DadConfig(**small), tmp_path)).model
    whole = load_checkpoint(detector).model
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("number", [0, 1])
def test_a_later_method_trains_on_what_a_run_has_made(
    small: dict[str, Any], detector: Path, tmp_path: Path, number: int
) -> None:
    config = later_configs(small, detector)[number]
    checkpoint = run(config, tmp_path / "run")
    assert method_of_run(checkpoint) == config.method
    before, after = load_network(detector).state_dict(), load_network(checkpoint).state_dict()
    descriptor = [name for name in before if not name.startswith("score") and "num_batches" not in name]
    if config.trained is Trained.DETECTOR:
        assert all(torch.equal(before[name], after[name]) for name in descriptor)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    trained, earlier = (load_fingerprints(file.parent / RUN_FILE) for file in (checkpoint, detector))
    assert len(trained) >= len(earlier) == len(earlier.joined(trained)) > 0


def test_a_runs_model_is_exported_and_loaded_by_the_robot(detector: Path, photographs: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    arguments = ["export", str(detector), str(model), "--data", "blocks", "--images", str(photographs)]
    result = CliRunner().invoke(app, [*arguments, "--max-keypoints", "64"])
    assert result.exit_code == 0, result.output
    loaded = load_detector(model)
    assert loaded.info.method == "dad"
    features = loaded(np.asarray(cv2.imread(str(photographs / "0.png")), np.uint8))
    assert len(features) > 0 and features.descriptors.shape[1] == NETWORK.settings["descriptor_size"]


def test_the_command_saves_what_it_resolved(small: dict[str, Any], photographs: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.yaml", tmp_path / "run"
    save_config(DadConfig(**small), file)
    result = CliRunner().invoke(app, ["train", "dad", "--output", str(folder), "--config", str(file), "steps=2"])
    assert result.exit_code == 0, result.output
    assert load_config(DadConfig, folder / CONFIG, []) == DadConfig(**{**small, "steps": 2})
    assert load_checkpoint(folder / CHECKPOINT).step == 2


def test_a_config_of_another_method_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    save_config(DadConfig(**small), tmp_path / "dad.yaml")
    result = CliRunner().invoke(
        app, ["train", "distillation", "--output", str(tmp_path / "run"), "--config", str(tmp_path / "dad.yaml")]
    )
    assert result.exit_code != 0
    with pytest.raises(UserError, match="no method 'dat'"):
        find_method("dat")


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_config_of_ours_can_be_read(file: Path) -> None:
    method = yaml.safe_load(file.read_text()).get("method")
    kind = PretrainConfig if method is None else METHODS[method].config
    assert load_config(kind, file, []).steps > 0


def test_images_are_of_the_size_that_networks_take() -> None:
    assert SIDE % 32 == 0
    for method in (DAD, DISTILLATION, TRAQPOINT):
        image = method.config().image
        assert image.width % 32 == image.height % 32 == 0
