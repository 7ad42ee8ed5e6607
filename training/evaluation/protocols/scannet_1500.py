"""ScanNet-1500: 1500 indoor pairs, chosen by SuperGlue (Sarlin et al., CVPR 2020).

SuperGlue's layout: ``scannet_test_pairs_with_gt.txt`` and the images, beside it or in ``scannet_test_images/``.
LoFTR's: ``test.npz`` (``name``: scene, scan, first and second frame), ``intrinsics.npz`` (a K a scene, for 640 x 480)
and ``scene0707_00/color/15.jpg`` with ``scene0707_00/pose/15.txt``, beside them or in ``scannet_test_1500/``.
glue-factory's: a folder ``scannet1500`` with ``pairs_calibrated.txt``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sequence import DatasetError
from training.evaluation.pair_sets import ImagePair, PairProtocol, PairSet, Resize
from training.evaluation.protocols.calibrated_pairs import read_calibrated_pairs

SCANNET_1500 = PairProtocol(
    name="ScanNet-1500",
    resize=Resize("both", exact=(640, 480)),
    max_keypoints=1024,
    estimator="opencv-ransac",
    thresholds=(1.0,),
    auc_thresholds=(5.0, 10.0, 20.0),
    source="SuperGlue's match_pairs: 640 x 480, 1024 keypoints, OpenCV's RANSAC at 1 px with confidence 0.99999",
)
PAIR_LIST = "scannet_test_pairs_with_gt.txt"
CALIBRATED = "pairs_calibrated.txt"
INDEX, INTRINSICS = "test.npz", "intrinsics.npz"
#: LoFTR's intrinsics are those of the depth camera.
INTRINSICS_SIZE = (640, 480)


def is_scannet_1500(folder: Path) -> bool:
    """Whether a folder is of one of the three layouts."""
    if (folder / PAIR_LIST).is_file():
        return True
    if "scannet" in folder.name.lower() and (folder / CALIBRATED).is_file():
        return True
    return (folder / INDEX).is_file() and (folder / INTRINSICS).is_file()


def read_scannet_1500(folder: Path, protocol: PairProtocol = SCANNET_1500) -> PairSet:
    """Open the set.

    :raises DatasetError: a file is missing or cannot be used.
    """
    if (folder / PAIR_LIST).is_file():
        pairs = read_calibrated_pairs(folder / PAIR_LIST, (folder, folder / "scannet_test_images"))
    elif (folder / INDEX).is_file():
        pairs = _read_index(folder)
    else:
        pairs = read_calibrated_pairs(folder / CALIBRATED, (folder, folder / "images"))
    return PairSet("ScanNet-1500", pairs, protocol)


def _read_index(folder: Path) -> tuple[ImagePair, ...]:
    with np.load(folder / INDEX) as index, np.load(folder / INTRINSICS) as intrinsics:
        matrices = {scene: np.asarray(intrinsics[scene], np.float64)[:3, :3] for scene in intrinsics.files}
        names = index["name"]
    pairs = []
    for scene_number, scan, first, second in names.tolist():
        scene = f"scene{int(scene_number):04d}_{int(scan):02d}"
        if scene not in matrices:
            raise DatasetError(f"{folder / INTRINSICS} has no intrinsics of {scene}; fetch it again")
        place = _scene_folder(folder, scene)
        poses = [_camera_to_world(place / "pose" / f"{frame}.txt") for frame in (first, second)]
        pairs.append(
            ImagePair(
                name=f"{scene} {first} {second}",
                group=scene,
                first=place / "color" / f"{first}.jpg",
                second=place / "color" / f"{second}.jpg",
                intrinsics=(matrices[scene], matrices[scene]),
                intrinsics_size=INTRINSICS_SIZE,
                pose=np.linalg.inv(poses[1]) @ poses[0],
            )
        )
    return tuple(pairs)


def _scene_folder(folder: Path, scene: str) -> Path:
    for root in (folder, folder / "scannet_test_1500"):
        if (root / scene).is_dir():
            return root / scene
    raise DatasetError(f"{scene} is neither in {folder} nor in its scannet_test_1500; unpack the test images there")


def _camera_to_world(file: Path) -> NDArray[np.float64]:
    try:
        return np.loadtxt(file).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} holds no pose of 4 x 4 numbers ({error}); unpack ScanNet again") from error
