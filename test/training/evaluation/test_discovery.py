import shutil
from pathlib import Path

import numpy as np
import pytest
from sliding_wall import write_homography_set, write_wall_sequence

from training.data.sequence import DatasetError
from training.evaluation.discovery import discover, with_estimator


def write_data(folder: Path) -> Path:
    """A sequence, a homography set, MegaDepth-1500 as glue-factory has it, photographs and something else."""
    write_wall_sequence(folder / "wall", frames=8)
    write_homography_set(folder / "homography")
    images = folder / "megadepth1500" / "images"
    images.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(b"an image")
    numbers = [*np.eye(3).ravel(), *np.eye(3).ravel(), *np.eye(4).ravel()]
    (folder / "megadepth1500" / "pairs_calibrated.txt").write_text("a.jpg b.jpg " + " ".join(map(str, numbers)))
    (folder / "photos").mkdir()
    (folder / "photos" / "p.png").write_bytes((folder / "wall" / "images" / "0000.png").read_bytes())
    (folder / "bags").mkdir()
    (folder / "bags" / "drive.bag").write_bytes(b"#ROSBAG")
    return folder


def test_sequences_and_sets_are_found_side_by_side(tmp_path: Path) -> None:
    found = discover([write_data(tmp_path)], [], None)
    assert [sequence.name for sequence in found.sequences] == ["wall"]
    assert [pairs.name for pairs in found.pair_sets] == ["homography", "MegaDepth-1500"]
    assert found.notes == []


def test_paths_may_be_single_sequences_and_sets(tmp_path: Path) -> None:
    write_data(tmp_path)
    found = discover([tmp_path / "homography", tmp_path / "wall"], [], frames=6)
    assert [len(sequence) for sequence in found.sequences] == [6]
    assert [len(pairs.pairs) for pairs in found.pair_sets] == [4]
    only = discover([tmp_path], ["wall"], None)
    assert [sequence.name for sequence in only.sequences] == ["wall"] and only.pair_sets == []


def test_frames_without_a_pose_are_left_out_and_sequences_without_truth_are_named(tmp_path: Path) -> None:
    folder = write_wall_sequence(tmp_path / "wall", frames=8)
    poses = (folder / "poses_tum.txt").read_text().splitlines()
    (folder / "poses_tum.txt").write_text("\n".join([*poses[:7], "0.7 nan nan nan 0 0 0 1"]))
    blind = write_wall_sequence(tmp_path / "blind", frames=6)
    shutil.rmtree(blind / "depth")
    (blind / "calib.json").unlink()
    (write_wall_sequence(tmp_path / "lost", frames=6) / "poses_tum.txt").unlink()
    found = discover([tmp_path], [], None)
    assert [(sequence.name, len(sequence)) for sequence in found.sequences] == [("wall", 7)]
    assert found.notes == ["blind left out: it has no calibration", "lost left out: it has no poses"]


def test_nothing_to_judge_is_an_error_that_says_why(tmp_path: Path) -> None:
    (write_wall_sequence(tmp_path / "wall", frames=8) / "poses_tum.txt").unlink()
    with pytest.raises(DatasetError, match="wall left out: it has no poses"):
        discover([tmp_path], [], None)
    with pytest.raises(DatasetError, match="does not exist"):
        discover([tmp_path / "nowhere"], [], None)


def test_a_protocols_estimator_can_be_replaced(tmp_path: Path) -> None:
    (pairs,) = discover([write_homography_set(tmp_path / "set")], [], None).pair_sets
    assert with_estimator(pairs, None, None).protocol == pairs.protocol
    changed = with_estimator(pairs, "opencv-ransac", 0.5).protocol
    assert (changed.estimator, changed.thresholds, changed.resize) == ("opencv-ransac", (0.5,), pairs.protocol.resize)
