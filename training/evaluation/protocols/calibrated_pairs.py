"""Lists of image pairs with intrinsics and relative pose, one pair a line, as SuperGlue and glue-factory publish them.

    first second [rotation rotation] K1 (9 numbers) K2 (9) pose (16, or rotation 9 and translation 3)

The pose is that of the second camera from the first. SuperGlue's lines have the images' EXIF rotations (0 to 3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sequence import DatasetError
from training.evaluation.pair_sets import ImagePair

#: Numbers of a line after the two names -> how many of them are EXIF rotations.
ROTATIONS = {2 + 18 + 16: 2, 18 + 16: 0, 18 + 12: 0}


def read_calibrated_pairs(file: Path, images: tuple[Path, ...]) -> tuple[ImagePair, ...]:
    """Read a list.

    :param file: the list.
    :param images: folders that names may be relative to, tried in this order.
    :raises DatasetError: a line cannot be used, or an image is missing.
    """
    pairs = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        words = line.split()
        if words:
            pairs.append(_pair(words, images, f"{file}, line {number}"))
    if not pairs:
        raise DatasetError(f"{file} is empty; fetch it again")
    return tuple(pairs)


def _pair(words: list[str], images: tuple[Path, ...], where: str) -> ImagePair:
    rotations = ROTATIONS.get(len(words) - 2)
    if rotations is None:
        raise DatasetError(f"{where} has {len(words)} words instead of 32, 36 or 38; fetch the list again")
    try:
        numbers = np.array([float(word) for word in words[2:]])
    except ValueError as error:
        raise DatasetError(f"{where} cannot be used: {error}; fetch the list again") from error
    if numbers[:rotations].any():
        raise DatasetError(f"{where} has rotated images; rotate them upright, and set their EXIF rotation to 0")
    numbers = numbers[rotations:]
    return ImagePair(
        name=f"{words[0]} {words[1]}",
        group=words[0].split("/")[0],
        first=_find(words[0], images, where),
        second=_find(words[1], images, where),
        intrinsics=(numbers[:9].reshape(3, 3), numbers[9:18].reshape(3, 3)),
        pose=_pose(numbers[18:]),
    )


def _pose(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(numbers) == 16:
        return numbers.reshape(4, 4)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = numbers[:9].reshape(3, 3), numbers[9:]
    return pose


def _find(name: str, folders: tuple[Path, ...], where: str) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    tried = ", ".join(str(folder) for folder in folders)
    raise DatasetError(f"{where} names {name}, which is in none of {tried}; unpack the images there")
