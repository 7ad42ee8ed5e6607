from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.features import Features, Tracks
from kp_ros.offline.run import cloud_message
from kp_ros.point_cloud import (
    PointCloud,
    PointField,
    feature_dtype,
    pack_features,
    pack_keypoints,
    pack_tracks,
    without_descriptors,
)
from kp_ros.recordings.messages import typestore

CAMERA = Camera(640, 480, np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.zeros(0))
RNG = np.random.default_rng(3)


def make_tracks(count: int, descriptor_size: int = 64, dtype: type = np.float32) -> Tracks:
    return Tracks(
        RNG.permutation(count).astype(np.uint32) + 7,
        np.arange(1, count + 1, dtype=np.uint32),
        RNG.random((count, 2), np.float32) * 400,
        RNG.random((count, 2), np.float32),
        RNG.random(count, np.float32),
        (RNG.random((count, descriptor_size)) * 255).astype(dtype),
    )


def make_features(count: int) -> Features:
    tracks = make_tracks(count)
    return Features(tracks.keypoints, tracks.scores, tracks.descriptors)


def float32_column(data: bytes, step: int, offset: int) -> list[float]:
    """Read a column as a subscriber that knows only the fields would."""
    return [np.frombuffer(data, "<f4", 1, start)[0] for start in range(offset, len(data), step)]


def test_keypoints_have_the_layout_of_the_wire_table() -> None:
    features = make_features(5)
    cloud = pack_keypoints(features, CAMERA, 12, "camera")
    assert cloud.fields == tuple(PointField(n, 4 * i, 7, 1) for i, n in enumerate(["x", "y", "z", "u", "v", "score"]))
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 5, 24, 120)
    assert (cloud.stamp_ns, cloud.frame_id, cloud.is_bigendian, cloud.is_dense) == (12, "camera", False, True)
    data = cloud.data.tobytes()
    assert len(data) == 120
    assert float32_column(data, 24, 12) == features.keypoints[:, 0].tolist()
    assert float32_column(data, 24, 16) == features.keypoints[:, 1].tolist()
    assert float32_column(data, 24, 20) == features.scores.tolist()


def test_rays_are_those_of_the_camera() -> None:
    features = make_features(5)
    points = pack_keypoints(features, CAMERA, 0, "").points
    rays = np.stack([points["x"], points["y"], points["z"]], axis=1)
    np.testing.assert_array_equal(rays, CAMERA.rays(features.keypoints))


def test_rays_are_nan_without_a_camera_and_the_cloud_is_not_dense() -> None:
    cloud = pack_keypoints(make_features(5), None, 0, "")
    assert not cloud.is_dense
    assert all(np.isnan(cloud.points[name]).all() for name in "xyz")
    assert np.isfinite(cloud.points["u"]).all()


def test_one_ray_without_inverse_makes_the_cloud_not_dense() -> None:
    camera = Camera(640, 480, CAMERA.matrix, np.array([-0.28, 0, 0, 0]))
    features = make_features(2)
    features.keypoints[1] = 320 + 500 * 0.9, 240
    assert not pack_keypoints(features, camera, 0, "").is_dense


def test_features_are_tracks_and_a_descriptor_in_one_field() -> None:
    tracks = make_tracks(9)
    cloud = pack_features(tracks, CAMERA, 0, "camera")
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields[6:]] == [
        ("track_id", 24, 6, 1),
        ("age", 28, 6, 1),
        ("vx", 32, 7, 1),
        ("vy", 36, 7, 1),
        ("descriptor", 40, 7, 64),
    ]
    assert cloud.point_step == 40 + 64 * 4
    rows = cloud.data.reshape(9, cloud.point_step)
    np.testing.assert_array_equal(rows[:, 40:].copy().view("<f4"), tracks.descriptors)
    np.testing.assert_array_equal(rows[:, 24:28].copy().view("<u4")[:, 0], tracks.track_id)
    np.testing.assert_array_equal(rows[:, 28:32].copy().view("<u4")[:, 0], tracks.age)
    np.testing.assert_array_equal(rows[:, 32:40].copy().view("<f4"), tracks.velocity)


def test_tracks_are_the_features_without_their_descriptors() -> None:
    tracks = make_tracks(9)
    bare, full = pack_tracks(tracks, CAMERA, 5, "camera"), pack_features(tracks, CAMERA, 5, "camera")
    assert bare.point_step == 40
    assert bare.fields == full.fields[:-1]
    np.testing.assert_array_equal(bare.data.reshape(9, -1), full.data.reshape(9, -1)[:, :40])


@pytest.mark.parametrize(("count", "descriptor_size"), [(9, 64), (0, 64), (9, 0)])
def test_tracks_can_be_had_from_the_features(count: int, descriptor_size: int) -> None:
    tracks = make_tracks(count, descriptor_size)
    features = pack_features(tracks, CAMERA, 5, "camera")
    assert without_descriptors(features).to_cdr() == pack_tracks(tracks, CAMERA, 5, "camera").to_cdr()


def test_binary_descriptors_stay_bytes() -> None:
    tracks = make_tracks(4, 32, np.uint8)
    cloud = pack_features(tracks, None, 0, "")
    assert cloud.fields[-1] == PointField("descriptor", 40, 2, 32)
    assert cloud.point_step == 72
    np.testing.assert_array_equal(cloud.data.reshape(4, 72)[:, 40:], tracks.descriptors)


def test_detectors_without_descriptors_have_no_descriptor_field() -> None:
    cloud = pack_features(make_tracks(4, 0), None, 0, "")
    assert cloud.fields[-1].name == "vy"
    assert cloud.point_step == 40


@pytest.mark.parametrize("camera", [None, CAMERA])
def test_no_points_keep_the_layout_of_the_model(camera: Camera | None) -> None:
    empty, full = pack_features(make_tracks(0), camera, 0, ""), pack_features(make_tracks(3), camera, 0, "")
    assert (empty.width, empty.data.size) == (0, 0)
    assert empty.fields == full.fields
    assert empty.point_step == full.point_step == feature_dtype(64, "float32").itemsize


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "camera_optical_frame", "kamera_ö"])
@pytest.mark.parametrize(
    "cloud",
    [
        pack_keypoints(make_features(3), CAMERA, 1_700_000_000_123_456_789, ""),
        pack_tracks(make_tracks(3), None, 0, ""),
        pack_features(make_tracks(7), CAMERA, 5, ""),
        pack_features(make_tracks(0), CAMERA, 5, ""),
        pack_features(make_tracks(3, 32, np.uint8), CAMERA, 5, ""),
    ],
)
def test_cdr_is_what_rosbags_writes(cloud: PointCloud, frame_id: str) -> None:
    message = cloud_message(replace(cloud, frame_id=frame_id))
    expected = bytes(typestore().serialize_cdr(message, message.__msgtype__))
    assert replace(cloud, frame_id=frame_id).to_cdr() == expected
