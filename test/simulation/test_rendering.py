from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.mounting import OPTICAL_TO_BODY
from kp_ros.simulation import Surface, World, drive, orbit, render, room, street

CHECKOUT = Path(__file__).resolve().parents[2]


def camera(width: int = 320, height: int = 240, focal: float = 230.0) -> Camera:
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(width, height, matrix, np.zeros(0))


def looking_east(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = OPTICAL_TO_BODY
    pose[:3, 3] = x, y, z
    return pose


def wall(distance: float, texture: np.ndarray, size: float = 4.0, aside: float = 0.0) -> Surface:
    """Faces a camera that looks east (+x); its middle is ``aside`` metres to the left."""
    corner = np.array([distance, aside + size / 2, size / 2])
    return Surface(corner, np.array([0.0, -size, 0.0]), np.array([0.0, 0.0, -size]), texture)


def noise(size: int = 256, cell: int = 8) -> np.ndarray:
    grid = np.random.default_rng(0).integers(0, 256, (size // cell, size // cell, 3), np.uint8)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def test_a_wall_has_its_depth_and_its_place() -> None:
    frame = render(World((wall(5.0, np.full((8, 8, 3), 200, np.uint8), size=2.0),)), camera(), looking_east())
    hit = np.isfinite(frame.depth)
    np.testing.assert_allclose(frame.depth[hit], 5.0, rtol=1e-6)
    # 2 m at 5 m with a focal length of 230 pixels: 92 pixels about the centre (159.5, 119.5).
    rows, columns = np.nonzero(hit)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (114, 205, 74, 165)
    assert (frame.image[hit] == 200).all()


def test_depth_is_exact_on_a_slanted_plane() -> None:
    floor = Surface(np.array([1.0, 5, -1.5]), np.array([0, -10.0, 0]), np.array([30.0, 0, 0]), noise())
    flipped = Surface(floor.corner + floor.down, floor.right, -floor.down, floor.texture)
    view = camera()
    frame = render(World((flipped,)), view, looking_east())
    rows, columns = np.nonzero(np.isfinite(frame.depth))
    assert len(rows) > 10000
    down = (rows - view.matrix[1, 2]) / view.matrix[1, 1]
    np.testing.assert_allclose(frame.depth[rows, columns], 1.5 / down, rtol=1e-5)


def test_the_back_of_a_surface_is_not_seen() -> None:
    front = wall(5.0, noise())
    back = Surface(front.corner + front.right, -front.right, front.down, front.texture)
    assert np.isinf(render(World((back,)), camera(), looking_east()).depth).all()


def test_the_nearer_surface_hides_the_farther_in_any_order() -> None:
    near, far = wall(3.0, np.full((4, 4, 3), 250, np.uint8), size=1.0), wall(6.0, noise())
    one = render(World((near, far)), camera(), looking_east())
    other = render(World((far, near)), camera(), looking_east())
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.depth, other.depth)
    assert one.depth[119, 159] == pytest.approx(3.0)
    assert one.depth[119, 100] == pytest.approx(6.0)


def test_a_texture_is_sampled_where_geometry_says() -> None:
    """One texel a pixel: the image is the texture, to the pixel and to the grey value."""
    texture = noise(256)
    view = Camera(256, 256, np.array([[256.0, 0, 127.5], [0, 256, 127.5], [0, 0, 1]]), np.zeros(0))
    frame = render(World((wall(4.0, texture),)), view, looking_east())
    # Two by two samples with bilinear filtering blur a texel over its neighbours: so does this kernel.
    kernel = np.outer([1, 6, 1], [1, 6, 1]) / 64
    expected = cv2.filter2D(texture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(frame.image.astype(int) - expected).max() <= 2


def test_images_and_geometry_agree_under_motion() -> None:
    """A corner of one frame, moved by depth and pose, is found where the next frame shows it."""
    trajectory = drive(seconds=4.0)
    world, view = street(trajectory, seed=3), camera(640, 480, 460.0)
    first, second = (render(world, view, trajectory.poses[index]) for index in (90, 93))
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY) for frame in (first, second)]
    points = cv2.goodFeaturesToTrack(grey[0], 300, 0.02, 8)
    followed, found, _ = cv2.calcOpticalFlowPyrLK(grey[0], grey[1], points, None, winSize=(15, 15))
    pixels = points[:, 0]
    depth = first.depth[tuple(np.rint(pixels[:, ::-1]).astype(int).T)]
    usable = np.isfinite(depth) & found[:, 0].astype(bool)
    rays = view.rays(pixels).astype(np.float64) * np.where(usable, depth, 1)[:, None]
    placed = rays @ first.pose[:3, :3].T + first.pose[:3, 3]
    seen = (placed - second.pose[:3, 3]) @ second.pose[:3, :3] @ view.matrix.T
    error = np.linalg.norm(seen[:, :2] / seen[:, 2:] - followed[:, 0], axis=1)[usable]
    assert usable.sum() > 150
    assert np.median(error) < 0.1


def test_distant_texture_is_averaged_and_does_not_shimmer() -> None:
    """A fine chequered pattern, far away, is grey; and a small motion hardly changes it."""
    checks = np.zeros((512, 512, 3), np.uint8)
    checks[np.indices((512, 512)).sum(0) // 2 % 2 == 0] = 255
    world = World((wall(40.0, checks, size=12.0),))
    frames = [render(world, camera(), looking_east(y=shift)) for shift in (0.0, 0.05)]
    inner = np.s_[105:135, 140:180]
    assert np.abs(frames[0].image[inner].astype(int) - 128).max() < 12
    assert np.abs(frames[0].image[inner].astype(int) - frames[1].image[inner]).max() < 12


def test_what_reaches_behind_the_camera_is_cut_off() -> None:
    floor = Surface(np.array([30.0, 5, -1.5]), np.array([0, -10.0, 0]), np.array([-60.0, 0, 0]), noise())
    frame = render(World((floor,)), camera(), looking_east())
    assert np.isfinite(frame.depth[-1]).all()
    assert np.isinf(frame.depth[:115]).all()


def test_an_empty_world_is_sky() -> None:
    wide = camera(focal=100.0)
    frame = render(World((), zenith=(200, 100, 0), horizon=(250, 240, 230)), wide, looking_east())
    assert np.isinf(frame.depth).all()
    assert (frame.image[100:] == (250, 240, 230)).all()
    blueness = frame.image[:110, 160, 0].astype(int) - frame.image[:110, 160, 2]
    assert (np.diff(blueness) <= 1).all()
    assert np.diff(blueness).min() > -12
    assert blueness[0] > 60 > 20 == blueness[-1]


def test_a_lens_that_distorts_is_refused() -> None:
    view = camera()
    lens = Camera(view.width, view.height, view.matrix, np.array([0.1, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match="without distortion"):
        render(World(()), lens, looking_east())


@pytest.mark.parametrize("scene", ["street", "room"])
def test_another_process_renders_the_same_bytes(scene: str) -> None:
    code = f"""
import hashlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_rendering import checksum
print(checksum({scene!r}))
"""
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == checksum(scene), run.stderr


def checksum(scene: str) -> str:
    import hashlib

    trajectory = drive(seconds=2.0) if scene == "street" else orbit(seconds=2.0)
    world = street(trajectory, seed=5) if scene == "street" else room(seed=5)
    frames = [render(world, camera(), trajectory.poses[index]) for index in (10, 50)]
    return hashlib.sha256(b"".join(frame.image.tobytes() + frame.depth.tobytes() for frame in frames)).hexdigest()


def test_seeds_make_different_worlds() -> None:
    trajectory = orbit(seconds=0.2)
    images = [render(room(seed=seed), camera(), trajectory.poses[0]).image for seed in (1, 2)]
    assert np.abs(images[0].astype(int) - images[1]).mean() > 5
