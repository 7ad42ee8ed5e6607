from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.augmentation import AugmentationSettings
from training.data.frame_batches import FrameBatches
from training.data.photometric import PhotometricSettings
from training.data.readers.shared_layout import read_shared_layout
from training.data.remembering import Memory, remembered
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sampling import LabelledPairs, OverlapSequences
from training.data.sequence import DatasetError, Sequence
from training.geometry.camera import view_of
from training.geometry.reprojection import reproject

SIZE = RenderedSettings(width=160, height=120, frames=8, rate=4.0, rooms=1.0)


@pytest.fixture(scope="module")
def worlds() -> list[Sequence]:
    memory = Memory(100)
    return [remembered(world, memory) for world in RenderedWorlds(2, seed=5, settings=SIZE)]


def overlapping(worlds: list[Sequence], settings: AugmentationSettings, seed: int = 0, frames: int = 3) -> FrameBatches:
    sampler = OverlapSequences(worlds, frames, ((0.3, 0.95),))
    return FrameBatches(sampler, settings, "depth", batch_size=2, steps=10, seed=seed)


def test_a_step_gives_its_batch_whenever_it_is_asked(worlds: list[Sequence]) -> None:
    settings = AugmentationSettings(96, 64, zoom=0.7, turns=True, shift=8)
    one, other = overlapping(worlds, settings), overlapping(worlds, settings)
    later = other[7]
    assert torch.equal(one[3].images, other[3].images)
    assert torch.equal(one[7].images, later.images)
    assert not torch.equal(one[3].images, later.images)
    assert not torch.equal(one[3].images, overlapping(worlds, settings, seed=1)[3].images)
    assert one[3].images.shape == (2, 3, 1, 64, 96)


@pytest.mark.parametrize(
    "settings",
    [
        AugmentationSettings(160, 120, appearance=None),
        AugmentationSettings(96, 96, zoom=0.6, turns=True, shift=10, appearance=None),
        AugmentationSettings(128, 128, fit="pad", turns=True, appearance=None),
    ],
)
def test_pixels_reproject_to_what_they_show(worlds: list[Sequence], settings: AugmentationSettings) -> None:
    """Augmentation keeps K, depth and pose true: the core's own reprojection finds the same grey value."""
    agreed = []
    for step in range(4):
        batch = overlapping(worlds, settings, frames=2)[step]
        height, width = batch.images.shape[-2:]
        y, x = torch.meshgrid(torch.arange(4, height - 4, 3), torch.arange(4, width - 4, 3), indexing="ij")
        points = torch.stack([x, y], -1).reshape(1, -1, 2).float().expand(2, -1, -1)
        found = reproject(points, view_of(batch, 0), view_of(batch, 1))
        for item in range(2):
            seen = found.visible[item]
            places = found.points[item][seen].round().long()
            before = batch.images[item, 0, 0][points[item][seen][:, 1].long(), points[item][seen][:, 0].long()]
            after = batch.images[item, 1, 0][places[:, 1], places[:, 0]]
            if seen.sum() > 30:
                agreed.append(float(torch.corrcoef(torch.stack([before, after]))[0, 1]))
    assert len(agreed) >= 4
    assert np.median(agreed) > 0.75


def test_the_world_moves_to_the_reference(worlds: list[Sequence]) -> None:
    batch = overlapping(worlds, AugmentationSettings(160, 120, appearance=None))[0]
    assert batch.pose is not None
    torch.testing.assert_close(batch.pose[:, 0], torch.eye(4).expand(2, 4, 4))
    far = [replace(world, poses=None if world.poses is None else world.poses + moved(1e6)) for world in worlds]
    again = overlapping(far, AugmentationSettings(160, 120, appearance=None))[0]
    assert again.pose is not None
    torch.testing.assert_close(batch.pose, again.pose, atol=1e-5, rtol=0)


def moved(metres: float) -> np.ndarray:
    shift = np.zeros((4, 4))
    shift[:3, 3] = metres
    return shift


def test_images_alone(worlds: list[Sequence]) -> None:
    bare = [replace(world, cameras=None, poses=None, load_depth=None) for world in worlds]
    settings = AugmentationSettings(120, 120, fit="pad", colour=True, appearance=PhotometricSettings(jpeg_chance=1.0))
    batch = FrameBatches(LabelledPairs(bare), settings, "images", 4, 5, 0)[2]
    assert batch.images.shape == (4, 2, 3, 120, 120)
    assert (batch.intrinsics, batch.pose, batch.depth) == (None, None, None)
    assert set(batch.label.tolist()) <= {-1, 1}
    assert batch.valid[:, :, :90].all(), "160 x 120 becomes 120 x 90"
    assert not batch.valid[:, :, 90:].any()
    assert not batch.images[:, :, :, 90:].any(), "padding stays black, whatever the light"


def test_colour_is_rgb() -> None:
    def blue(_: int) -> np.ndarray:
        return np.full((8, 8, 3), (200, 100, 0), np.uint8)

    sequence = Sequence("blue", ("0",), np.zeros(1, np.int64), blue, ordered=False)
    settings = AugmentationSettings(8, 8, colour=True, appearance=None)
    batch = FrameBatches(LabelledPairs([sequence], negatives=0.0), settings, "images", 1, 1, 0)[0]
    assert batch.images[0, 0, :, 3, 3].tolist() == [0, 100, 200]


def test_what_the_method_needs_must_be_there(worlds: list[Sequence]) -> None:
    lacking = replace(worlds[0], load_depth=None)
    sampler = LabelledPairs([lacking, worlds[1]])
    with pytest.raises(DatasetError, match="has no depth, which this training needs"):
        FrameBatches(sampler, AugmentationSettings(), "depth", 1, 1, 0)


def test_lens_distortion_goes_into_the_batch(shared_data: Path) -> None:
    sequence = read_shared_layout(shared_data / "tum_fr1_rpy").subset(range(0, 30, 3))
    batches = FrameBatches(
        OverlapSequences([sequence], 2, ((0.2, 0.95),)), AugmentationSettings(320, 240), "depth", 1, 1, 0
    )
    distortion = batches[0].distortion
    assert distortion is not None
    assert distortion[0, 0].tolist() == pytest.approx([0.262383, -0.953104, -0.005358, 0.002628, 1.163314, 0, 0, 0])
