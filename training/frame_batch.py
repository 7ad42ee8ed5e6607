"""What every training method learns from: F frames of each of B scenes, with whatever is known about them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class FrameBatch:
    """Pixels follow OpenCV and ROS: the centre of the top-left pixel is (0, 0).

    :ivar images: float32 [B, F, C, H, W], 0..255; C is 1 (grey) or 3 (RGB). Frame 0 is the reference.
    :ivar valid: bool [B, F, H, W], false in padding and wherever else no real image content is.
    :ivar label: int64 [B], +1 when all frames of an item show the same scene, -1 when they show another.
    :ivar intrinsics: float32 [B, F, 3, 3], K; None for images alone.
    :ivar pose: float32 [B, F, 4, 4], camera from world, metres; None for images alone.
    :ivar depth: float32 [B, F, H, W], metres along the optical axis, 0 where unknown.
    :ivar distortion: float32 [B, F, 8], OpenCV's k1 k2 p1 p2 k3 k4 k5 k6; None for images without distortion.
    :raises ValueError: a shape or type is another.
    """

    images: Tensor
    valid: Tensor
    label: Tensor
    intrinsics: Tensor | None = None
    pose: Tensor | None = None
    depth: Tensor | None = None
    distortion: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 5 or self.images.shape[2] not in (1, 3):
            raise ValueError(f"images are [B, F, C, H, W] with C = 1 or 3, not {list(self.images.shape)}")
        batch, frames, _, height, width = self.images.shape
        expected: dict[str, tuple[list[int], torch.dtype]] = {
            "images": (list(self.images.shape), torch.float32),
            "valid": ([batch, frames, height, width], torch.bool),
            "label": ([batch], torch.int64),
            "intrinsics": ([batch, frames, 3, 3], torch.float32),
            "pose": ([batch, frames, 4, 4], torch.float32),
            "depth": ([batch, frames, height, width], torch.float32),
            "distortion": ([batch, frames, 8], torch.float32),
        }
        for name, (shape, dtype) in expected.items():
            value = getattr(self, name)
            if value is not None and (list(value.shape) != shape or value.dtype != dtype):
                raise ValueError(f"{name} must be {dtype} {shape}, not {value.dtype} {list(value.shape)}")

    @property
    def batch_size(self) -> int:
        """B."""
        return self.images.shape[0]

    @property
    def frame_count(self) -> int:
        """F."""
        return self.images.shape[1]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> FrameBatch:
        """The same on a device."""
        return self._each(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> FrameBatch:
        """The same in page-locked memory, from where copies to a GPU run beside the computation."""
        return self._each(torch.Tensor.pin_memory)

    def frames(self, chosen: list[int]) -> FrameBatch:
        """Only these frames of every item, in this order."""
        index = torch.tensor(chosen, device=self.images.device)
        label = self.label
        parts = {name: value[:, index] for name, value in self._tensors().items() if name != "label"}
        return FrameBatch(label=label, **parts)

    def _tensors(self) -> dict[str, Tensor]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def _each(self, function: Callable[[Tensor], Tensor]) -> FrameBatch:
        return FrameBatch(**{name: function(value) for name, value in self._tensors().items()})


def join(batches: list[FrameBatch]) -> FrameBatch:
    """One batch of the items of several, all of the same frame count and size.

    :raises ValueError: one knows what another does not (depth, poses, ...): such data cannot be mixed in a batch.
    """
    known = [frozenset(batch._tensors()) for batch in batches]
    if any(names != known[0] for names in known):
        different = frozenset[str]().union(*known) - known[0].intersection(*known)
        raise ValueError(f"some items of the batch lack {', '.join(sorted(different))}; mix only data of one kind")
    return FrameBatch(**{name: torch.cat([batch._tensors()[name] for batch in batches]) for name in known[0]})
