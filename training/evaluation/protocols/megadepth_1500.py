"""MegaDepth-1500: 1500 pairs of the scenes 0015 and 0022, chosen by LoFTR (Sun et al., CVPR 2021).

LoFTR's layout: ``megadepth_test_1500_scene_info/0015_0.1_0.3.npz`` and four more scene files, whose paths
(``Undistorted_SfM/0015/images/...``) are relative to a folder above them. glue-factory's layout: a folder
``megadepth1500`` with ``pairs_calibrated.txt`` and ``images/``.

The scene files hold pickled objects: open only those of a source that you trust.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from training.data.sequence import DatasetError
from training.evaluation.pair_sets import ImagePair, PairProtocol, PairSet, Resize
from training.evaluation.protocols.calibrated_pairs import read_calibrated_pairs

MEGADEPTH_1500 = PairProtocol(
    name="MegaDepth-1500",
    resize=Resize("long", 1600),
    max_keypoints=2048,
    estimator="poselib",
    thresholds=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    auc_thresholds=(5.0, 10.0, 20.0),
    source="glue-factory's megadepth1500, as in LightGlue (ICCV 2023): PoseLib's LO-RANSAC, best of six thresholds",
)
SCENE_FILE = re.compile(r"(0015|0022)_0\.\d_0\.\d\.npz")
PAIR_LIST = "pairs_calibrated.txt"


def is_megadepth_1500(folder: Path) -> bool:
    """Whether a folder holds LoFTR's scene files, or is glue-factory's."""
    return bool(_scene_files(folder)) or ("megadepth" in folder.name.lower() and (folder / PAIR_LIST).is_file())


def read_megadepth_1500(folder: Path, protocol: PairProtocol = MEGADEPTH_1500) -> PairSet:
    """Open the set.

    :raises DatasetError: a file is missing or cannot be used.
    """
    scenes = _scene_files(folder)
    if scenes:
        pairs = tuple(pair for scene in scenes for pair in _read_scene(scene))
    else:
        pairs = read_calibrated_pairs(folder / PAIR_LIST, (folder / "images", folder))
    return PairSet("MegaDepth-1500", pairs, protocol)


def _scene_files(folder: Path) -> list[Path]:
    """Scene files in the folder, or in its folder ``megadepth_test_1500_scene_info``, wherever data sets put that."""
    for place in (folder, *sorted(folder.glob("**/megadepth_test_1500_scene_info"))):
        files = sorted(file for file in place.glob("*.npz") if SCENE_FILE.fullmatch(file.name))
        if files:
            return files
    return []


def _read_scene(file: Path) -> list[ImagePair]:
    with np.load(file, allow_pickle=True) as content:
        missing = {"image_paths", "intrinsics", "poses", "pair_infos"} - set(content.files)
        if missing:
            raise DatasetError(f"{file} lacks {', '.join(sorted(missing))}; fetch LoFTR's scene files again")
        paths, poses, infos = content["image_paths"], content["poses"], content["pair_infos"]
        # COLMAP has the centre of the top-left pixel at (0.5, 0.5).
        shift = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        matrices = content["intrinsics"]
        intrinsics = [None if matrix is None else np.array(matrix, np.float64) - shift for matrix in matrices]
    pairs = []
    for info in infos:
        first, second = (int(index) for index in info[0])
        files = [_find(file, paths[index]) for index in (first, second)]
        pose = np.array(poses[second], np.float64) @ np.linalg.inv(np.array(poses[first], np.float64))
        one, two = intrinsics[first], intrinsics[second]
        if one is None or two is None:
            raise DatasetError(f"{file} has no intrinsics for images {first} and {second}; fetch it again")
        name = f"{file.stem} {Path(files[0]).stem} {Path(files[1]).stem}"
        pairs.append(ImagePair(name, file.stem, files[0], files[1], intrinsics=(one, two), pose=pose))
    return pairs


def _find(scene: Path, name: Any) -> Path:
    """An image's path is relative to some folder above the scene file, or to one beside those."""
    for folder in scene.resolve().parents[:4]:
        for root in (folder, folder / "test", folder / "megadepth_test_1500"):
            if (root / str(name)).is_file():
                return root / str(name)
    raise DatasetError(f"{scene} names {name}, which is in none of the folders above it; unpack MegaDepth there")
