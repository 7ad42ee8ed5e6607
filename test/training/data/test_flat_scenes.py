from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.augmentation import AugmentationSettings
from training.data.flat_scenes import FlatSettings, flat_scenes
from training.data.frame_batches import load_item, make_batch
from training.data.overlap import overlap_matrix
from training.data.sampling import Choice
from training.geometry.camera import view_of
from training.geometry.image_plane import pixel_grid, sample_map
from training.geometry.reprojection import reproject


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "noise.png"), cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 8), None, 0, 255, 32))
    return folder


SMALL = FlatSettings(views=5, width=128, height=96, nearest=1.0, farthest=2.0, longest_side=400)


def test_depth_and_pose_are_those_of_the_images(folder: Path) -> None:
    (scene,) = flat_scenes([folder], SMALL)
    overlap = overlap_matrix(scene)
    other = 1 + int(overlap[0, 1:].argmax())
    settings = AugmentationSettings(128, 96, appearance=None)
    item = load_item([scene], Choice(((0, 0), (0, other))), "depth")
    batch = make_batch([item], settings, "depth", False, np.random.default_rng(0))
    there = reproject(pixel_grid(96, 128)[None], view_of(batch, 0), view_of(batch, 1))
    seen = sample_map(batch.images[:, 1], there.points)[..., 0]
    difference = (seen - batch.images[:, 0].reshape(1, -1)).abs()[there.visible]
    assert float(there.visible.float().mean()) > 0.2
    assert float(difference.mean()) < 0.05 * float(batch.images.std())


def test_each_seed_has_its_views_and_gives_them_again(folder: Path) -> None:
    (scene,) = flat_scenes([folder], SMALL, seed=1)
    (again,) = pickle.loads(pickle.dumps(flat_scenes([folder], SMALL, seed=1)))
    (other,) = flat_scenes([folder], SMALL, seed=2)
    np.testing.assert_array_equal(scene.image(3), again.image(3))
    assert np.abs(scene.image(3).astype(int) - other.image(3)).mean() > 5
    assert scene.image(0).shape == (96, 128, 3)


def test_a_view_from_afar_does_not_alias(folder: Path, tmp_path: Path) -> None:
    """A chequerboard of one pixel is grey from a distance."""
    board = 255 * (np.indices((300, 400)).sum(0) % 2).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "board.png"), board)
    (scene,) = flat_scenes([tmp_path], FlatSettings(3, 128, 96, nearest=3.9, farthest=4.0, tilt=1.0, longest_side=400))
    assert scene.image(0)[30:60, 40:90].std() < 10


def test_rays_beside_the_plane_have_no_depth(folder: Path) -> None:
    steep = FlatSettings(views=40, width=64, height=64, field_of_view=120.0, tilt=80.0, roll=0.0, longest_side=400)
    (scene,) = flat_scenes([folder], steep)
    depths = torch.from_numpy(np.stack([np.asarray(scene.depth(index)) for index in range(len(scene))]))
    assert bool((depths >= 0).all()) and bool((depths == 0).any()) and bool((depths > 0).any())
