"""What every reader gives: a sequence of frames with what is known of them, loaded frame by frame when asked for.

Frames of the whole program: camera x right, y down, z forward; poses are camera to world; the centre of the top-left
pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kp_ros.camera import Camera
from kp_ros.errors import UserError

Image = NDArray[np.uint8]
Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]
Poses = NDArray[np.float64]

NANOSECONDS = 1_000_000_000


class DatasetError(UserError):
    """Data that cannot be used. The message names the file, what is wrong and what to do."""


@dataclass(frozen=True)
class LabelledPair:
    """Two frames of one sequence.

    :ivar first: name of a frame.
    :ivar second: name of another.
    :ivar label: +1 same scene, -1 another scene.
    :ivar inliers: matches that one epipolar geometry explains.
    """

    first: str
    second: str
    label: int
    inliers: int


@dataclass(frozen=True, eq=False)
class SequenceFrame:
    """One frame, loaded.

    :ivar name: unique in its sequence.
    :ivar stamp_ns: nanoseconds.
    :ivar image: uint8 [H, W, 3], BGR.
    :ivar camera: of the image, with distortion; None where it is not known.
    :ivar pose: float64 [4, 4], camera to world, metres; None where it is not known.
    :ivar depth: float32 [H, W], metres along the optical axis, 0 where unknown, infinite in the sky; or None.
    :ivar mask: bool [H, W], true where the image shows the scene (false in padding, on the robot's own body).
    """

    name: str
    stamp_ns: int
    image: Image
    camera: Camera | None
    pose: Poses | None
    depth: Depth | None
    mask: Mask


@dataclass(frozen=True, eq=False)
class Sequence:
    """Frames in the order of time, and what is known of each. Nothing but names, times and poses is in memory.

    :ivar name: of the sequence; a folder's name as a rule.
    :ivar frame_names: one a frame, unique.
    :ivar stamps_ns: int64 [F], nanoseconds, ascending; frame numbers where the data have no times.
    :ivar load_image: index -> uint8 [H, W, 3] BGR.
    :ivar cameras: one a frame, with distortion; None where the data have no calibration.
    :ivar poses: float64 [F, 4, 4], camera to world, metres (of unknown scale in MegaDepth), NaN for a frame whose pose
        is not known; None where the data have no poses.
    :ivar load_depth: index -> float32 [H, W], metres along the optical axis, 0 where unknown, infinite in the sky;
        None where the data have no depth.
    :ivar depth_registered: the depth is that of the image's pixels. False for cameras that are side by side and whose
        offset is not known: depth is then good for training's sampling of overlap, not for judging pixels.
    :ivar load_mask: index -> bool [H, W], true where the image shows the scene; None where it does everywhere.
    :ivar ordered: frames follow each other in time; false for collections of photographs.
    :ivar overlaps: float32 [F, F], the share of frame i that frame j sees, where the data come with it.
    :ivar pairs: of frames that are known to show the same scene or another one, where the data come with them.
    """

    name: str
    frame_names: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    load_image: Callable[[int], Image]
    cameras: tuple[Camera, ...] | None = None
    poses: Poses | None = None
    load_depth: Callable[[int], Depth] | None = None
    depth_registered: bool = True
    load_mask: Callable[[int], Mask] | None = None
    ordered: bool = True
    overlaps: NDArray[np.float32] | None = None
    pairs: tuple[LabelledPair, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.frame_names)
        if len(self.stamps_ns) != count:
            raise DatasetError(f"{self.name}: {count} frames, but {len(self.stamps_ns)} times")
        if self.cameras is not None and len(self.cameras) != count:
            raise DatasetError(f"{self.name}: {count} frames, but {len(self.cameras)} cameras")
        if self.poses is not None and self.poses.shape != (count, 4, 4):
            raise DatasetError(
                f"{self.name}: {count} frames, but poses of shape {self.poses.shape}; poses_tum.txt and the like need "
                "one pose an image, in the order of the images' names"
            )
        if len(set(self.frame_names)) != count:
            raise DatasetError(f"{self.name}: two frames have one name; names tell frames apart")

    def __len__(self) -> int:
        return len(self.frame_names)

    @property
    def has_depth(self) -> bool:
        """Whether frames have depth, registered or not."""
        return self.load_depth is not None

    def image(self, index: int) -> Image:
        """uint8 [H, W, 3], BGR."""
        return self.load_image(index)

    def grey(self, index: int) -> Image:
        """uint8 [H, W]."""
        return np.asarray(cv2.cvtColor(self.load_image(index), cv2.COLOR_BGR2GRAY), np.uint8)

    def depth(self, index: int) -> Depth | None:
        """float32 [H, W], metres, 0 where unknown; None where the sequence has no depth."""
        return None if self.load_depth is None else self.load_depth(index)

    def mask(self, index: int) -> Mask | None:
        """Bool [H, W], true where the image shows the scene; None: everywhere."""
        return None if self.load_mask is None else self.load_mask(index)

    def camera(self, index: int) -> Camera | None:
        """Of a frame; None where it is not known."""
        return None if self.cameras is None else self.cameras[index]

    def pose(self, index: int) -> Poses | None:
        """float64 [4, 4], camera to world; None where it is not known."""
        if self.poses is None or not np.isfinite(self.poses[index]).all():
            return None
        return np.asarray(self.poses[index], np.float64)

    def frame(self, index: int) -> SequenceFrame:
        """Load a frame with all that is known of it."""
        image = self.image(index)
        mask = self.mask(index)
        return SequenceFrame(
            self.frame_names[index],
            int(self.stamps_ns[index]),
            image,
            self.camera(index),
            self.pose(index),
            self.depth(index),
            np.ones(image.shape[:2], np.bool_) if mask is None else mask,
        )

    def __iter__(self) -> Iterator[SequenceFrame]:
        return (self.frame(index) for index in range(len(self)))

    def subset(self, indices: NDArray[Any] | range | list[int]) -> Sequence:
        """The sequence of these frames, in this order; frames keep their names."""
        chosen = np.asarray(indices, np.intp)
        names = tuple(self.frame_names[index] for index in chosen)
        kept = set(names)
        return replace(
            self,
            frame_names=names,
            stamps_ns=self.stamps_ns[chosen],
            load_image=_Chosen(self.load_image, chosen),
            cameras=None if self.cameras is None else tuple(self.cameras[index] for index in chosen),
            poses=None if self.poses is None else self.poses[chosen],
            load_depth=None if self.load_depth is None else _Chosen(self.load_depth, chosen),
            load_mask=None if self.load_mask is None else _Chosen(self.load_mask, chosen),
            overlaps=None if self.overlaps is None else self.overlaps[np.ix_(chosen, chosen)],
            pairs=tuple(pair for pair in self.pairs if pair.first in kept and pair.second in kept),
        )

    def with_poses(self) -> Sequence:
        """The frames whose pose is known; all of them where the sequence has no poses at all."""
        if self.poses is None:
            return self
        known = np.isfinite(self.poses).all((1, 2))
        return self if known.all() else self.subset(np.flatnonzero(known))

    def split(self, share: float = 0.8) -> tuple[Sequence, Sequence]:
        """The first ``share`` of the frames, to train on, and the rest, to evaluate on."""
        cut = round(len(self) * share)
        return self.subset(range(cut)), self.subset(range(cut, len(self)))


@dataclass(frozen=True, eq=False)
class _Chosen:
    """A loader of some of another loader's frames; a class, since the loader's processes must be able to pickle it."""

    load: Callable[[int], Any]
    indices: NDArray[np.intp]

    def __call__(self, index: int) -> Any:
        return self.load(int(self.indices[index]))


@dataclass(frozen=True)
class ImageFiles:
    """Loads images of any depth and colour as uint8 BGR.

    :ivar files: one a frame.
    """

    files: tuple[Path, ...]

    def __call__(self, index: int) -> Image:
        """uint8 [H, W, 3], BGR."""
        return read_image(self.files[index])


@dataclass(frozen=True)
class DepthFiles:
    """Loads 16-bit depth images.

    :ivar files: one a frame.
    :ivar scale: metres = value x scale.
    :ivar invalid: a value that says "unknown", beside 0.
    """

    files: tuple[Path, ...]
    scale: float
    invalid: int | None = None

    def __call__(self, index: int) -> Depth:
        """float32 [H, W], metres, 0 where unknown."""
        values = cv2.imread(str(self.files[index]), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 2:
            raise DatasetError(f"{self.files[index]} is no depth image (one channel); delete its frame or mend it")
        depth = values.astype(np.float32) * np.float32(self.scale)
        if self.invalid is not None:
            depth[values == self.invalid] = 0
        return np.asarray(depth, np.float32)


@dataclass(frozen=True, eq=False)
class RegisteredDepth:
    """Depth of a second camera in the pixels of the first, as if both stood in one place and had no distortion.

    What parallax their true distance makes stays: about 6 px for a Kinect at 2 m.

    :ivar load: index -> float32 [h, w], metres.
    :ivar depth_matrix: float64 [3, 3], K of the depth camera.
    :ivar camera: of the images.
    """

    load: Callable[[int], Depth]
    depth_matrix: NDArray[np.float64]
    camera: Camera

    def __call__(self, index: int) -> Depth:
        """float32 [H, W], metres, 0 where unknown."""
        to_depth = self.depth_matrix @ np.linalg.inv(self.camera.matrix)
        size = (self.camera.width, self.camera.height)
        # Nearest: the mean of two depths at an edge is on neither surface.
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpPerspective(self.load(index), to_depth, size, flags=flags), np.float32)


def read_image(file: Path) -> Image:
    """An image file as uint8 [H, W, 3] BGR, in the file's own orientation: that is what its calibration is for.

    :raises DatasetError: the file is no image that OpenCV reads.
    """
    image = cv2.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DatasetError(f"{file} cannot be read as an image; delete it or save it again")
    return np.asarray(image, np.uint8)


def image_size(file: Path) -> tuple[int, int]:
    """Width and height of an image file, pixels, from its header alone.

    :raises DatasetError: the file is no image.
    """
    try:
        with PIL.Image.open(file) as image:
            width, height = image.size
            return int(width), int(height)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read as an image ({error}); delete it or save it again") from error


def nanoseconds(seconds: str) -> int:
    """Seconds in decimal to nanoseconds, exactly: a float of today's time is good to 0.2 microseconds only.

    :raises ValueError: the text is no number.
    """
    try:
        return int((Decimal(seconds) * NANOSECONDS).to_integral_value())
    except ArithmeticError as error:
        raise ValueError(f"'{seconds}' is no time in seconds") from error


def pose_matrices(positions: NDArray[np.float64], quaternions: NDArray[np.float64]) -> Poses:
    """Positions [F, 3] and quaternions [F, 4] (x y z w, any length but 0) as float64 [F, 4, 4].

    :raises ValueError: a quaternion is 0.
    """
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(quaternions).as_matrix()
    poses[:, :3, 3] = positions
    return poses
