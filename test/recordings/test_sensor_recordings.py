"""What odometry reads: bags, and folders in three layouts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from drives import Drive
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.odometry import Mode
from kp_ros.recordings import messages
from kp_ros.recordings.euroc_layout import rectify
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_bag import SensorBag
from kp_ros.recordings.sensor_opening import SensorOptions, open_sensors

CALIBRATION = {"fx": 100.0, "fy": 101.0, "cx": 80.0, "cy": 60.0, "width": 160, "height": 120}
COUNT = 4


def write(folder: Path, images: list[NDArray[np.generic]], names: list[str] | None = None) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f"{names[index] if names else f'{index:06d}'}.png"), image)


def shared_layout(
    path: Path, drive: Drive, names: list[str] | None = None, times: list[str] | None = None, **calibration: object
) -> Path:
    write(path / "images", drive.images[:COUNT], names)
    write(path / "images_right", drive.images[COUNT : 2 * COUNT], names)
    write(path / "depth", [np.full((120, 160), 1000 * (index + 1), np.uint16) for index in range(COUNT)], names)
    (path / "calib.json").write_text(json.dumps({**CALIBRATION, **calibration}))
    if times:
        (path / "poses_tum.txt").write_text("# time\n" + "\n".join(f"{time} 0 0 0 0 0 0 1" for time in times))
    return path


def test_depth_of_a_folder(tmp_path: Path, drive: Drive) -> None:
    folder = shared_layout(tmp_path, drive, times=["1.5", "1.6", "1.70", "1.8"], depth_scale=0.0005, depth_invalid=2000)
    sensors = open_sensors(folder, None)
    frames = list(sensors.frames())
    assert sensors.frame_count == COUNT
    assert [frame.time for frame in frames] == ["1.5", "1.6", "1.70", "1.8"]
    assert [frame.stamp_ns for frame in frames] == [1500000000, 1600000000, 1700000000, 1800000000]
    depths = [float(np.median(frame.depth)) for frame in frames if frame.depth is not None]
    assert depths == pytest.approx([0.5, 0.0, 1.5, 2.0])
    np.testing.assert_array_equal(frames[2].image, drive.images[2])
    assert frames[0].camera.matrix[1, 1] == 101.0
    assert frames[0].right is None


def test_a_depth_camera_of_its_own(tmp_path: Path, drive: Drive) -> None:
    folder = shared_layout(tmp_path, drive, depth_scale=0.001, depth_K=[200.0, 202.0, 80.0, 60.0])
    depth = next(iter(open_sensors(folder, Mode.RGBD).frames())).depth
    assert depth is not None
    # The depth camera sees half as much.
    assert (depth > 0).mean() == pytest.approx(0.25, abs=0.03)
    other = SensorOptions(depth_camera=np.array([[100.0, 0, 80], [0, 101.0, 60], [0, 0, 1]]))
    same = next(iter(open_sensors(folder, Mode.RGBD, other).frames())).depth
    assert same is not None
    assert (same == 1.0).mean() > 0.98


def test_stereo_of_a_folder(tmp_path: Path, drive: Drive) -> None:
    frames = list(open_sensors(shared_layout(tmp_path, drive, baseline=0.5), None).frames())
    assert frames[1].baseline == 0.5
    np.testing.assert_array_equal(frames[1].right, drive.images[COUNT + 1])
    # Numbers as names are what the frames are called; motion is timed at 30 Hz.
    assert [frame.time for frame in frames] == ["000000", "000001", "000002", "000003"]
    assert frames[3].stamp_ns == 100_000_000


@pytest.mark.parametrize(
    ("names", "times", "expected"),
    [
        (["12.5", "12.75", "13.0", "13.25"], None, ["12.5", "12.75", "13.0", "13.25"]),
        (None, ["3", "4", "5", "7"], ["3", "4", "5", "7"]),
        ([f"140363657976355558{index}" for index in range(4)], None, [f"1403636579.76355558{i}" for i in range(4)]),
        (list("abcd"), None, ["0.000000000", "0.033333333", "0.066666667", "0.100000000"]),
    ],
)
def test_times_are_those_of_the_input(
    tmp_path: Path, drive: Drive, names: list[str] | None, times: list[str] | None, expected: list[str]
) -> None:
    frames = list(open_sensors(shared_layout(tmp_path, drive, names, times), Mode.MONO).frames())
    assert [frame.time for frame in frames] == expected
    assert all(after.stamp_ns > before.stamp_ns for before, after in itertools.pairwise(frames))


@pytest.mark.parametrize(
    ("mode", "calibration", "missing", "told"),
    [
        (Mode.RGBD, {}, None, r"calib\.json lacks 'depth_scale'"),
        (Mode.STEREO, {}, None, r"calib\.json lacks 'baseline'"),
        (Mode.STEREO, {"baseline": 0.5}, "images_right", "images_right does not exist"),
        (Mode.RGBD, {"depth_scale": 0.001}, "depth/000002.png", "lacks 000002 and 0 more of 4"),
    ],
)
def test_what_a_mode_lacks_is_told(
    tmp_path: Path, drive: Drive, mode: Mode, calibration: dict[str, float], missing: str | None, told: str
) -> None:
    folder = shared_layout(tmp_path, drive, **calibration)
    if missing:
        (folder / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(RecordingError, match=told):
        open_sensors(folder, mode)


def test_a_folder_without_calibration_is_told(tmp_path: Path, drive: Drive) -> None:
    write(tmp_path / "images", drive.images[:2])
    with pytest.raises(RecordingError, match="needs a calibration"):
        open_sensors(tmp_path, None)


def test_kitti(tmp_path: Path, drive: Drive) -> None:
    write(tmp_path / "image_0", drive.images[:COUNT])
    write(tmp_path / "image_1", drive.images[COUNT : 2 * COUNT])
    rows = [f"P{index}: 100 0 80 {-50 * index} 0 100 60 0 0 0 1 0" for index in range(4)]
    (tmp_path / "calib.txt").write_text("\n".join(rows))
    (tmp_path / "times.txt").write_text("0.000000e+00\n1.036224e-01\n2.072449e-01\n3.1e-01\n")
    frames = list(open_sensors(tmp_path, None).frames())
    assert [frame.time for frame in frames] == ["0.000000e+00", "1.036224e-01", "2.072449e-01", "3.1e-01"]
    assert frames[1].stamp_ns == 103_622_400
    assert frames[0].baseline == pytest.approx(0.5)
    np.testing.assert_array_equal(frames[2].right, drive.images[COUNT + 2])
    assert next(iter(open_sensors(tmp_path, Mode.MONO).frames())).right is None
    with pytest.raises(RecordingError, match="no depth images"):
        open_sensors(tmp_path, Mode.RGBD)


def looking(tilt: float, place: float) -> NDArray[np.float64]:
    """Camera to body: turned about its own axis, and to the right of the body's origin."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.0, tilt]))[0]
    pose[0, 3] = place
    return pose


