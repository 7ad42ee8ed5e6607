"""From a view to the size and the appearance that a batch has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from training.data.photometric import PhotometricSettings, change_appearance
from training.data.views import View, resized, turned, window


@dataclass(frozen=True)
class AugmentationSettings:
    """What is done to each frame of a batch, each drawn anew for each frame.

    :ivar width: of the batch's images, pixels.
    :ivar height: likewise.
    :ivar fit: ``crop`` cuts a window of the batch's aspect ratio; ``pad`` keeps the whole image and pads it (RIPE).
    :ivar zoom: least share of the largest such window that a crop takes, along each side; 1 takes all.
    :ivar turns: turn each frame by any number of quarters (DaD).
    :ivar shift: greatest shift along each axis, pixels (DaD: 32).
    :ivar colour: RGB, else grey.
    :ivar appearance: changes of light and lens; None leaves the pixels as they are.
    """

    width: int = 320
    height: int = 240
    fit: str = "crop"
    zoom: float = 1.0
    turns: bool = False
    shift: int = 0
    colour: bool = False
    appearance: PhotometricSettings | None = field(default_factory=PhotometricSettings)

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "pad"):
            raise ValueError(f"fit is '{self.fit}'; choose crop or pad")
        if not 0 < self.zoom <= 1:
            raise ValueError(f"zoom is {self.zoom}; it is a share of the image: above 0, at most 1")


def augment(view: View, settings: AugmentationSettings, rng: np.random.Generator) -> View:
    """Bring a view to the batch's size and change it at random; K, depth and pose stay true.

    :returns: image uint8 [height, width] or [height, width, 3] RGB.
    """
    image = cv2.cvtColor(view.image, cv2.COLOR_BGR2RGB if settings.colour else cv2.COLOR_BGR2GRAY)
    view = replace(view, image=np.asarray(image, np.uint8))
    if settings.turns:
        view = turned(view, int(rng.integers(4)))
    view = _padded(view, settings) if settings.fit == "pad" else _cropped(view, settings, rng)
    if settings.shift:
        left, top = (int(value) for value in rng.integers(-settings.shift, settings.shift + 1, 2))
        view = window(view, left, top, *view.size)
    if settings.appearance is not None:
        changed = change_appearance(view.image, settings.appearance, rng)
        # Noise in the padding would be something to detect.
        changed[~view.valid] = 0
        view = replace(view, image=changed)
    return view


def _cropped(view: View, settings: AugmentationSettings, rng: np.random.Generator) -> View:
    width, height = view.size
    scale = min(width / settings.width, height / settings.height)
    share = float(rng.uniform(settings.zoom, 1.0))
    across, down = (max(1, round(scale * share * side)) for side in (settings.width, settings.height))
    across, down = min(across, width), min(down, height)
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    return resized(window(view, left, top, across, down), settings.width, settings.height)


def _padded(view: View, settings: AugmentationSettings) -> View:
    width, height = view.size
    scale = min(settings.width / width, settings.height / height)
    whole = resized(view, max(1, round(width * scale)), max(1, round(height * scale)))
    return window(whole, 0, 0, settings.width, settings.height)
