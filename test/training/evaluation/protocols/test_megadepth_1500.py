from pathlib import Path

import numpy as np
import pytest

from training.data.sequence import DatasetError
from training.evaluation.protocols.megadepth_1500 import is_megadepth_1500, read_megadepth_1500

K = np.array([[900.0, 0, 400.5], [0, 910, 300.5], [0, 0, 1]])


def moved(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def write_loftr_layout(root: Path) -> Path:
    """Two scene files in the index folder, images beside it; missing images are None, as in LoFTR's files."""
    index = root / "index" / "megadepth_test_1500_scene_info"
    index.mkdir(parents=True)
    for scene, overlap in (("0015", "0.1_0.3"), ("0022", "0.5_0.7")):
        names = [f"Undistorted_SfM/{scene}/images/{number}.jpg" for number in range(2)]
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"an image")
        infos = np.empty(1, object)
        infos[0] = ((0, 2), 0.2, np.zeros((4, 4)))
        np.savez(
            index / f"{scene}_{overlap}.npz",
            image_paths=np.array([names[0], None, names[1]], object),
            depth_paths=np.array([None] * 3, object),
            intrinsics=np.array([K, None, 2 * K], object),
            poses=np.array([moved(1.0), None, moved(3.0)], object),
            pair_infos=infos,
        )
    return root


def test_loftrs_scene_files(tmp_path: Path) -> None:
    root = write_loftr_layout(tmp_path)
    assert is_megadepth_1500(root) and is_megadepth_1500(root / "index" / "megadepth_test_1500_scene_info")
    pairs = read_megadepth_1500(root).pairs
    assert [pair.group for pair in pairs] == ["0015_0.1_0.3", "0022_0.5_0.7"]
    assert pairs[1].second == root / "Undistorted_SfM/0022/images/1.jpg"
    # World to camera: the second camera from the first is pose 2 times the inverse of pose 1.
    np.testing.assert_allclose(pairs[0].pose, moved(2.0))
    intrinsics = pairs[0].intrinsics
    assert intrinsics is not None
    # COLMAP's principal point is half a pixel off from ours.
    np.testing.assert_allclose(intrinsics[0], [[900, 0, 400], [0, 910, 300], [0, 0, 1]])


def test_glue_factorys_pair_list(tmp_path: Path) -> None:
    root = tmp_path / "megadepth1500"
    (root / "images" / "0015").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (root / "images" / "0015" / name).write_bytes(b"an image")
    numbers = [*K.ravel(), *(2 * K).ravel(), *np.eye(3).ravel(), 0.5, 0, 1]
    (root / "pairs_calibrated.txt").write_text("0015/a.jpg 0015/b.jpg " + " ".join(map(str, numbers)) + "\n")
    assert is_megadepth_1500(root)
    (pair,) = read_megadepth_1500(root).pairs
    assert pair.first == root / "images/0015/a.jpg"
    assert pair.pose is not None and pair.pose[:3, 3].tolist() == [0.5, 0, 1]


def test_a_missing_image_and_a_wrong_line_are_named(tmp_path: Path) -> None:
    root = write_loftr_layout(tmp_path)
    (root / "Undistorted_SfM/0015/images/1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"0015_0\.1_0\.3\.npz names Undistorted_SfM/0015/images/1\.jpg"):
        read_megadepth_1500(root)
    other = tmp_path / "megadepth1500"
    other.mkdir()
    (other / "pairs_calibrated.txt").write_text("a.jpg b.jpg 1 2 3\n")
    with pytest.raises(DatasetError, match="line 1 has 5 words"):
        read_megadepth_1500(other)
