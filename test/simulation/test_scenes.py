from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.errors import UserError
from kp_ros.simulation import drive, load_textures, orbit, render, room, street

VIEW = Camera(320, 240, np.array([[230.0, 0, 159.5], [0, 230, 119.5], [0, 0, 1]]), np.zeros(0))


def test_a_street_keeps_clear_of_the_drive() -> None:
    trajectory = drive(seconds=6.0)
    world = street(trajectory, seed=2)
    # The road itself is 2.9 m away at the lower rim of the image.
    assert min(render(world, VIEW, pose).depth.min() for pose in trajectory.poses[::30]) > 2.0


def test_every_view_of_a_street_has_corners_to_track() -> None:
    trajectory = drive()
    world = street(trajectory, seed=1)
    for pose in trajectory.poses[::50]:
        grey = cv2.cvtColor(render(world, VIEW, pose).image, cv2.COLOR_BGR2GRAY)
        assert len(cv2.goodFeaturesToTrack(grey, 500, 0.01, 5)) > 200


def test_a_room_is_closed() -> None:
    trajectory = orbit(seconds=5.0)
    world = room(seed=0)
    for pose in trajectory.poses[::25]:
        depth = render(world, VIEW, pose).depth
        assert np.isfinite(depth).all()
        assert depth.max() < 10


def test_a_street_needs_a_drive() -> None:
    with pytest.raises(ValueError, match="path on the ground"):
        street(orbit(seconds=0.2))


def test_a_folder_of_photographs_dresses_a_world(tmp_path: Path) -> None:
    red = np.zeros((900, 1200, 3), np.uint8)
    red[..., 2] = 255
    (tmp_path / "deeper").mkdir()
    cv2.imwrite(str(tmp_path / "deeper" / "red.png"), red)
    textures = load_textures(tmp_path)
    assert [picture.shape for picture in textures.photographs] == [(576, 768, 3)]
    pose = orbit(seconds=0.2).poses[0]
    image = render(room(seed=4, textures=textures), VIEW, pose).image.astype(int)
    assert ((image[..., 2] - image[..., 1]) > 120).mean() > 0.05


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        load_textures(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"not a photograph")
    load_textures.cache_clear()
    with pytest.raises(UserError, match=r"broken\.jpg"):
        load_textures(tmp_path)
