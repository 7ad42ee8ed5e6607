from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.sequence import DatasetError
from training.evaluation.pair_sets import load_pair
from training.evaluation.protocols.scannet_1500 import SCANNET_1500, is_scannet_1500, read_scannet_1500

K = np.array([[1170.0, 0, 647.5], [0, 1170, 483.5], [0, 0, 1]])


def write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((968, 1296), 90, np.uint8))


def write_superglue_layout(root: Path, rotation: int = 0) -> Path:
    for name in ("1.jpg", "2.jpg"):
        write_image(root / "scannet_test_images" / "scene0707_00" / name)
    pose = np.eye(4)
    pose[2, 3] = 0.7
    numbers = [rotation, 0, *K.ravel(), *K.ravel(), *pose.ravel()]
    line = "scene0707_00/1.jpg scene0707_00/2.jpg " + " ".join(f"{number:g}" for number in numbers)
    (root / "scannet_test_pairs_with_gt.txt").write_text(line + "\n")
    return root


def test_superglues_pair_list_resized_to_640_x_480(tmp_path: Path) -> None:
    root = write_superglue_layout(tmp_path)
    assert is_scannet_1500(root)
    (pair,) = read_scannet_1500(root).pairs
    assert pair.pose is not None and pair.pose[2, 3] == 0.7
    loaded = load_pair(pair, SCANNET_1500.resize)
    assert [image.shape for image in loaded.images] == [(480, 640)] * 2
    assert loaded.intrinsics is not None
    # The centre of the image stays the centre of the image.
    np.testing.assert_allclose(loaded.intrinsics[0][:2, 2], [319.5, 239.5])
    np.testing.assert_allclose(loaded.intrinsics[0][0, 0], 1170 * 640 / 1296)


def test_loftrs_index(tmp_path: Path) -> None:
    place = tmp_path / "scannet_test_1500" / "scene0707_00"
    for frame, x in ((15, 0.0), (585, 2.0)):
        write_image(place / "color" / f"{frame}.jpg")
        pose = np.eye(4)
        pose[0, 3] = x
        (place / "pose").mkdir(exist_ok=True)
        np.savetxt(place / "pose" / f"{frame}.txt", pose)
    np.savez(tmp_path / "test.npz", name=np.array([[707, 0, 15, 585]]))
    matrix = np.array([[577.6, 0, 318.9], [0, 578.7, 242.7], [0, 0, 1]])
    np.savez(tmp_path / "intrinsics.npz", scene0707_00=matrix)
    assert is_scannet_1500(tmp_path)
    (pair,) = read_scannet_1500(tmp_path).pairs
    # Camera to world: what is at the first camera is 2 m to the left of the second.
    assert pair.pose is not None and pair.pose[0, 3] == -2
    loaded = load_pair(pair, SCANNET_1500.resize)
    assert loaded.intrinsics is not None
    np.testing.assert_allclose(loaded.intrinsics[1], matrix)


def test_rotated_images_and_missing_scenes_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="rotated images"):
        read_scannet_1500(write_superglue_layout(tmp_path / "rotated", rotation=1))
    other = tmp_path / "index"
    other.mkdir()
    np.savez(other / "test.npz", name=np.array([[707, 0, 15, 585]]))
    np.savez(other / "intrinsics.npz", scene0707_00=np.eye(3))
    with pytest.raises(DatasetError, match="scene0707_00 is neither in"):
        read_scannet_1500(other)
