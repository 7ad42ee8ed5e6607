import cv2
import numpy as np
import pytest
import torch

from training.data.homography_pairs import HomographyPairs, HomographySettings, sample_pair
from training.data.photographs import Photograph, list_photographs, load_photograph
from training.data.photometric import PhotometricSettings
from training.geometry.image_plane import warp_map

SAME_APPEARANCE = PhotometricSettings(0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def photograph() -> Photograph:
    noise = np.random.default_rng(0).integers(0, 255, (500, 700), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3.0)
    stretched = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    half = cv2.resize(stretched, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return Photograph("noise", (stretched, half))


def test_the_homography_carries_one_view_onto_the_other(photograph: Photograph) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        reference, target, clean, homography = sample_pair(photograph, HomographySettings(), SAME_APPEARANCE, rng)
        np.testing.assert_array_equal(reference, clean)
        warped, seen = warp_map(
            torch.from_numpy(target)[None, None].float(), torch.from_numpy(homography.astype(np.float32))[None]
        )
        difference = (warped - torch.from_numpy(reference).float())[seen].abs()
        contrast = float(torch.from_numpy(reference).float().std())
        assert seen.float().mean() > 0.1
        assert float(difference.mean()) < 0.15 * contrast


def test_a_step_gives_the_same_batch_each_time_and_other_steps_others(photograph: Photograph) -> None:
    pairs = HomographyPairs([photograph], HomographySettings(size=64), PhotometricSettings(), 2, 10, 7)
    once, again, other = pairs[4], pairs[4], pairs[5]
    assert torch.equal(once.reference, again.reference) and torch.equal(once.homography, again.homography)
    assert not torch.equal(once.reference, other.reference)
    assert once.reference.shape == (2, 1, 64, 64) and len(pairs) == 10


def test_photographs_are_bounded_in_size_and_come_as_a_pyramid(tmp_path) -> None:  # type: ignore[no-untyped-def]
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((600, 2000, 3), np.uint8))
    (tmp_path / "a.txt").write_text("no image")
    found = list_photographs([tmp_path])
    assert [path.name for path in found] == ["b.png"]
    loaded = load_photograph(found[0], longest_side=1000)
    assert [level.shape for level in loaded.levels] == [(300, 1000), (150, 500), (75, 250)]


def test_missing_folders_and_broken_images_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_photographs([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match="fetch-photos"):
        list_photographs([tmp_path])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        load_photograph(tmp_path / "broken.jpg")
