"""Photographs in memory: grey, at full and at half size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Photograph:
    """:ivar name: file name.
    :ivar levels: uint8 [H, W] each, the first at full size, each next one half of the one before.
    """

    name: str
    levels: tuple[NDArray[np.uint8], ...]


def list_photographs(folders: list[Path]) -> list[Path]:
    """Image files below the folders, in sorted order.

    :raises FileNotFoundError: a folder is missing, or none of them holds an image.
    """
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder; name a folder of photographs")
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS]
    if not found:
        raise FileNotFoundError(
            f"no image below {', '.join(map(str, folders))}; collect free ones with 'python -m training fetch-photos'"
        )
    return found


def load_photograph(path: Path, longest_side: int = 1000, level_count: int = 3) -> Photograph:
    """Read, make grey, bound the size and build the pyramid.

    :raises ValueError: the file is no image that OpenCV reads.
    """
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError(f"{path} cannot be read as an image; delete it or save it again")
    factor = longest_side / max(image.shape)
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    levels = [image]
    for _ in range(level_count - 1):
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return Photograph(path.name, tuple(np.asarray(level, np.uint8) for level in levels))
