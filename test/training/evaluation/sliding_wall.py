"""A sequence whose truth is exact: a camera that slides along a wall with a picture on it."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FOCAL, DISTANCE = 320, 240, 300.0, 2.0
#: The camera moves by this every frame: 6 pixels of the picture, to the right.
STEP = 6 * DISTANCE / FOCAL


def wall(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture full of corners."""
    random = np.random.default_rng(seed)
    picture = cv2.resize(random.integers(0, 255, (height // 12, width // 12), np.uint8), (width, height))
    for _ in range(120):
        corner = random.integers(0, (width, height))
        size = random.integers(8, 40, 2)
        cv2.rectangle(picture, corner.tolist(), (corner + size).tolist(), int(random.integers(0, 255)), -1)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0.7), np.uint8)


def write_wall_sequence(folder: Path, frames: int = 12) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "depth").mkdir()
    picture = wall(WIDTH + 6 * frames, HEIGHT)
    poses = []
    for frame in range(frames):
        name = f"{frame:04d}.png"
        cv2.imwrite(str(folder / "images" / name), picture[:, 6 * frame : 6 * frame + WIDTH])
        cv2.imwrite(str(folder / "depth" / name), np.full((HEIGHT, WIDTH), 1000 * DISTANCE, np.uint16))
        poses.append(f"{frame / 10} {frame * STEP} 0 0 0 0 0 1")
    (folder / "poses_tum.txt").write_text("\n".join(poses))
    calibration = {"fx": FOCAL, "fy": FOCAL, "cx": 159.5, "cy": 119.5, "width": WIDTH, "height": HEIGHT}
    (folder / "calib.json").write_text(json.dumps({**calibration, "dist": [0] * 5, "depth_scale": 0.001}))
    return folder


def write_homography_set(folder: Path) -> Path:
    """Two scenes of three images: one that changes in light, one in viewpoint."""
    # OpenCV writes .ppm in colour only.
    picture = cv2.cvtColor(wall(400, 300, seed=4), cv2.COLOR_GRAY2BGR)
    for scene, change in (
        ("i_lamp", np.eye(3)),
        ("v_desk", np.array([[0.9, 0.05, 12], [-0.04, 0.95, 8], [1e-4, 0, 1]])),
    ):
        (folder / scene).mkdir(parents=True)
        cv2.imwrite(str(folder / scene / "1.ppm"), picture)
        for number in (2, 3):
            homography = np.linalg.matrix_power(change, number - 1)
            image = cv2.warpPerspective(picture, homography, (400, 300))
            cv2.imwrite(str(folder / scene / f"{number}.ppm"), cv2.convertScaleAbs(image, alpha=0.8))
            np.savetxt(folder / scene / f"H_1_{number}", homography)
    return folder
