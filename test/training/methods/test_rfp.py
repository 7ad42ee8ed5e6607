"""RFP before walls of known depth, where the one right answer pays."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_scenes import train_whole_and_resumed
from torch import Tensor, nn

from kp_ros.detectors import load_detector
from training.data.augmentation import AugmentationSettings
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sampling import LabelledPairs, OverlapSequences
from training.estimators.base import Library
from training.export import export
from training.frame_batch import FrameBatch
from training.geometry.camera import pixels_of, view_of
from training.geometry.matching import Matches
from training.methods.rfp import RFP, Credit, KeypointDraw, Rfp, RfpConfig
from training.methods.training_data import DataSettings
from training.networks.keypoint_network import KeypointNetwork
from training.networks.making import NetworkChoice
from training.policy import cell_log_probabilities
from training.precision import Precision
from training.runs import load_network
from training.samplers.matches import MatchSamples

SIDE = 32
FOCAL = 30.0
LANDMARKS = 24


def small(**changes: object) -> RfpConfig:
    values: dict[str, object] = {"precision": Precision.FP32, "keypoints": 40, "share": 1.0, "steps": 100}
    return RfpConfig(**(values | changes))  # type: ignore[arg-type]


class Bars:
    """Two views, one step to the side; every row of pixels is a bar at a depth of its own.

    Bright pixels are landmarks, which both views show; what lies between them has nothing to do with each other.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        disparity = rng.integers(1, 7, SIDE)
        places = rng.permutation([(x, y) for y in range(SIDE) for x in range(8, SIDE)])[:LANDMARKS]
        images = np.zeros((1, 2, 1, SIDE, SIDE), np.float32)
        self.codes = torch.from_numpy(rng.normal(size=(2, 16, SIDE, SIDE)).astype(np.float32))
        for x, y in places:
            images[0, 0, 0, y, x] = images[0, 1, 0, y, x - disparity[y]] = 255
            self.codes[1, :, y, x - disparity[y]] = self.codes[0, :, y, x]
        pose = torch.eye(4).repeat(1, 2, 1, 1)
        pose[0, 1, 0, 3] = -1.0
        matrix = torch.tensor([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])
        self.batch = FrameBatch(
            torch.from_numpy(images),
            torch.ones(1, 2, SIDE, SIDE, dtype=torch.bool),
            torch.ones(1, dtype=torch.int64),
            intrinsics=matrix.repeat(1, 2, 1, 1),
            pose=pose,
        )


class Brightness(nn.Module):
    """A policy of one weight: how much more a bright pixel is chosen than a dark one; descriptors are given."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.5))
        self.codes = nn.Parameter(codes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(self.weight * images / 255 - 3, 8), self.codes


def mean_loss(objective: Rfp, batch: FrameBatch, times: int) -> float:
    with torch.no_grad():
        return float(np.mean([float(objective(batch, 0)[1]["pose_loss"]) for _ in range(times)]))


@pytest.mark.parametrize("credit", list(Credit))
def test_one_batch_is_overfitted(credit: Credit) -> None:
    """The pose comes out right when landmarks are drawn: the black box's loss alone must lead there."""
    torch.manual_seed(0)
    scene = Bars()
    network = Brightness(scene.codes)
    objective = Rfp(small(credit=credit), network)
    before = mean_loss(objective, scene.batch, 8)
    optimiser = torch.optim.Adam([network.weight], 0.15)
    for _ in range(40):
        loss, _ = objective(scene.batch, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = mean_loss(objective, scene.batch, 8)
    assert float(network.weight.detach()) > 5
    assert before > 20 and after < 0.5 * before


def test_only_keypoints_of_drawn_matches_are_credited() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    drawn = KeypointDraw(values.sum(1), values, torch.zeros(2, 3, 3), Matches(*torch.zeros(2, 2, 3)), values)
    several = [
        MatchSamples(torch.tensor([[0, 0], [1, 2]]), torch.zeros(2, 2), torch.tensor([[True, True], [True, False]])),
        MatchSamples(torch.tensor([[2], [0]]), torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.bool)),
    ]
    network = Brightness(Bars().codes)
    seen = Rfp(small(credit=Credit.SEEN), network).credited(drawn, several)
    # Drawn twice, counted twice; a row that fills up a shorter draw counts nothing.
    assert seen.tolist() == [[2.0, 4.0], [16.0, 8.0]]
    assert Rfp(small(credit=Credit.ALL), network).credited(drawn, several).tolist() == [[7.0], [56.0]]


