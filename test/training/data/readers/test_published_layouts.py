"""Each published layout, written small by the test and read back."""

from __future__ import annotations

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from training.data.readers.euroc import read_euroc
from training.data.readers.kitti_odometry import read_kitti_odometry
from training.data.readers.megadepth import read_megadepth
from training.data.readers.opening import open_sequences
from training.data.readers.seven_scenes import read_seven_scenes
from training.data.readers.tum_rgbd import read_tum_rgbd
from training.data.sequence import DatasetError, Sequence

RNG = np.random.default_rng(0)


def picture(file: Path, width: int = 16, height: int = 12) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), RNG.integers(0, 255, (height, width, 3), np.uint8))


def depth_picture(file: Path, value: int, width: int = 16, height: int = 12) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((height, width), value, np.uint16))


def found(path: Path) -> Sequence:
    (sequence,) = open_sequences(path)
    return sequence


def tum_rgbd(root: Path, name: str = "rgbd_dataset_freiburg2_desk") -> Path:
    folder = root / name
    colour, depth = ["# color images"], ["# depth maps"]
    for index in range(4):
        picture(folder / f"rgb/10.{index}00000.png")
        colour.append(f"10.{index}00000 rgb/10.{index}00000.png")
    # The depth of frame 1 was lost, that of the others comes 10 ms later.
    for index in (0, 2, 3):
        depth_picture(folder / f"depth/10.{index}10000.png", 5000 * (index + 1))
        depth.append(f"10.{index}10000 depth/10.{index}10000.png")
    (folder / "rgb.txt").write_text("\n".join(colour))
    (folder / "depth.txt").write_text("\n".join(depth))
    truth = ["# timestamp tx ty tz qx qy qz qw", "9.95 -0.5 0 0 0 0 0 1", "10.05 0.5 0 0 0 0 0 1"]
    truth += ["10.2 2 0 0 0 0 1 1", "10.9 9 0 0 0 0 0 1"]
    (folder / "groundtruth.txt").write_text("\n".join(truth))
    return folder


def test_tum_rgbd(tmp_path: Path) -> None:
    sequence = found(tum_rgbd(tmp_path))
    assert sequence.frame_names == ("10.000000", "10.200000", "10.300000"), "frames without depth are left out"
    assert sequence.stamps_ns.tolist() == [10_000_000_000, 10_200_000_000, 10_300_000_000]
    frame = sequence.frame(1)
    assert frame.camera is not None
    assert frame.camera.matrix[0, 0] == pytest.approx(520.9, abs=0.1)
    assert frame.camera.distortion[0] == pytest.approx(0.2312, abs=1e-4)
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, 3.0)
    between = sequence.pose(0)
    assert between is not None
    np.testing.assert_allclose(between[:3, 3], 0, atol=1e-9)
    assert frame.pose is not None
    np.testing.assert_allclose(frame.pose[:2, :2], [[0, -1], [1, 0]], atol=1e-9)
    assert sequence.pose(2) is None, "motion capture had lost sight"


def test_tum_rgbd_of_an_unknown_camera_needs_its_calibration(tmp_path: Path) -> None:
    folder = tum_rgbd(tmp_path, "my_kinect")
    with pytest.raises(DatasetError, match=r"put a calib\.json"):
        read_tum_rgbd(folder)
    (folder / "calib.json").write_text('{"fx": 9, "fy": 9, "cx": 7.5, "cy": 5.5, "width": 16, "height": 12}')
    camera = read_tum_rgbd(folder).camera(0)
    assert camera is not None
    assert camera.matrix[0, 0] == 9


def kitti(root: Path) -> Path:
    folder = root / "dataset/sequences/07"
    for index in range(2):
        picture(folder / f"image_2/{index:06}.png")
    rows = [f"P{number}: 700 0 8 {-700 * shift} 0 700 6 0 0 0 1 0" for number, shift in enumerate((0, 0.5, -0.1, 0.4))]
    (folder / "calib.txt").write_text("\n".join([*rows, "Tr: 1 0 0 0 0 1 0 0 0 0 1 0"]))
    (folder / "times.txt").write_text("0.000000e+00\n1.037875e-01\n")
    (root / "dataset/poses").mkdir()
    (root / "dataset/poses/07.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n0 0 1 2 0 1 0 0 -1 0 0 5\n")
    return folder


