"""What the tests of recordings record: one short drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.recordings import messages

START_NS = 1_700_000_000_123_456_789
PERIOD_NS = 50_000_000
FRAMES = 20
IMAGE_TOPIC, INFO_TOPIC = "/camera/image_raw", "/camera/camera_info"

WriteBag = Callable[[Path], Path]


@dataclass(frozen=True)
class Drive:
    """Grey images, uint8 [H, W], their stamps in nanoseconds, and their camera."""

    images: list[NDArray[np.uint8]]
    stamps: list[int]
    camera: Camera

    def image(self, index: int) -> Any:
        return messages.image(self.images[index], "mono8", self.stamps[index], "camera")

    def info(self, index: int) -> Any:
        return messages.camera_info(self.camera, self.stamps[index], "camera")
