"""HPatches (Balntas et al., CVPR 2017), and other folders of images with homographies in its layout.

    i_ajuntament/  v_adam/  ...   1.ppm ... 6.ppm; H_1_2 ... H_1_6: 3 x 3, pixels of image 1 -> pixels of image k

Folders that begin with ``i_`` change in light, those with ``v_`` in viewpoint; other names make one more group.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.sequence import DatasetError
from training.evaluation.pair_sets import ImagePair, PairProtocol, PairSet, Resize

#: glue-factory's evaluation: the shorter side is 480 px, LO-RANSAC, mean corner error, AUC at 1, 3 and 5 px.
HPATCHES = PairProtocol(
    name="HPatches",
    resize=Resize("short", 480),
    max_keypoints=1024,
    estimator="poselib",
    thresholds=(1.0,),
    auc_thresholds=(1.0, 3.0, 5.0),
    source="glue-factory's hpatches: mutual nearest neighbours, PoseLib's LO-RANSAC, mean corner error",
)
#: Left out by all published evaluations since D2-Net: these images were too large for its memory.
TOO_LARGE = frozenset(
    (
        "i_contruction",
        "i_crownnight",
        "i_dc",
        "i_pencils",
        "i_whitebuilding",
        "v_artisans",
        "v_astronautis",
        "v_talent",
    )
)
GROUPS = {"i_": "illumination", "v_": "viewpoint"}
UNGROUPED = "other"


def is_homography_set(folder: Path) -> bool:
    """Whether a folder holds folders with homographies."""
    return folder.is_dir() and any(folder.glob("*/H_1_*"))


def read_homography_set(folder: Path, protocol: PairProtocol = HPATCHES) -> PairSet:
    """Open a set.

    :raises DatasetError: a file is missing or is no homography.
    """
    scenes = sorted({file.parent for file in folder.glob("*/H_1_*")})
    pairs = [pair for scene in scenes if scene.name not in TOO_LARGE for pair in _scene(scene)]
    if not pairs:
        raise DatasetError(f"{folder} holds no homographies; it needs folders with H_1_2 and images 1 and 2")
    return PairSet(folder.resolve().name, tuple(pairs), protocol)


def _scene(scene: Path) -> list[ImagePair]:
    pairs = []
    for file in sorted(scene.glob("H_1_*"), key=lambda path: int(path.name.rpartition("_")[2])):
        number = file.name.rpartition("_")[2]
        try:
            homography = np.loadtxt(file).reshape(3, 3)
        except ValueError as error:
            raise DatasetError(f"{file} is no homography of 3 x 3 numbers ({error}); unpack the data again") from error
        group = GROUPS.get(scene.name[:2], UNGROUPED)
        name = f"{scene.name} 1-{number}"
        pairs.append(ImagePair(name, group, _image(scene, "1"), _image(scene, number), homography))
    return pairs


def _image(scene: Path, number: str) -> Path:
    found = sorted(path for path in scene.glob(f"{number}.*") if path.suffix in (".ppm", ".png", ".jpg"))
    if not found:
        raise DatasetError(f"{scene} has a homography for image {number}, but no {number}.ppm, .png or .jpg")
    return found[0]
