from pathlib import Path

import numpy as np
import pytest

from training.data.sequence import DatasetError
from training.evaluation.protocols.homography_sets import HPATCHES, is_homography_set, read_homography_set


def write_scene(folder: Path, images: int = 6) -> None:
    folder.mkdir(parents=True)
    for number in range(1, images + 1):
        (folder / f"{number}.ppm").write_bytes(b"P5 1 1 255 a")
        if number > 1:
            (folder / f"H_1_{number}").write_text("1 0 2\n0  1 3 \n0 0 1\n")


def test_hpatches_is_read_without_the_images_that_published_evaluations_leave_out(tmp_path: Path) -> None:
    for scene in ("i_ajuntament", "v_adam", "i_dc", "v_talent"):
        write_scene(tmp_path / scene)
    assert is_homography_set(tmp_path)
    pairs = read_homography_set(tmp_path)
    assert pairs.protocol is HPATCHES and pairs.has_homographies
    assert [pair.name for pair in pairs.pairs] == [
        *(f"i_ajuntament 1-{number}" for number in range(2, 7)),
        *(f"v_adam 1-{number}" for number in range(2, 7)),
    ]
    assert {pair.group for pair in pairs.pairs} == {"illumination", "viewpoint"}
    assert pairs.pairs[0].second.name == "2.ppm"
    np.testing.assert_array_equal(pairs.pairs[0].homography, [[1, 0, 2], [0, 1, 3], [0, 0, 1]])


def test_other_sets_of_this_layout_are_read_too(shared_data: Path) -> None:
    pairs = read_homography_set(shared_data / "homography").pairs
    assert "oxford_graf 1-3" in [pair.name for pair in pairs]
    assert all(pair.first.is_file() and pair.second.is_file() for pair in pairs)


def test_a_missing_image_and_a_broken_homography_are_named(tmp_path: Path) -> None:
    write_scene(tmp_path / "v_adam", images=2)
    (tmp_path / "v_adam" / "H_1_2").write_text("1 0 2\n")
    with pytest.raises(DatasetError, match="H_1_2 is no homography"):
        read_homography_set(tmp_path)
    (tmp_path / "v_adam" / "H_1_2").unlink()
    (tmp_path / "v_adam" / "H_1_3").write_text("1 0 2 0 1 3 0 0 1")
    with pytest.raises(DatasetError, match=r"no 3\.ppm"):
        read_homography_set(tmp_path)
    assert not is_homography_set(tmp_path / "v_adam")
