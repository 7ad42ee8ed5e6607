"""The pictures that surfaces are covered with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError

Image = NDArray[np.uint8]

PICTURES = Path(__file__).parent / "pictures"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".ppm"}
#: Photographs of a user's folder are scaled down to this many pixels, longer side: no surface shows more.
LONGEST_SIDE = 768


@dataclass(frozen=True)
class Textures:
    """What a scene is dressed with.

    :ivar photographs: uint8 [H, W, 3], BGR, for posters, shop windows, pictures on a wall.
    :ivar scenery: uint8 [H, W, 3], BGR, for what is far away.
    :ivar brick: uint8 [H, W], grey.
    :ivar gravel: uint8 [H, W], grey.
    :ivar grass: uint8 [H, W], grey.
    """

    photographs: tuple[Image, ...]
    scenery: tuple[Image, ...]
    brick: Image
    gravel: Image
    grass: Image


def _read(path: Path, mode: int = cv2.IMREAD_COLOR) -> Image:
    image = cv2.imread(str(path), mode)
    if image is None:
        raise UserError(f"{path} is not an image that OpenCV can read; remove it or name another folder of photographs")
    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


@cache
def load_textures(folder: Path | None = None, limit: int = 64) -> Textures:
    """The pictures that come with the package or, for what shows photographs, those of a folder.

    :param folder: of photographs, searched recursively in the order of their names; None takes our own.
    :param limit: the most photographs to read from it.
    :raises UserError: the folder holds no photograph, or one cannot be read.
    """
    ours = {path.stem: path for path in sorted(PICTURES.glob("*.jpg"))}
    if folder is None:
        photographs = [path for name, path in ours.items() if name.startswith("photograph_")]
    else:
        photographs = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:limit]
        if not photographs:
            raise UserError(f"{folder} holds no photographs ({', '.join(sorted(SUFFIXES))})")
    return Textures(
        photographs=tuple(_read(path) for path in photographs),
        scenery=tuple(_read(path) for name, path in ours.items() if name.startswith("scenery_")),
        brick=_read(ours["material_brick"], cv2.IMREAD_GRAYSCALE),
        gravel=_read(ours["material_gravel"], cv2.IMREAD_GRAYSCALE),
        grass=_read(ours["material_grass"], cv2.IMREAD_GRAYSCALE),
    )
