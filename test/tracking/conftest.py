"""Images whose motion is known exactly, and a detector of corners to go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.features import Features

HEIGHT, WIDTH = 360, 480
_FINE = 2


@dataclass(frozen=True)
class Scene:
    """A plane that a camera moves over: every image is one exact warp of the same texture."""

    texture: NDArray[np.uint8]

    def motion(self, frame: int) -> NDArray[np.float64]:
        """From pixels of frame 0 to pixels of this one, float64 [3, 3]: a slow turn, zoom and drift."""
        angle, zoom = 0.006 * frame, 1 + 0.004 * frame
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.array([WIDTH / 2, HEIGHT / 2])
        motion = np.eye(3)
        motion[:2, :2] = turn
        motion[:2, 2] = centre - turn @ centre + np.array([1.3, -0.7]) * frame
        return motion

    def image(self, frame: int) -> NDArray[np.uint8]:
        """The image of a frame, uint8 [H, W], with the texture's margin filling what comes into view."""
        margin = np.array([[1 / _FINE, 0, -WIDTH / 2], [0, 1 / _FINE, -HEIGHT / 2], [0, 0, 1]])
        # The centre of a fine pixel is half a fine pixel off the coarse one's.
        centre = np.array([[1, 0, (1 - _FINE) / 2 / _FINE], [0, 1, (1 - _FINE) / 2 / _FINE], [0, 0, 1]])
        warp = self.motion(frame) @ centre @ margin
        return cv2.warpPerspective(self.texture, warp, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)

    def move(self, points: NDArray[Any], first: int, last: int) -> NDArray[np.float64]:
        """Points of one frame in another, float64 [N, 2]."""
        motion = self.motion(last) @ np.linalg.inv(self.motion(first))
        return np.asarray(cv2.perspectiveTransform(points[:, None].astype(np.float64), motion)[:, 0])


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A textured plane."""
    noise = np.random.default_rng(3)
    texture = np.zeros((2 * HEIGHT * _FINE, 2 * WIDTH * _FINE), np.float32)
    for size in (4, 8, 16, 48):
        small = noise.normal(size=(texture.shape[0] // size, texture.shape[1] // size)).astype(np.float32)
        texture += cv2.resize(small, texture.shape[::-1], interpolation=cv2.INTER_CUBIC) * np.sqrt(size)
    texture = 128 + texture * (40 / texture.std())
    return Scene(np.clip(texture, 0, 255).astype(np.uint8))


def corners(image: NDArray[np.uint8], kind: str = "float", count: int = 500) -> Features:
    """Corners with descriptors of one of the kinds that a tracker must take: ``float``, ``binary`` or ``none``."""
    found = cv2.goodFeaturesToTrack(image, count, 0.01, 7) if image.size else None
    points = np.zeros((0, 2), np.float32) if found is None else found[:, 0].astype(np.float32)
    scores = np.linspace(1, 0.1, len(points), dtype=np.float32)
    if kind == "none":
        return Features(points, scores, np.zeros((len(points), 0), np.float32))
    offsets = np.stack(np.meshgrid(np.arange(-7, 8, 2), np.arange(-7, 8, 2)), -1).reshape(-1, 2).astype(np.float32)
    if len(points) == 0:
        return Features(
            points, scores, np.zeros((0, 64), np.float32) if kind == "float" else np.zeros((0, 8), np.uint8)
        )
    places = points[:, None] + offsets
    smooth = cv2.GaussianBlur(image, (7, 7), 0)
    patch = cv2.remap(smooth, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    patch -= patch.mean(1, keepdims=True)
    if kind == "binary":
        return Features(points, scores, np.packbits(patch > 0, axis=1))
    return Features(points, scores, patch / np.maximum(np.linalg.norm(patch, axis=1, keepdims=True), 1e-6))


@pytest.fixture(scope="session")
def detect() -> Callable[..., Features]:
    """The corner detector."""
    return corners
