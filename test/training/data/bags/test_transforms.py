from __future__ import annotations

import numpy as np
import pytest
from carried_camera import transform
from scipy.spatial.transform import Rotation

from training.data.bags.transforms import TransformTree

SECOND = 1_000_000_000


def placed(x: float, yaw: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", [[yaw]], degrees=True).as_matrix()[0]
    pose[0, 3] = x
    return pose


@pytest.fixture
def tree() -> TransformTree:
    tree = TransformTree()
    tree.add([transform("/base_link", "/camera", placed(0.5), 0)], static=True)
    tree.add([transform("base_link", "lidar", placed(-1.0), 0)], static=True)
    for second in range(3):
        tree.add([transform("odom", "base_link", placed(2.0 * second, 90.0 * second), second * SECOND)], static=False)
    return tree


def test_the_way_goes_up_and_down_and_through_time(tree: TransformTree) -> None:
    poses = tree.pose("camera", "odom", np.array([0, SECOND // 2, SECOND]), 2 * SECOND)
    np.testing.assert_allclose(poses[0], placed(0.5), atol=1e-12)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(poses[1, :3, 3], [1 + 0.5 * half, 0.5 * half, 0], atol=1e-12)
    np.testing.assert_allclose(poses[2, :3, 3], [2, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(tree.pose("camera", "lidar", np.array([5]), SECOND)[0], placed(1.5), atol=1e-12)
    np.testing.assert_allclose(tree.pose("camera", "camera", np.array([5]), SECOND)[0], np.eye(4), atol=1e-12)


def test_what_is_not_known_is_nan_or_said(tree: TransformTree) -> None:
    assert np.isnan(tree.pose("camera", "odom", np.array([9 * SECOND]), SECOND)).any()
    assert tree.ancestors("camera") == ["camera", "base_link", "odom"]
    assert tree.connected("camera", "odom")
    assert not tree.connected("camera", "map")
    with pytest.raises(KeyError, match="no transform leads from map to camera"):
        tree.pose("camera", "map", np.array([0]), SECOND)


def test_a_broken_transform_and_a_circle_do_no_harm(tree: TransformTree) -> None:
    broken = transform("odom", "base_link", placed(9.0), 3 * SECOND)
    for name in "xyzw":
        setattr(broken.transform.rotation, name, 0.0)
    tree.add([broken], static=False)
    assert len(tree.trajectory("base_link")) == 3
    tree.add([transform("camera", "odom", placed(0.0), 0)], static=True)
    assert tree.ancestors("camera") == ["camera", "base_link", "odom"]
