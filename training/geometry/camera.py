"""Pinhole cameras with OpenCV's rational distortion: pixels to rays and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.frame_batch import FrameBatch

#: Where a point that no camera sees is put: outside every image.
OUTSIDE = -1e6
#: Nearest depth that counts as in front of the camera, metres.
NEAREST = 1e-3
#: Unit-plane difference above which a projection is on the wrong side of the distortion's fold.
FOLD = 1e-3


@dataclass(frozen=True)
class View:
    """One camera for each item of a batch.

    :ivar intrinsics: float32 [B, 3, 3], K.
    :ivar pose: float32 [B, 4, 4], camera from world.
    :ivar size: height and width, pixels.
    :ivar depth: float32 [B, H, W], metres along the optical axis, 0 where unknown.
    :ivar distortion: float32 [B, 8], OpenCV's k1 k2 p1 p2 k3 k4 k5 k6.
    """

    intrinsics: Tensor
    pose: Tensor
    size: tuple[int, int]
    depth: Tensor | None = None
    distortion: Tensor | None = None


def view_of(batch: FrameBatch, frame: int) -> View:
    """The camera of one frame of every item.

    :raises ValueError: the batch has no intrinsics or no poses.
    """
    if batch.intrinsics is None or batch.pose is None:
        raise ValueError("this method needs intrinsics and poses, and the data have none; choose data that have them")
    distortion = None if batch.distortion is None else batch.distortion[:, frame]
    return View(
        batch.intrinsics[:, frame],
        batch.pose[:, frame],
        (batch.images.shape[-2], batch.images.shape[-1]),
        None if batch.depth is None else batch.depth[:, frame],
        # Where one sequence of many has a bent lens, most batches have none of it, and the inverse is dear.
        distortion if distortion is not None and distortion.any() else None,
    )


def relative_pose(source: Tensor, target: Tensor) -> Tensor:
    """Target camera from source camera, [B, 4, 4], of two camera-from-world poses [B, 4, 4]."""
    rotation, translation = source[:, :3, :3], source[:, :3, 3:]
    back = rotation.transpose(1, 2)
    inverse = source.clone()
    inverse[:, :3, :3] = back
    inverse[:, :3, 3:] = -back @ translation
    return target @ inverse


def _radial(square: Tensor, k: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Radial factor at a squared radius, and its derivative by the squared radius."""
    above = 1 + square * (k[0] + square * (k[1] + square * k[4]))
    below = 1 + square * (k[5] + square * (k[6] + square * k[7]))
    above_slope = k[0] + square * (2 * k[1] + square * 3 * k[4])
    below_slope = k[5] + square * (2 * k[6] + square * 3 * k[7])
    return above / below, (above_slope * below - above * below_slope) / below.square()


def _coefficients(distortion: Tensor) -> tuple[Tensor, ...]:
    """The columns of [B, 8], each [B, 1]."""
    return tuple(distortion[:, k : k + 1] for k in range(8))


def distort(rays: Tensor, distortion: Tensor) -> Tensor:
    """Unit-plane points [B, N, 2] as the lens bends them, by coefficients [B, 8]."""
    k = _coefficients(distortion)
    x, y = rays.unbind(-1)
    square = x * x + y * y
    factor, _ = _radial(square, k)
    across = x * factor + 2 * k[2] * x * y + k[3] * (square + 2 * x * x)
    down = y * factor + k[2] * (square + 2 * y * y) + 2 * k[3] * x * y
    return torch.stack([across, down], -1)


def undistort(distorted: Tensor, distortion: Tensor, iterations: int = 8) -> Tensor:
    """The inverse of :func:`distort`, by Newton's method from the distorted point."""
    k = _coefficients(distortion)
    rays = distorted
    for _ in range(iterations):
        x, y = rays.unbind(-1)
        square = x * x + y * y
        factor, slope = _radial(square, k)
        error_x, error_y = (distort(rays, distortion) - distorted).unbind(-1)
        xx = factor + 2 * x * x * slope + 2 * k[2] * y + 6 * k[3] * x
        yy = factor + 2 * y * y * slope + 6 * k[2] * y + 2 * k[3] * x
        xy = 2 * x * y * slope + 2 * k[2] * x + 2 * k[3] * y
        determinant = xx * yy - xy * xy
        # On the fold there is no inverse; a bounded step leaves such a point wrong, and finite.
        determinant = torch.where(determinant.abs() < 1e-3, torch.full_like(determinant, 1e-3), determinant)
        step = torch.stack([yy * error_x - xy * error_y, xx * error_y - xy * error_x], -1) / determinant[..., None]
        rays = rays - step.clamp(-1, 1)
    return rays


def rays_of(pixels: Tensor, view: View) -> Tensor:
    """Pixels [B, N, 2] to undistorted points of the unit plane [B, N, 2]."""
    inverse = torch.linalg.inv(view.intrinsics)
    rays = pixels @ inverse[:, :2, :2].transpose(1, 2) + inverse[:, None, :2, 2]
    return rays if view.distortion is None else undistort(rays, view.distortion)


def pixels_of(rays: Tensor, view: View) -> Tensor:
    """Points of the unit plane [B, N, 2] to pixels [B, N, 2]; beyond the distortion's fold :data:`OUTSIDE`."""
    bent = rays if view.distortion is None else distort(rays, view.distortion)
    pixels = bent @ view.intrinsics[:, :2, :2].transpose(1, 2) + view.intrinsics[:, None, :2, 2]
    if view.distortion is None:
        return pixels
    # A polynomial lens folds rays from far outside the field of view back into the image.
    honest = (undistort(bent, view.distortion) - rays).abs().amax(-1, keepdim=True) < FOLD
    return torch.where(honest, pixels, torch.full_like(pixels, OUTSIDE))


def project(points: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Points in the camera's frame [B, N, 3], metres, to pixels [B, N, 2] and depths [B, N].

    A point that is not in front of the camera comes out at :data:`OUTSIDE`.
    """
    depth = points[..., 2]
    pixels = pixels_of(points[..., :2] / depth.clamp(min=NEAREST)[..., None], view)
    return torch.where((depth > NEAREST)[..., None], pixels, torch.full_like(pixels, OUTSIDE)), depth


def transform(points: Tensor, pose: Tensor) -> Tensor:
    """Points [B, N, 3] by rigid motions [B, 4, 4]."""
    return points @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
