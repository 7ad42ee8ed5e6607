"""Sets of image pairs with a known homography or relative pose, and the protocols that judge them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.sequence import DatasetError, Image
from training.evaluation.homography import Homography, resizing

Size = tuple[int, int]


@dataclass(frozen=True)
class Resize:
    """How images are resized before anything is detected in them.

    :ivar side: ``short`` or ``long``: this side gets ``pixels``, the other follows; ``both``: width x height as given.
    :ivar pixels: length of that side; None leaves images as they are.
    :ivar exact: width and height for ``both``.
    """

    side: str
    pixels: int = 0
    exact: Size = (0, 0)

    def size(self, width: int, height: int) -> Size:
        """Width and height after resizing."""
        if self.side == "both":
            return self.exact
        length = min(width, height) if self.side == "short" else max(width, height)
        return round(width * self.pixels / length), round(height * self.pixels / length)

    def __str__(self) -> str:
        return f"{self.exact[0]} x {self.exact[1]} px" if self.side == "both" else f"{self.side} side {self.pixels} px"


@dataclass(frozen=True)
class PairProtocol:
    """How a set of pairs is judged.

    :ivar name: as the tables call it.
    :ivar resize: of the images.
    :ivar max_keypoints: an image.
    :ivar estimator: a key of the estimators.
    :ivar thresholds: of the estimator, pixels of the resized images. With several, the one with the best mean AUC is
        reported, and named.
    :ivar auc_thresholds: degrees for poses, pixels for homographies.
    :ivar source: whose published protocol it is.
    """

    name: str
    resize: Resize
    max_keypoints: int
    estimator: str
    thresholds: tuple[float, ...]
    auc_thresholds: tuple[float, ...]
    source: str

    def with_estimator(self, estimator: str | None, threshold: float | None) -> PairProtocol:
        """The same protocol with another estimator or threshold; None keeps its own."""
        return replace(
            self,
            estimator=estimator or self.estimator,
            thresholds=self.thresholds if threshold is None else (threshold,),
        )


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images and what is known of them: a homography, or intrinsics and relative pose.

    :ivar name: unique in its set.
    :ivar group: ``illumination``, ``viewpoint``, or a scene.
    :ivar first: file of the first image; second likewise.
    :ivar homography: float64 [3, 3], first to second, pixels of the files; None for poses.
    :ivar intrinsics: K of both images, float64 [3, 3], pixels of the files; None for homographies.
    :ivar intrinsics_size: width and height that the intrinsics are for; None: those of the files.
    :ivar pose: float64 [4, 4], second camera from first; None for homographies.
    """

    name: str
    group: str
    first: Path
    second: Path
    homography: Homography | None = None
    intrinsics: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    intrinsics_size: Size | None = None
    pose: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs that are judged together.

    :ivar name: of the set.
    :ivar pairs: all with homographies, or all with poses.
    :ivar protocol: judges them.
    """

    name: str
    pairs: tuple[ImagePair, ...]
    protocol: PairProtocol

    @property
    def has_homographies(self) -> bool:
        """Homographies, not poses."""
        return self.pairs[0].homography is not None


@dataclass(frozen=True, eq=False)
class LoadedPair:
    """A pair after resizing.

    :ivar images: uint8 [H, W], grey.
    :ivar homography: first to second, pixels of ``images``; None for poses.
    :ivar intrinsics: K of both, pixels of ``images``; None for homographies.
    :ivar pose: float64 [4, 4], second camera from first; None for homographies.
    """

    images: tuple[Image, Image]
    homography: Homography | None
    intrinsics: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    pose: NDArray[np.float64] | None


def load_pair(pair: ImagePair, resize: Resize) -> LoadedPair:
    """Read and resize both images, and move homography or intrinsics along.

    :raises DatasetError: an image cannot be read.
    """
    originals = [_read_grey(file) for file in (pair.first, pair.second)]
    sizes = [(image.shape[1], image.shape[0]) for image in originals]
    targets = [resize.size(*size) for size in sizes]
    images = [resized(image, target) for image, target in zip(originals, targets, strict=True)]
    homography = None
    if pair.homography is not None:
        one, two = (resizing(size, target) for size, target in zip(sizes, targets, strict=True))
        homography = two @ pair.homography @ np.linalg.inv(one)
    intrinsics = None
    if pair.intrinsics is not None:
        known = [pair.intrinsics_size or size for size in sizes]
        one, two = (
            resizing(size, target) @ matrix
            for size, target, matrix in zip(known, targets, pair.intrinsics, strict=True)
        )
        intrinsics = (one, two)
    return LoadedPair((images[0], images[1]), homography, intrinsics, pair.pose)


def resized(image: Image, size: Size) -> Image:
    """An image of this width and height; areas are averaged where it becomes smaller."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = size[0] < image.shape[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def _read_grey(file: Path) -> Image:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DatasetError(f"{file} cannot be read as an image; unpack the data set again")
    return np.asarray(image, np.uint8)
