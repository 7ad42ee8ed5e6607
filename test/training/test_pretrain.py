import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.__main__ import CONFIGS
from training.checkpoint import load_checkpoint
from training.configuration import load_config
from training.data.homography_pairs import HomographyPairs, HomographySettings
from training.data.photographs import Photograph
from training.data.photometric import PhotometricSettings
from training.networks.keypoint_network import KeypointNetwork, logit_map, probability_map
from training.precision import Precision
from training.pretrain import PretrainConfig, Pretraining, corner_share, hit_rate, pretrain
from training.runs import load_network
from training.trainer import CHECKPOINT


def textured_photograph() -> Photograph:
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 255, (50, 60), np.uint8), (480, 400), interpolation=cv2.INTER_NEAREST)
    picture = cv2.GaussianBlur(coarse, (0, 0), 1.0)
    return Photograph("blocks", (picture, picture[::2, ::2].copy()))


def test_one_batch_is_overfitted() -> None:
    torch.manual_seed(0)
    config = PretrainConfig(
        [], corner_steps=1, homography=HomographySettings(size=64), random_points=16, precision=Precision.FP32
    )
    batch = HomographyPairs([textured_photograph()], config.homography, PhotometricSettings(), 1, 1, 0)[0]
    objective = Pretraining(KeypointNetwork(32, 16), config)
    optimiser = torch.optim.Adam(objective.parameters(), 5e-3)
    history = []
    for _ in range(50):
        # Step 0 keeps the corner prior as the only teacher, so the labels stand still.
        loss, figures = objective(batch, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append({name: float(value) for name, value in figures.items()})
    assert history[-1]["detection"] < 0.6 * history[0]["detection"]
    assert history[-1]["description"] < 0.3 * history[0]["description"]
    assert history[-1]["matched"] > 0.9


def test_the_corner_prior_gives_way_to_its_floor() -> None:
    config = PretrainConfig([], corner_steps=300, corner_share=0.1)
    assert corner_share(config, 0) == corner_share(config, 100) == 1.0
    assert corner_share(config, 200) == pytest.approx(0.55)
    assert corner_share(config, 300) == corner_share(config, 9999) == pytest.approx(0.1)


def test_hit_rate_counts_points_that_reappear() -> None:
    reference, target = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    for k, (x, y) in enumerate([(10, 10), (30, 20), (50, 40), (20, 50)]):
        reference[0, 0, y, x] = 1.0 - 0.1 * k
        target[0, 0, y + (1 if k < 3 else 9), x] = 1.0 - 0.1 * k
    rate = hit_rate(reference, target, torch.eye(3)[None], density=4 / 64**2)
    assert float(rate) == 0.75


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for k in range(2):
        picture = cv2.resize(rng.integers(0, 255, (40, 60), np.uint8), (480, 320), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{k}.png"), picture)
    return folder


#: Many enough that a run is still going when a busy machine gets round to killing it.
STEPS = 60


def options(photographs: Path, steps: int = STEPS) -> list[str]:
    """A small run, as overrides of the command's own configuration."""
    size = ["batch_size=1", "homography.size=64", "threads=1"]
    return [f"photographs=[{photographs}]", f"steps={steps}", "checkpoint_every=2", "warm_up=2", *size]


def small(photographs: Path, steps: int = STEPS) -> PretrainConfig:
    return load_config(PretrainConfig, CONFIGS / "pretrain.yaml", options(photographs, steps))


@pytest.fixture(scope="module")
def unbroken(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert pretrain(small(photographs), folder) == STEPS
    return folder / CHECKPOINT


def test_the_command_survives_a_kill(photographs: Path, unbroken: Path, tmp_path: Path) -> None:
    """Killed in the middle, a run goes on to the weights of an unbroken one, to the bit."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "training", "pretrain", "--output", str(tmp_path)),
            *options(photographs),
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / CHECKPOINT).exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert (tmp_path / CHECKPOINT).exists(), said.decode()[-2000:]
    assert 2 <= load_checkpoint(tmp_path / CHECKPOINT).step < STEPS
    assert pretrain(small(photographs), tmp_path) == STEPS
    whole, resumed = load_checkpoint(unbroken), load_checkpoint(tmp_path / CHECKPOINT)
    for name, value in whole.model.items():
        assert torch.equal(value, resumed.model[name]), name


def test_a_runs_checkpoint_gives_its_network(unbroken: Path) -> None:
    network = load_network(unbroken)
    assert not network.training
    name = "score.context.weight"
    assert torch.equal(network.state_dict()[name], load_checkpoint(unbroken).model[f"network.{name}"])


def test_negatives_are_judged_as_images_and_move_no_statistics(photographs: Path) -> None:
    torch.manual_seed(0)
    objective = Pretraining(KeypointNetwork(8, 16), small(photographs)).train()
    images = torch.rand(2, 1, 64, 64) * 255
    with torch.no_grad():
        objective.network(images)
        before = {name: value.clone() for name, value in objective.state_dict().items()}
        found = objective.of_negatives(images)
        assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
        assert objective.network.training
        expected = probability_map(logit_map(objective.network.eval()(255 - images)[0]))
    torch.testing.assert_close(found, expected)


def test_a_run_goes_on_from_another_ones_network(photographs: Path, unbroken: Path, tmp_path: Path) -> None:
    config = load_config(
        PretrainConfig,
        CONFIGS / "pretrain.yaml",
        [*options(photographs, 1), f"start={unbroken}", "learning_rate=1e-9"],
    )
    assert pretrain(config, tmp_path) == 1
    started, start = load_checkpoint(tmp_path / CHECKPOINT).model, load_checkpoint(unbroken).model
    name = "network.score.context.weight"
    torch.testing.assert_close(started[name], start[name], atol=1e-6, rtol=0)
