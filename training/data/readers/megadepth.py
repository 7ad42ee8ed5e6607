"""MegaDepth (Li and Snavely 2018), by the scene files that D2-Net's and LoFTR's preparation write.

    0022.npz or 0022_0.1_0.3.npz    image_paths, depth_paths: relative to the data's root, None for missing images;
                                    intrinsics: 3 x 3 each; poses: 4 x 4 each, camera from world;
                                    pair_infos: ((i, j), overlap, ...) (LoFTR), or overlap_matrix [n, n] (D2-Net)
    phoenix/.../*.jpg, *.h5         images, and depth as data set "depth" (0 unknown; the scale is the scene's own)

COLMAP, which made these cameras, has the centre of the top-left pixel at (0.5, 0.5): half a pixel is taken off the
principal point. The scene files hold pickled objects: open only those of a source that you trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.sequence import DatasetError, Depth, ImageFiles, Sequence, image_size


@dataclass(frozen=True)
class MegaDepthFiles:
    """Loads depth maps.

    :ivar files: one a frame.
    """

    files: tuple[Path, ...]

    def __call__(self, index: int) -> Depth:
        """float32 [H, W], of the scene's own scale, 0 where unknown."""
        try:
            with h5py.File(self.files[index]) as file:
                return np.asarray(file["depth"], np.float32)
        except (OSError, KeyError) as error:
            raise DatasetError(f"{self.files[index]} holds no depth map ({error}); unpack it again") from error


def is_megadepth(path: Path) -> bool:
    """Whether a path is a scene file."""
    if path.suffix != ".npz":
        return False
    try:
        with np.load(path) as content:
            return "image_paths" in content.files
    except (OSError, ValueError):
        return False


def read_megadepth(scene: Path, root: Path | None = None) -> Sequence:
    """Open a scene: a collection of photographs with poses, depth and known overlap.

    :param scene: the ``.npz`` file.
    :param root: what the paths in it are relative to; None looks for them above the scene file.
    :raises DatasetError: a file is missing or cannot be used.
    """
    try:
        with np.load(scene, allow_pickle=True) as content:
            info = {name: content[name] for name in content.files}
        paths, depths = list(info["image_paths"]), list(info["depth_paths"])
        present = [index for index, path in enumerate(paths) if path is not None and depths[index] is not None]
        intrinsics = np.array([info["intrinsics"][index] for index in present], np.float64).reshape(-1, 3, 3)
        from_world = np.array([info["poses"][index] for index in present], np.float64).reshape(-1, 4, 4)
        overlaps = _overlaps(info, len(paths))[np.ix_(present, present)]
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise DatasetError(f"{scene} is no scene file of MegaDepth: {error}") from error
    if not present:
        raise DatasetError(f"{scene} names no image with depth")
    base = root or _root(scene, str(paths[present[0]]))
    files = tuple(base / str(paths[index]) for index in present)
    intrinsics[:, :2, 2] -= 0.5
    return Sequence(
        name=f"megadepth_{scene.stem}",
        frame_names=tuple(str(paths[index]) for index in present),
        stamps_ns=np.arange(len(present), dtype=np.int64),
        load_image=ImageFiles(files),
        cameras=tuple(
            Camera(*image_size(file), matrix, np.zeros(0)) for file, matrix in zip(files, intrinsics, strict=True)
        ),
        poses=np.asarray(np.linalg.inv(from_world), np.float64),
        load_depth=MegaDepthFiles(tuple(base / str(depths[index]) for index in present)),
        ordered=False,
        overlaps=overlaps,
    )


def _overlaps(info: dict[str, Any], count: int) -> NDArray[np.float32]:
    if "overlap_matrix" in info:
        # D2-Net: -1 where a pair was not looked at.
        return np.maximum(np.asarray(info["overlap_matrix"], np.float32), 0)
    overlaps = np.zeros((count, count), np.float32)
    for pair in info["pair_infos"]:
        (i, j), overlap = pair[0], float(pair[1])
        overlaps[int(i), int(j)] = overlaps[int(j), int(i)] = overlap
    return overlaps


def _root(scene: Path, image: str) -> Path:
    for folder in scene.resolve().parents:
        if (folder / image).is_file():
            return folder
    raise DatasetError(
        f"{image}, which {scene} names, is in no folder above it; put the scene file into the data's root"
    )