def test_a_match_credits_its_keypoint_in_both_images() -> None:
    torch.manual_seed(0)
    scene = Bars()
    objective = Rfp(small(), Brightness(scene.codes))
    maps = objective.policy(scene.batch.images)
    views = (view_of(scene.batch, 0), view_of(scene.batch, 1))
    cells = [cell_log_probabilities(maps.logits[:, frame]) for frame in range(2)]
    drawn = objective.draw(maps, cells, views, scene.batch.valid)
    shares = [values.flatten(1).log_softmax(1).reshape(values.shape) for values in cells]
    for row in drawn.matches.matched[0].nonzero()[:, 0].tolist():
        places = [
            pixels_of(ray[None, None], view)[0, 0].round().long()
            for ray, view in zip(drawn.rays[0, row].split(2), views, strict=True)
        ]
        both = sum(float(share[0, place[1], place[0]].detach()) for share, place in zip(shares, places, strict=True))
        assert float(drawn.pairs[0, row]) == pytest.approx(both, abs=1e-3)


def test_both_policies_have_a_gradient_and_the_black_box_none() -> None:
    torch.manual_seed(0)
    scene = Bars()
    network = Brightness(scene.codes)
    loss, _ = Rfp(small(share=0.5), network)(scene.batch, 0)
    loss.backward()
    assert network.weight.grad is not None and float(network.weight.grad) != 0
    assert network.codes.grad is not None and bool(network.codes.grad.any())
    # One draw of matches is its own baseline.
    network.codes.grad = None
    loss, _ = Rfp(small(match_draws=1), network)(scene.batch, 0)
    loss.backward()
    assert not bool(network.codes.grad.any())


@pytest.mark.parametrize("library", list(Library))
def test_a_failed_estimate_costs_the_cap(library: Library) -> None:
    torch.manual_seed(0)
    scene = Bars()
    # A point or two cannot give a pose.
    loss, figures = Rfp(small(keypoints=2, library=library), Brightness(scene.codes))(scene.batch, 0)
    loss.backward()
    assert float(figures["failed"]) == 1.0 and float(figures["pose_loss"]) == 75.0
    # Every draw cost the same: nothing is to be learnt from that.
    assert float(loss.detach()) == 0.0


def test_errors_go_to_their_own_items() -> None:
    objective = Rfp(small(), Brightness(Bars().codes))
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.5, 0.5, (60, 2)), np.ones(60)]) * rng.uniform(1, 5, (60, 1))

    def view(pose: np.ndarray) -> np.ndarray:
        moved = points @ pose[:3, :3].T + pose[:3, 3]
        return np.asarray(moved[:, :2] / moved[:, 2:])

    sideways, forwards = np.eye(4), np.eye(4)
    sideways[0, 3], forwards[2, 3] = 0.3, 0.3
    first = points[:, :2] / points[:, 2:]
    pairs = [(first, view(sideways)), (first, view(forwards))] * 2
    assert objective.errors(pairs, np.stack([sideways, forwards])) == pytest.approx([0] * 4, abs=0.1)
    assert objective.errors(pairs, np.stack([forwards, sideways])) == pytest.approx([90] * 4, abs=0.1)


def test_batch_statistics_stay_those_of_the_pre_training() -> None:
    network = KeypointNetwork(16, 16)
    before = {name: value.clone() for name, value in network.named_buffers()}
    Rfp(small(), network).train().policy.network(255 * torch.rand(2, 1, 64, 64))
    assert before and all(torch.equal(value, before[name]) for name, value in network.named_buffers())


WORLDS = RenderedSettings(160, 128, 6, 4.0, rooms=1.0)


def test_pairs_come_by_overlap_or_where_nothing_tells_it_by_time() -> None:
    sequence = RenderedWorlds(1, settings=WORLDS)[0]
    assert isinstance(RFP.sampler(small(), [sequence]), OverlapSequences)
    by_time = RFP.sampler(small(longest_gap=2), [replace(sequence, load_depth=None)])
    assert isinstance(by_time, LabelledPairs)
    rng = np.random.default_rng(0)
    choices = [by_time(rng, 0.0) for _ in range(20)]
    assert all(choice.label == 1 for choice in choices)
    assert {abs(choice.frames[0][1] - choice.frames[1][1]) for choice in choices} == {1, 2}


def test_it_trains_on_rendered_worlds_resumes_exports_and_runs(tmp_path: Path) -> None:
    config = small(
        method="rfp",
        steps=4,
        batch_size=1,
        network=NetworkChoice(settings={"descriptor_size": 16, "width": 16}),
        image=AugmentationSettings(width=96, height=64),
        data=DataSettings(worlds=1, world=WORLDS),
        checkpoint_every=2,
        loader_processes=0,
        accelerator="cpu",
    )
    checkpoint = train_whole_and_resumed(RFP, config, tmp_path)
    image = RenderedWorlds(1, settings=WORLDS)[0].image(0)
    cv2.imwrite(str(tmp_path / "image.png"), image)
    metadata = {"name": "rfp", "method": "rfp", "data": "rendered", "licence": "Apache-2.0"}
    network = load_network(checkpoint)
    export(network, tmp_path / "rfp.onnx", metadata, [tmp_path / "image.png"], max_keypoints=64)
    features = load_detector(tmp_path / "rfp.onnx")(image)
    assert len(features) > 0 and features.descriptors.shape[1] == 16
