"""Image pairs with an exact homography, cut from photographs (SuperPoint's homographic adaptation)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.data.photographs import Photograph
from training.data.photometric import PhotometricSettings, change_appearance


@dataclass(frozen=True)
class HomographySettings:
    """How far the two views of a pair may differ.

    :ivar size: side of a view, pixels.
    :ivar scale: least and most photograph pixels a view pixel.
    :ivar zoom: standard deviation of the natural logarithm of the views' scale ratio, cut at a factor of 2.2.
    :ivar rotation: standard deviation, degrees; a fifth of the pairs draws from a distribution three times as wide.
    :ivar perspective: largest shift of a view's corner, as a share of its side.
    :ivar shift: largest shift of the view's centre, as a share of its side.
    """

    size: int = 256
    scale: tuple[float, float] = (0.6, 2.4)
    zoom: float = 0.25
    rotation: float = 12.0
    perspective: float = 0.14
    shift: float = 0.25


def sample_view(
    settings: HomographySettings, centre: NDArray[np.float64], scale: float, angle: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Homography from the view's pixels to the photograph's, float64 [3, 3]."""
    half = (settings.size - 1) / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    warped = corners + rng.uniform(-settings.perspective, settings.perspective, (4, 2)) * settings.size
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    warped = scale * warped @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return np.asarray(
        cv2.getPerspectiveTransform((corners + half).astype(np.float32), warped.astype(np.float32)), np.float64
    )


def render_view(
    photograph: Photograph, to_photograph: NDArray[np.float64], scale: float, size: int
) -> NDArray[np.uint8]:
    """The photograph as the view sees it, uint8 [size, size]; taken from the pyramid level that does not alias.

    Outside the photograph its mirror image goes on, which keeps every pair of views consistent.
    """
    level = int(np.clip(np.round(np.log2(max(scale, 1.0))), 0, len(photograph.levels) - 1))
    step = 2.0**level
    # Pixel centres: level coordinate u = (x + 0.5) / step - 0.5.
    offset = 0.5 / step - 0.5
    to_level = np.array([[1 / step, 0, offset], [0, 1 / step, offset], [0, 0, 1]]) @ to_photograph
    warped = cv2.warpPerspective(
        photograph.levels[level],
        to_level,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, np.uint8)


@dataclass(frozen=True)
class PairBatch:
    """:ivar reference: float32 [B, 1, S, S], 0..255, appearance changed.
    :ivar target: float32 [B, 1, S, S], 0..255, appearance changed.
    :ivar clean: uint8 [B, 1, S, S], the reference before its appearance was changed.
    :ivar homography: float32 [B, 3, 3], reference pixels to target pixels.
    """

    reference: Tensor
    target: Tensor
    clean: Tensor
    homography: Tensor


def sample_pair(
    photograph: Photograph, settings: HomographySettings, appearance: PhotometricSettings, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]:
    """Reference, target and clean reference, uint8 [S, S] each, and the homography from reference to target."""
    height, width = photograph.levels[0].shape
    largest = max(min(height, width) / settings.size, settings.scale[0] * 1.01)
    low, high = settings.scale[0], min(settings.scale[1], largest)
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    zoom = float(np.exp(np.clip(rng.normal(0, settings.zoom), -0.8, 0.8)))
    other = scale * zoom
    margin = 0.4 * settings.size * scale
    centre = np.array([rng.uniform(min(margin, s / 2), max(s - margin, s / 2)) for s in (width, height)])
    spread = settings.rotation * (3.0 if rng.random() < 0.2 else 1.0)
    angle = float(rng.normal(0, spread))
    lean = float(rng.normal(0, 6.0))
    offset = rng.uniform(-settings.shift, settings.shift, 2) * settings.size * max(scale, other)
    first = sample_view(settings, centre, scale, lean, rng)
    second = sample_view(settings, centre + offset, other, lean + angle, rng)
    clean = render_view(photograph, first, scale, settings.size)
    target = render_view(photograph, second, other, settings.size)
    homography = np.linalg.inv(second) @ first
    reference = change_appearance(clean, appearance, rng)
    return reference, change_appearance(target, appearance, rng), clean, homography / homography[2, 2]


class HomographyPairs(Dataset[PairBatch]):
    """Batches by step number: the same step gives the same batch, so that a resumed run sees what an unbroken one saw.

    :param photographs: at least one.
    :param batch_size: pairs a batch.
    :param steps: how many batches there are.
    :param seed: of all random choices.
    """

    def __init__(
        self,
        photographs: list[Photograph],
        settings: HomographySettings,
        appearance: PhotometricSettings,
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        self.photographs = photographs
        self.settings = settings
        self.appearance = appearance
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> PairBatch:
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.integers(0, len(self.photographs), self.batch_size)
        pairs = [sample_pair(self.photographs[i], self.settings, self.appearance, rng) for i in chosen]
        reference, target, clean = (torch.from_numpy(np.stack([p[k] for p in pairs])[:, None]) for k in range(3))
        homography = torch.from_numpy(np.stack([p[3] for p in pairs]).astype(np.float32))
        return PairBatch(reference.float(), target.float(), clean, homography)
