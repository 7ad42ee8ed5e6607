import cv2
import numpy as np
import pytest
import torch

from training.data.homography_pairs import HomographyPairs, HomographySettings
from training.data.photographs import Photograph
from training.data.photometric import PhotometricSettings
from training.networks.keypoint_network import KeypointNetwork
from training.pretrain import PretrainConfig, Pretraining, corner_share, hit_rate


def textured_photograph() -> Photograph:
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 255, (50, 60), np.uint8), (480, 400), interpolation=cv2.INTER_NEAREST)
    picture = cv2.GaussianBlur(coarse, (0, 0), 1.0)
    return Photograph("blocks", (picture, picture[::2, ::2].copy()))


def test_one_batch_is_overfitted() -> None:
    torch.manual_seed(0)
    config = PretrainConfig([], corner_steps=1, homography=HomographySettings(size=96), random_points=16)
    pairs = HomographyPairs([textured_photograph()], config.homography, PhotometricSettings(), 2, 1, 0)
    batch = pairs[0]
    module = Pretraining(KeypointNetwork())
    optimiser = torch.optim.Adam(module.parameters(), 2e-3)
    history = []
    for _ in range(60):
        # Step 0 keeps the corner prior as the only teacher, so the labels stand still.
        loss, figures = module(batch, config, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(figures)
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
