from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.readers.shared_layout import read_shared_layout
from training.data.sequence import DatasetError

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames of 8 x 6 pixels with everything that the layout can hold."""
    for name in ("images", "depth", "masks"):
        (tmp_path / name).mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"images/{index:03}.png"), RNG.integers(0, 255, (6, 8, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"depth/{index:03}.png"), np.full((6, 8), 1000 * (index + 1), np.uint16))
        cv2.imwrite(str(tmp_path / f"masks/{index:03}.png"), np.tri(6, 8, index, np.uint8) * 255)
    calibration = {"fx": 5, "fy": 6, "cx": 3.5, "cy": 2.5, "width": 8, "height": 6, "depth_scale": 0.001}
    (tmp_path / "calib.json").write_text(json.dumps(calibration | {"dist": [0.1, 0, 0, 0, 0]}))
    lines = ["# time x y z qx qy qz qw"] + [f"1305031232.{index}00000001 {index} 0 2 0 0 1 1" for index in range(3)]
    (tmp_path / "poses_tum.txt").write_text("\n".join(lines))
    return tmp_path


def test_everything_is_read(folder: Path) -> None:
    sequence = read_shared_layout(folder)
    frame = sequence.frame(2)
    assert len(sequence) == 3
    assert frame.name == "002"
    assert frame.stamp_ns == 1305031232_200000001, "times keep their nanoseconds"
    assert frame.camera is not None
    assert frame.camera.matrix.tolist() == [[5, 0, 3.5], [0, 6, 2.5], [0, 0, 1]]
    assert frame.camera.distortion.tolist() == [0.1, 0, 0, 0, 0]
    assert frame.pose is not None
    np.testing.assert_allclose(frame.pose, [[0, -1, 0, 2], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]], atol=1e-12)
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, 3.0)
    np.testing.assert_array_equal(frame.mask, np.tri(6, 8, 2, bool))


def test_images_alone_are_enough(folder: Path) -> None:
    for name in ("calib.json", "poses_tum.txt"):
        (folder / name).unlink()
    for name in ("depth", "masks"):
        (folder / name).rename(folder / f"not_{name}")
    frame = read_shared_layout(folder).frame(0)
    assert (frame.camera, frame.pose, frame.depth) == (None, None, None)
    assert frame.mask.all()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "depth/001.png").unlink(), r"lacks 001"),
        (lambda folder: (folder / "poses_tum.txt").write_text("0 0 0 0 0 0 0 1"), r"1 poses for 3 images"),
        (lambda folder: (folder / "poses_tum.txt").write_text("0 0 0"), r"3 values instead of 8"),
        (lambda folder: (folder / "calib.json").write_text("{}"), r"lacks 'width'"),
        (lambda folder: (folder / "calib.json").write_text("{"), r"no JSON"),
        (lambda folder: [file.unlink() for file in (folder / "images").iterdir()], r"holds no image"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, spoil: object, reason: str) -> None:
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(DatasetError, match=reason):
        read_shared_layout(folder)


def test_sequences_are_cut_and_travel_to_other_processes(folder: Path) -> None:
    first, last = read_shared_layout(folder).split(2 / 3)
    assert (first.frame_names, last.frame_names) == (("000", "001"), ("002",))
    travelled = pickle.loads(pickle.dumps(last))
    depth = travelled.depth(0)
    assert depth is not None
    np.testing.assert_allclose(depth, 3.0)


def test_a_depth_camera_of_its_own_is_brought_into_the_images_pixels(shared_data: Path) -> None:
    sequence = read_shared_layout(shared_data / "redkitchen")
    assert not sequence.depth_registered
    raw = cv2.imread(str(shared_data / "redkitchen/depth/000000.png"), cv2.IMREAD_UNCHANGED)
    assert raw is not None
    depth = sequence.depth(0)
    assert depth is not None
    assert depth.max() < 60, "65535 says unknown"
    # A ray at x = 0.2 passes colour pixel 320 + 525 * 0.2 and depth pixel 320 + 585 * 0.2.
    assert depth[240, 425] == pytest.approx(0.001 * raw[240, 437])


@pytest.mark.parametrize("name", ["hololens", "icl_kt3", "tum_fr1_rpy", "kitti_06", "karlsruhe"])
def test_the_projects_own_data(shared_data: Path, name: str) -> None:
    sequence = read_shared_layout(shared_data / name)
    frame = sequence.frame(len(sequence) - 1)
    assert frame.camera is not None
    assert frame.image.shape == (frame.camera.height, frame.camera.width, 3)
    assert frame.pose is not None
    np.testing.assert_allclose(frame.pose[:3, :3] @ frame.pose[:3, :3].T, np.eye(3), atol=1e-9)
    assert sequence.has_depth == (shared_data / name / "depth").is_dir()
