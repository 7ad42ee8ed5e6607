"""Photographs as flat scenes that a camera looks at from many places: exact pose and depth, from photographs alone."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.photographs import list_photographs
from training.data.sequence import Depth, Image, Poses, Sequence, read_image

#: Metres of a photograph's longer side.
SIDE = 2.0
#: Photographs that a process keeps decoded.
KEPT = 4


@dataclass(frozen=True)
class FlatSettings:
    """What the scenes have in common.

    :ivar views: of each photograph.
    :ivar width: of a view, pixels.
    :ivar height: likewise.
    :ivar field_of_view: across, degrees.
    :ivar nearest: least photograph pixels a view pixel: how close the camera comes.
    :ivar farthest: most of them.
    :ivar tilt: greatest angle between the camera's axis and the photograph's normal, degrees.
    :ivar roll: standard deviation of the turn about the camera's axis, degrees.
    :ivar longest_side: photographs are made so small first, pixels.
    """

    views: int = 12
    width: int = 320
    height: int = 320
    field_of_view: float = 60.0
    nearest: float = 1.0
    farthest: float = 3.0
    tilt: float = 45.0
    roll: float = 15.0
    longest_side: int = 1000


@dataclass(frozen=True, eq=False)
class FlatViews:
    """Loads the views of one photograph.

    :ivar file: of the photograph.
    :ivar settings: of all scenes.
    :ivar camera: of all views.
    :ivar poses: float64 [F, 4, 4], camera to world; the photograph lies in z = 0, its centre at the origin.
    """

    file: Path
    settings: FlatSettings
    camera: Camera
    poses: Poses

    def __call__(self, index: int) -> Image:
        """uint8 [H, W, 3], BGR. Beyond the photograph its mirror image goes on."""
        levels = _levels(self.file, self.settings.longest_side)
        to_photograph = _pixels_of_plane(levels[0]) @ self.plane_of_pixels(index)
        size = (self.camera.width, self.camera.height)
        level = _level(to_photograph, size, len(levels))
        # Pixel centres: u = (x + 0.5) / step - 0.5.
        step = 2.0**level
        to_level = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5], [0, 0, 1]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = to_level @ to_photograph
        view = cv2.warpPerspective(levels[level], matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(view, np.uint8)

    def plane_of_pixels(self, index: int) -> NDArray[np.float64]:
        """Homography from pixels to the plane z = 0, metres; float64 [3, 3]."""
        from_world = np.linalg.inv(self.poses[index])
        return np.asarray(np.linalg.inv(self.camera.matrix @ from_world[:3, [0, 1, 3]]), np.float64)


@dataclass(frozen=True, eq=False)
class FlatDepth:
    """Exact depth of such views."""

    views: FlatViews

    def __call__(self, index: int) -> Depth:
        """float32 [H, W], metres; 0 where a ray goes past the plane."""
        camera, pose = self.views.camera, self.views.poses[index]
        # How far a ray of depth 1 comes towards the plane is linear in its pixel.
        across, down, middle = pose[2, :3] @ np.linalg.inv(camera.matrix)
        towards = across * np.arange(camera.width) + (down * np.arange(camera.height) + middle)[:, None]
        depth = -pose[2, 3] / np.where(np.abs(towards) > 1e-9, towards, 1e-9)
        return np.where(depth > 0, depth, 0).astype(np.float32)


def flat_scenes(folders: Many[Path], settings: FlatSettings, seed: int = 0) -> list[Sequence]:
    """One scene for each photograph below the folders.

    :raises FileNotFoundError: a folder is missing, or none of them holds an image.
    """
    files = list_photographs(list(folders))
    return [_scene(file, settings, np.random.default_rng([seed, number])) for number, file in enumerate(files)]


def _scene(file: Path, settings: FlatSettings, rng: np.random.Generator) -> Sequence:
    focal = settings.width / 2 / np.tan(np.radians(settings.field_of_view) / 2)
    matrix = np.array([[focal, 0, (settings.width - 1) / 2], [0, focal, (settings.height - 1) / 2], [0, 0, 1]])
    camera = Camera(settings.width, settings.height, matrix, np.zeros(0))
    poses = np.stack([_pose(settings, focal, rng) for _ in range(settings.views)])
    views = FlatViews(file, settings, camera, poses)
    return Sequence(
        name=f"flat_{file.parent.name}_{file.stem}",
        frame_names=tuple(f"{index:03}" for index in range(settings.views)),
        stamps_ns=np.arange(settings.views, dtype=np.int64),
        load_image=views,
        cameras=(camera,) * settings.views,
        poses=poses,
        load_depth=FlatDepth(views),
    )


def _pose(settings: FlatSettings, focal: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Camera to world of a view that looks at a place of the photograph; z of the world points into the wall."""
    scale = float(np.exp(rng.uniform(np.log(settings.nearest), np.log(settings.farthest))))
    distance = scale * SIDE / settings.longest_side * focal
    seen = distance * settings.width / focal
    place = np.append(rng.uniform(-1, 1, 2) * np.maximum(0.0, SIDE / 2 * np.array([1.0, 0.7]) - 0.4 * seen), 0.0)
    tilt, towards = np.radians(settings.tilt) * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
    forward = np.array([np.sin(tilt) * np.cos(towards), np.sin(tilt) * np.sin(towards), np.cos(tilt)])
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    upright = np.column_stack([right, np.cross(forward, right), forward])
    angle = np.radians(rng.normal(0, settings.roll))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = upright @ turn
    pose[:3, 3] = place - distance * forward
    return pose


@lru_cache(maxsize=KEPT)
def _levels(file: Path, longest_side: int) -> tuple[Image, ...]:
    """The photograph, and halves of it, so that a view from afar does not alias."""
    image = read_image(file)
    factor = longest_side / max(image.shape[:2])
    if factor < 1:
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    levels = [image]
    for _ in range(2):
        half = cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return tuple(levels)


def _pixels_of_plane(image: Image) -> NDArray[np.float64]:
    """Metres of the plane to pixels of the photograph, whose longer side is :data:`SIDE`."""
    height, width = image.shape[:2]
    scale = max(height, width) / SIDE
    return np.array([[scale, 0, (width - 1) / 2], [0, scale, (height - 1) / 2], [0, 0, 1.0]])


def _level(to_photograph: NDArray[np.float64], size: tuple[int, int], levels: int) -> int:
    """The level whose pixels are nearest in size to the view's, at its centre."""
    x, y = size[0] / 2, size[1] / 2
    moved = np.array([[x, y, 1], [x + 1, y, 1], [x, y + 1, 1]]) @ to_photograph.T
    moved = moved[:, :2] / moved[:, 2:]
    across, down = moved[1] - moved[0], moved[2] - moved[0]
    scale = float(np.sqrt(abs(across[0] * down[1] - across[1] * down[0])))
    return int(np.clip(np.round(np.log2(max(scale, 1.0))), 0, levels - 1))