def test_kitti_odometry(tmp_path: Path) -> None:
    sequence = found(kitti(tmp_path).parents[1])
    assert sequence.name == "kitti_07"
    assert sequence.stamps_ns.tolist() == [0, 103_787_500]
    camera = sequence.camera(0)
    assert camera is not None
    assert (camera.width, camera.height) == (16, 12)
    assert camera.matrix.tolist() == [[700, 0, 8], [0, 700, 6], [0, 0, 1]]
    # Camera 2 stands 0.1 m to the left of camera 0; the second frame looks along x.
    first, second = sequence.pose(0), sequence.pose(1)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first[:3, 3], [-0.1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(second[:3, 3], [2, 0, 5.1], atol=1e-12)


def test_kitti_odometry_without_truth_and_without_a_camera(tmp_path: Path) -> None:
    folder = kitti(tmp_path)
    (tmp_path / "dataset/poses/07.txt").unlink()
    assert read_kitti_odometry(folder).poses is None
    with pytest.raises(DatasetError, match=r"image_0 holds no image"):
        read_kitti_odometry(folder, camera=0)


SENSOR = """#Default camera
sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.1,
         1.0, 0.0, 0.0, 0.2,
         0.0, 0.0, 1.0, 0.3,
         0.0, 0.0, 0.0, 1.0]
resolution: [16, 12]
camera_model: pinhole
intrinsics: [20.0, 21.0, 7.5, 5.5] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0002, 1.7e-05]
"""


def euroc(root: Path) -> Path:
    place = root / "MH_01_easy/mav0"
    stamps = [1_403_636_579_763_555_584 + 50_000_000 * index for index in range(3)]
    for stamp in stamps:
        picture(place / f"cam0/data/{stamp}.png")
    lines = ["#timestamp [ns],filename"] + [f"{stamp},{stamp}.png" for stamp in stamps]
    (place / "cam0/data.csv").write_text("\r\n".join(lines))
    (place / "cam0/sensor.yaml").write_text(SENSOR)
    truth = place / "state_groundtruth_estimate0"
    truth.mkdir()
    rows = [
        f"{stamps[1] + shift},{x},2.0,3.0,0.0,0.0,0.0,1.0,0,0,0" for shift, x in ((-5_000_000, 1.0), (5_000_000, 2))
    ]
    (truth / "data.csv").write_text("\n".join(["#timestamp, p_RS_R_x [m], ...", *rows]))
    return root / "MH_01_easy"


def test_euroc(tmp_path: Path) -> None:
    sequence = found(euroc(tmp_path))
    assert sequence.name == "MH_01_easy"
    frame = sequence.frame(1)
    assert frame.stamp_ns == 1_403_636_579_813_555_584
    assert frame.camera is not None
    assert frame.camera.distortion.tolist() == [-0.28, 0.07, 0.0002, 1.7e-05]
    assert frame.pose is not None
    # Half a turn of the body about z, then the camera's place in the body.
    np.testing.assert_allclose(frame.pose[:3, 3], [1.5 - 0.1, 2 - 0.2, 3 + 0.3], atol=1e-9)
    np.testing.assert_allclose(frame.pose[:2, :2], [[0, 1], [-1, 0]], atol=1e-9)
    assert sequence.pose(0) is None, "the truth begins later"
    assert read_euroc(tmp_path / "MH_01_easy/mav0").name == "MH_01_easy"


def seven_scenes(root: Path) -> Path:
    folder = root / "chess/seq-01"
    for index, pose in enumerate((np.diag([1.0, 1, 1, 1]), np.zeros((4, 4)))):
        picture(folder / f"frame-{index:06}.color.png", 640, 480)
        depth_picture(folder / f"frame-{index:06}.depth.png", (1500, 65535)[index], 640, 480)
        np.savetxt(folder / f"frame-{index:06}.pose.txt", pose)
    return folder


def test_seven_scenes(tmp_path: Path) -> None:
    sequence = found(seven_scenes(tmp_path).parents[1])
    assert sequence.name == "chess_seq-01"
    assert not sequence.depth_registered
    assert (sequence.pose(0) is None, sequence.pose(1) is None) == (False, True), "all zero says lost"
    first, second = sequence.depth(0), sequence.depth(1)
    assert first is not None
    assert second is not None
    # The depth camera sees a narrower part: 240 / 585 of the focal length against 240 / 525.
    assert first[240, 320] == pytest.approx(1.5)
    assert first[2, 320] == 0
    assert second.max() == 0
    assert read_seven_scenes(tmp_path / "chess/seq-01").frame_names == ("frame-000000", "frame-000001")


def megadepth(root: Path, paths: list[str | None], **more: object) -> Path:
    for index, path in enumerate(paths):
        if path is not None:
            picture(root / path, 20 + index, 14)
            (root / f"depths{index}.h5").parent.mkdir(exist_ok=True)
            with h5py.File(root / f"depths{index}.h5", "w") as file:
                file["depth"] = np.full((14, 20 + index), 1.0 + index, np.float16)
    empty = np.empty(len(paths), object)
    info = {name: empty.copy() for name in ("image_paths", "depth_paths", "intrinsics", "poses")}
    for index, path in enumerate(paths):
        if path is None:
            continue
        from_world = np.eye(4)
        from_world[:3, 3] = [0, 0, index]
        info["image_paths"][index], info["depth_paths"][index] = path, f"depths{index}.h5"
        info["intrinsics"][index] = np.array([[30.0, 0, 10], [0, 31, 7], [0, 0, 1]])
        info["poses"][index] = from_world
    file = root / "scene_info/0022_0.1_0.3.npz"
    file.parent.mkdir(exist_ok=True)
    np.savez(file, **info, **more)
    return file


def test_megadepth_by_pairs(tmp_path: Path) -> None:
    pairs = np.empty(1, object)
    pairs[0] = (np.array([0, 2]), 0.25, None)
    file = megadepth(tmp_path, ["imgs/a.jpg", None, "imgs/b.jpg"], pair_infos=pairs)
    sequence = found(file)
    assert sequence.frame_names == ("imgs/a.jpg", "imgs/b.jpg"), "images that are not there are left out"
    assert not sequence.ordered
    frame = sequence.frame(1)
    assert frame.camera is not None
    assert (frame.camera.width, frame.camera.matrix[0, 2], frame.camera.matrix[1, 2]) == (22, 9.5, 6.5)
    assert frame.pose is not None
    np.testing.assert_allclose(frame.pose[:3, 3], [0, 0, -2])
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, 3.0)
    assert sequence.overlaps is not None
    np.testing.assert_allclose(sequence.overlaps, [[0, 0.25], [0.25, 0]])


