"""From a path to sequences, whatever layout they have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.data.photographs import EXTENSIONS
from training.data.readers.euroc import is_euroc, read_euroc
from training.data.readers.kitti_odometry import is_kitti_odometry, read_kitti_odometry
from training.data.readers.megadepth import is_megadepth, read_megadepth
from training.data.readers.photograph_folder import read_photograph_folder
from training.data.readers.seven_scenes import is_seven_scenes, read_seven_scenes
from training.data.readers.shared_layout import is_shared_layout, read_shared_layout
from training.data.readers.tum_rgbd import is_tum_rgbd, read_tum_rgbd
from training.data.sequence import DatasetError, Sequence

#: How a sequence's folder is told by its looks, and what opens it.
LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Sequence]], ...] = (
    (is_shared_layout, read_shared_layout),
    (is_tum_rgbd, read_tum_rgbd),
    (is_kitti_odometry, read_kitti_odometry),
    (is_euroc, read_euroc),
    (is_seven_scenes, read_seven_scenes),
)
#: Folders are searched this deep: ``dataset/sequences/06``, ``7scenes/chess/seq-01``.
DEPTH = 3


def open_sequences(path: Path) -> list[Sequence]:
    """Open what is at a path: one sequence of any layout, a folder of such, or a folder of photographs.

    :param path: a sequence's folder, a scene file of MegaDepth, a folder that holds sequences (at most three levels
        deep; whatever else lies there is left out), or a folder of photographs.
    :raises DatasetError: nothing is there that this program can read.
    """
    if not path.exists():
        raise DatasetError(f"{path} does not exist; name a sequence, a folder of sequences or one of photographs")
    if path.is_file():
        if is_megadepth(path):
            return [read_megadepth(path)]
        raise DatasetError(
            f"{path} is a file; of files, only MegaDepth's scenes (.npz) are data: make bags into data with "
            "'python -m training dataset'"
        )
    found = _below(path, DEPTH)
    if found:
        return found
    if any(file.suffix.lower() in EXTENSIONS for file in path.rglob("*")):
        return [read_photograph_folder(path)]
    raise DatasetError(f"{path} holds neither a sequence of a known layout nor photographs")


def _below(folder: Path, depth: int) -> list[Sequence]:
    for is_layout, read in LAYOUTS:
        if is_layout(folder):
            return [read(folder)]
    scenes = [read_megadepth(file) for file in sorted(folder.glob("*.npz")) if is_megadepth(file)]
    if depth == 0:
        return scenes
    return scenes + [
        sequence for inner in sorted(folder.iterdir()) if inner.is_dir() for sequence in _below(inner, depth - 1)
    ]
