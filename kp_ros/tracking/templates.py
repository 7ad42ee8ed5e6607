"""Patches that remember what a point looked like, and their registration in later frames.

A point that is followed from frame to frame drifts, because every step adds its error. A template does not: it is taken
once and registered in each frame anew, by the inverse compositional algorithm (Baker and Matthews, "Lucas-Kanade 20 Years
On", IJCV 2004) with an affine warp and with gain and offset of the brightness. All that depends on the template alone,
the pseudo-inverse included, is computed when it is taken, so that a step for a thousand points is one image sampling
and one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

#: How much evidence it takes to bend a template, relative to moving it: keeps weak texture from shearing away.
_AFFINE_DAMPING = 0.05
#: Contrast, in grey levels, below which a patch counts as blank.
_BLANK = 1.0


@dataclass(frozen=True)
class Templates:
    """What N points looked like.

    :ivar solver: float32 [N, 7, P]; times a patch of P samples gives gain x (six warp parameters), gain.
    :ivar appearance: float32 [N, P], zero mean and unit norm.
    """

    solver: Float32
    appearance: Float32

    def __getitem__(self, index: Any) -> Templates:
        return Templates(self.solver[index], self.appearance[index])


def grid(points: int, spacing: float) -> Float32:
    """Sample positions of a square patch around (0, 0).

    :param points: samples a side.
    :param spacing: between two samples, pixels.
    :returns: float32 [2, points * points], x and y.
    """
    axis = (np.arange(points, dtype=np.float32) - (points - 1) / 2) * np.float32(spacing)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([x.ravel(), y.ravel()])


def sample(image: NDArray[np.uint8], points: Float32, warp: Float32, offsets: Float32) -> Float32:
    """Cut patches out of an image, bilinearly.

    :param image: uint8 [H, W].
    :param points: float32 [N, 2], centres in pixels.
    :param warp: float32 [N, 2, 2], from patch offsets to image offsets.
    :param offsets: float32 [2, P].
    :returns: float32 [N, P].
    """
    moved = (warp.reshape(-1, 2) @ offsets).reshape(len(points), 2, -1)
    moved += points[:, :, None]
    x, y = np.ascontiguousarray(moved[:, 0]), np.ascontiguousarray(moved[:, 1])
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def take(image: NDArray[np.uint8], points: Float32, side: int, spacing: float) -> Templates:
    """Remember what points look like now.

    :param image: uint8 [H, W].
    :param points: float32 [N, 2], pixels.
    :param side: samples a side of the patch.
    :param spacing: between two samples, pixels.
    """
    count, wide = len(points), side + 2
    identity = np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2))
    patch = sample(image, points, identity, grid(wide, spacing)).reshape(count, wide, wide)
    inner = patch[:, 1:-1, 1:-1].reshape(count, -1)
    centred = inner - inner.mean(1, keepdims=True)
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _BLANK * side)
    appearance = centred / norm
    step = 2 * spacing * norm
    along_x = (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]).reshape(count, -1) / step
    along_y = (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]).reshape(count, -1) / step
    x, y = grid(side, spacing)
    columns = [along_x, along_y, along_x * x, along_x * y, along_y * x, along_y * y]
    design = np.stack([*columns, appearance, np.full_like(appearance, 1 / side)], 1)
    normal = design @ design.transpose(0, 2, 1)
    translation = (normal[:, 0, 0] + normal[:, 1, 1])[:, None]
    diagonal = np.arange(8)
    normal[:, diagonal[2:6], diagonal[2:6]] += _AFFINE_DAMPING * translation * (side * spacing / 2) ** 2
    normal[:, diagonal[:2], diagonal[:2]] += 1e-4 * translation + 1e-9
    solver = np.linalg.solve(normal, design)[:, :7]
    return Templates(np.ascontiguousarray(solver, np.float32), appearance)


def register(
    image: NDArray[np.uint8],
    templates: Templates,
    points: Float32,
    warp: Float32,
    side: int,
    spacing: float,
    iterations: int,
) -> tuple[Float32, Float32, Float32]:
    """Find templates in an image, near where they are expected.

    :param image: uint8 [H, W].
    :param templates: of N points.
    :param points: float32 [N, 2], where the search starts, pixels.
    :param warp: float32 [N, 2, 2], from template offsets to image offsets, where the search starts.
    :param side: samples a side of the patch.
    :param spacing: between two samples, pixels.
    :param iterations: Gauss-Newton steps.
    :returns: float32 [N, 2] pixels, float32 [N, 2, 2] warps, float32 [N] correlation in (-1, 1).
    """
    if len(points) == 0:
        return points, warp, np.zeros(0, np.float32)
    offsets = grid(side, spacing)
    reach = 1 / (side * spacing / 2)
    for _ in range(iterations):
        patch = sample(image, points, warp, offsets)
        step = (templates.solver @ patch[:, :, None])[:, :, 0]
        step = step[:, :6] / np.maximum(step[:, 6:], _BLANK * side / 2)
        move = np.clip(step[:, :2], -1, 1)
        bend = np.clip(step[:, 2:], -reach, reach) + np.array([1, 0, 0, 1], np.float32)
        a, b, c, d = bend.T
        inverse = np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / np.maximum(a * d - b * c, 0.1)[:, None, None]
        warp = warp @ inverse
        points = points - (warp @ move[:, :, None])[:, :, 0]
    patch = sample(image, points, warp, offsets)
    patch -= patch.mean(1, keepdims=True)
    norm = np.maximum(np.sqrt(np.einsum("np,np->n", patch, patch)), _BLANK * side)
    return points, warp, np.einsum("np,np->n", patch, templates.appearance) / norm