def test_megadepth_by_overlap_matrix(tmp_path: Path) -> None:
    file = megadepth(tmp_path, ["a.jpg", "b.jpg"], overlap_matrix=np.array([[1, 0.4], [-1, 1]]))
    sequence = read_megadepth(file)
    assert sequence.overlaps is not None
    np.testing.assert_allclose(sequence.overlaps, [[1, 0.4], [0, 1]])
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DatasetError, match="in no folder above"):
        read_megadepth(file)


def test_photographs_of_a_folder(tmp_path: Path) -> None:
    picture(tmp_path / "holiday/b.jpg")
    picture(tmp_path / "a.png", 30)
    sequence = found(tmp_path)
    assert sequence.frame_names == ("a.png", "holiday/b.jpg")
    assert not sequence.ordered
    assert sequence.image(0).shape == (12, 30, 3)


def test_several_layouts_below_one_folder(tmp_path: Path) -> None:
    kitti(tmp_path)
    euroc(tmp_path)
    seven_scenes(tmp_path)
    np.savez(tmp_path / "features.npz", keypoints=np.zeros(3))
    assert [sequence.name for sequence in open_sequences(tmp_path)] == ["MH_01_easy", "chess_seq-01", "kitti_07"]


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "drive.mcap").touch()
    for path, reason in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "drive.mcap", "make bags into data"),
        (tmp_path, "neither a sequence"),
    ):
        with pytest.raises(DatasetError, match=reason):
            open_sequences(path)