def test_euroc(tmp_path: Path, drive: Drive) -> None:
    stamps = [1403636579763555584 + 50_000_000 * index for index in range(COUNT)]
    for number, pose in enumerate((looking(0.02, 0.0), looking(-0.01, 0.11))):
        place = tmp_path / "mav0" / f"cam{number}"
        names = [str(stamp) for stamp in stamps]
        write(place / "data", drive.images[number * COUNT :][:COUNT], names)
        # One image of the left camera has no partner.
        rows = [f"{stamp},{stamp}.png" for stamp in stamps[: COUNT - number]]
        (place / "data.csv").write_text("#timestamp [ns],filename\n" + "\n".join(rows))
        sensor = {
            "T_BS": {"rows": 4, "cols": 4, "data": pose.ravel().tolist()},
            "resolution": [160, 120],
            "intrinsics": [100.0, 100.0, 80.0, 60.0],
            "distortion_model": "radial-tangential",
            "distortion_coefficients": [-0.05, 0.01, 0.0, 0.0],
        }
        (place / "sensor.yaml").write_text("%YAML:1.0\n" + yaml.safe_dump(sensor))
    sensors = open_sensors(tmp_path, None)
    frames = list(sensors.frames())
    assert [frame.time for frame in frames] == ["1403636579.763555584", "1403636579.813555584", "1403636579.863555584"]
    assert [frame.stamp_ns for frame in frames] == stamps[:3]
    assert frames[0].baseline == pytest.approx(0.11, rel=1e-6)
    assert not frames[0].camera.distortion.any()
    assert "1 images of cam0 have no partner" in sensors.notices[0]
    mono = next(iter(open_sensors(tmp_path, Mode.MONO).frames()))
    assert mono.camera.distortion[0] == -0.05
    np.testing.assert_array_equal(mono.image, drive.images[0])


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_rectified_places_share_their_row(model: str) -> None:
    matrix = np.array([[200.0, 0, 160.0], [0, 201.0, 120.0], [0, 0, 1]])
    distortion = np.array([-0.05, 0.01, 0.0, 0.0])
    camera = Camera(320, 240, matrix, distortion, model)
    left_to_right = np.linalg.inv(looking(-0.02, 0.6)) @ looking(0.03, 0.0)
    rectification, rectified, baseline = rectify(camera, camera, left_to_right)
    points = np.random.default_rng(0).uniform([-0.4, -0.3, 2], [0.4, 0.3, 4], (40, 3))
    both = []
    for maps, pose in ((rectification.left, np.eye(4)), (rectification.right, left_to_right)):
        seen = points @ pose[:3, :3].T + pose[:3, 3]
        project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
        raw = project(seen[:, None], np.zeros(3), np.zeros(3), matrix, distortion)[0][:, 0]
        # Where the maps take a raw pixel from is where it goes to.
        taken = cv2.convertMaps(*maps, cv2.CV_32FC1)
        field = np.stack(taken, 2).reshape(-1, 2)
        nearest = np.argmin(np.linalg.norm(field[None] - raw[:, None], axis=2), axis=1)
        both.append(np.stack([nearest % 320, nearest // 320], 1))
    assert np.abs(both[0][:, 1] - both[1][:, 1]).max() <= 1
    depth = rectified.matrix[0, 0] * baseline / (both[0][:, 0] - both[1][:, 0])
    assert np.median(np.abs(depth / points[:, 2] - 1)) < 0.05


def record(
    path: Path, drive: Drive, second: list[int], topic: str, shift_ns: int = 0, projection: float | None = None
) -> Path:
    """A bag whose second images are those of some frames only."""
    depth = projection is None
    with McapWriter(path) as bag:
        for index in range(COUNT):
            stamp_ns = drive.stamps[index]
            bag.write("/left/camera_info", drive.info(index), stamp_ns)
            bag.write("/left/image_rect", drive.image(index), stamp_ns)
            if index not in second:
                continue
            if depth:
                pixels = np.full((drive.camera.height, drive.camera.width), 500 * (index + 1), np.uint16)
                message = messages.image(pixels, "16UC1", stamp_ns + shift_ns, "camera")
            else:
                message = messages.image(drive.images[COUNT + index], "mono8", stamp_ns + shift_ns, "camera")
                info = drive.info(index)
                info.p[3] = projection
                bag.write(f"{topic.rpartition('/')[0]}/camera_info", info, stamp_ns)
            bag.write(topic, message, stamp_ns)
    return path


def test_depth_of_a_bag(tmp_path: Path, drive: Drive) -> None:
    bag = record(tmp_path / "a.mcap", drive, [0, 1, 3], "/depth/image_rect_raw", shift_ns=5_000_000)
    sensors = open_sensors(bag, None)
    assert isinstance(sensors, SensorBag)
    assert sensors.mode is Mode.RGBD
    frames = list(sensors.frames())
    assert [frame.stamp_ns for frame in frames] == [drive.stamps[index] for index in (0, 1, 3)]
    depths = [float(np.median(frame.depth)) for frame in frames if frame.depth is not None]
    assert depths == pytest.approx([0.5, 1.0, 2.0])
    assert frames[0].time == f"{drive.stamps[0] // 10**9}.{drive.stamps[0] % 10**9:09d}"
    np.testing.assert_array_equal(frames[2].image, drive.images[3])
    assert "1 images have no partner on /depth/image_rect_raw within 20 ms" in sensors.notices[0]
    assert not list(open_sensors(bag, Mode.RGBD, SensorOptions(tolerance_ns=4_000_000)).frames())
    assert len(list(open_sensors(bag, Mode.MONO).frames())) == COUNT


def test_stereo_of_a_bag(tmp_path: Path, drive: Drive) -> None:
    focal = drive.camera.matrix[0, 0]
    bag = record(tmp_path / "a.mcap", drive, [0, 1, 2, 3], "/right/image_rect", projection=-0.2 * focal)
    frames = list(open_sensors(bag, None).frames())
    assert len(frames) == COUNT
    assert frames[1].baseline == pytest.approx(0.2)
    np.testing.assert_array_equal(frames[1].right, drive.images[COUNT + 1])
    unknown = record(tmp_path / "b.mcap", drive, [0], "/right/image_rect", projection=0.0)
    with pytest.raises(RecordingError, match=r"has no baseline \(P\[3\] is 0\)"):
        list(open_sensors(unknown, Mode.STEREO).frames())


def test_raw_stereo_of_a_bag_is_rectified(tmp_path: Path, drive: Drive) -> None:
    """Two cameras that look away from each other a little, and a lens that bends."""
    camera = Camera(160, 120, drive.camera.matrix, np.array([-0.1, 0.0, 0.0, 0.0, 0.0]))
    with McapWriter(tmp_path / "raw.mcap") as bag:
        for name, angle, tx in (("left", 0.1, 0.0), ("right", 0.0, -0.2 * camera.matrix[0, 0])):
            info = messages.camera_info(camera, drive.stamps[0], "camera")
            info.r[:] = cv2.Rodrigues(np.array([0.0, 0.0, angle]))[0].ravel()
            info.p[3] = tx
            bag.write(f"/{name}/camera_info", info, drive.stamps[0])
            bag.write(f"/{name}/image_raw", drive.image(0), drive.stamps[0])
    frame = next(iter(open_sensors(tmp_path / "raw.mcap", None).frames()))
    assert not frame.camera.distortion.any()
    assert frame.right is not None
    # The left image is turned about its centre by 0.1 radians.
    turn = cv2.getRotationMatrix2D((camera.matrix[0, 2], camera.matrix[1, 2]), -np.degrees(0.1), 1.0)
    expected = cv2.warpAffine(frame.right, turn, (160, 120))
    middle = np.s_[40:80, 50:110]
    difference = np.abs(frame.image[middle].astype(float) - expected[middle])
    apart = np.abs(frame.image[middle].astype(float) - frame.right[middle])
    assert difference.mean() < 0.3 * apart.mean()
    as_it_is = next(iter(open_sensors(tmp_path / "raw.mcap", None, SensorOptions(rectified=True)).frames()))
    np.testing.assert_array_equal(as_it_is.image, drive.images[0])


def test_what_a_bag_lacks_is_told(tmp_path: Path, drive: Drive) -> None:
    bag = record(tmp_path / "a.mcap", drive, [0], "/depth/image")
    with pytest.raises(RecordingError, match="no topic of right images; choose with --right"):
        open_sensors(bag, Mode.STEREO)
    with pytest.raises(RecordingError, match="no images on /nowhere; choose with --depth: /depth/image"):
        open_sensors(bag, Mode.RGBD, SensorOptions(second="/nowhere"))
    with pytest.raises(RecordingError, match="does not exist"):
        open_sensors(tmp_path / "nowhere", None)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("hololens", Mode.RGBD),
        ("icl_kt3", Mode.RGBD),
        ("redkitchen", Mode.RGBD),
        ("tum_fr1_rpy", Mode.RGBD),
        ("kitti_06", Mode.STEREO),
        ("karlsruhe", Mode.MONO),
    ],
)
def test_every_real_sequence(shared_data: Path, name: str, mode: Mode) -> None:
    sensors = open_sensors(shared_data / name, None)
    lines = (shared_data / name / "poses_tum.txt").read_text().splitlines()
    times = [line.split()[0] for line in lines if not line.startswith("#")]
    assert sensors.frame_count == len(times)
    frame = next(iter(sensors.frames()))
    assert frame.time == times[0]
    assert (frame.depth is not None, frame.right is not None) == (mode is Mode.RGBD, mode is Mode.STEREO)
    if frame.depth is not None:
        assert frame.depth.shape == frame.image.shape
        assert 0.3 < np.median(frame.depth[frame.depth > 0]) < 10
