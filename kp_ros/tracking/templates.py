"""Patches that remember what a point looked like, and their registration in later frames.

A point that is followed from frame to frame drifts, because every step adds its error. A template does not: it is taken
once and registered in each frame anew, by the inverse compositional algorithm (Baker and Matthews, "Lucas-Kanade 20
Years On", IJCV 2004) with an affine warp and with gain and offset of the brightness. All that depends on the template
alone, the pseudo-inverse included, is computed when it is taken, so that a step for a thousand points is one image
sampling and one matrix product.
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

    The pseudo-inverse is split: a patch of P samples times ``shift`` gives gain x (move in x, move in y) and the gain,
    times ``bend`` gain x (the four parameters of the affine part).

    :ivar shift: float32 [N, 3, P].
    :ivar bend: float32 [N, 4, P].
    :ivar appearance: float32 [N, 1, P], zero mean and unit norm.
    """

    shift: Float32
    bend: Float32
    appearance: Float32

    def __len__(self) -> int:
        return len(self.shift)

    def __getitem__(self, index: Any) -> Templates:
        return Templates(self.shift[index], self.bend[index], self.appearance[index])

    def __setitem__(self, index: Any, value: Templates) -> None:
        self.shift[index], self.bend[index], self.appearance[index] = value.shift, value.bend, value.appearance


class Sampler:
    """Takes and registers square templates of one size."""

    def __init__(self, side: int, spacing: float) -> None:
        """Lay out the sample positions.

        :param side: samples a side.
        :param spacing: between two samples, pixels.
        """
        self.side, self.spacing = side, spacing
        self._offsets = self._grid(side)
        self._wide_offsets = self._grid(side + 2)

    def _grid(self, side: int) -> Float32:
        """Sample positions in homogeneous coordinates, float32 [3, side * side]."""
        axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * np.float32(self.spacing)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return np.stack([x.ravel(), y.ravel(), np.ones(side * side, np.float32)]).astype(np.float32)

    def empty(self, count: int) -> Templates:
        """Room for so many templates."""
        size = self.side * self.side
        return Templates(
            np.zeros((count, 3, size), np.float32),
            np.zeros((count, 4, size), np.float32),
            np.zeros((count, 1, size), np.float32),
        )

    @property
    def reach(self) -> float:
        """How far a template reaches from its point, pixels."""
        return (self.side + 1) * self.spacing / 2

    @staticmethod
    def _sample(image: NDArray[np.uint8], points: Float32, warp: Float32, offsets: Float32) -> Float32:
        """Cut patches [N, P] out of an image, bilinearly."""
        x = np.column_stack([warp[:, 0], points[:, 0]]) @ offsets
        y = np.column_stack([warp[:, 1], points[:, 1]]) @ offsets
        patch = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(patch, np.float32)

    def _sample_like(self, image: NDArray[np.uint8], points: Float32, warp: Float32, appearance: Float32) -> Float32:
        """As :meth:`_sample`, but what lies outside the image is filled in from the template.

        Where a patch hangs over the image's edge its samples there would pull the point; the template's own values,
        at the brightness of the rest, do not.
        """
        patch = self._sample(image, points, warp, self._offsets)
        limit = np.array([image.shape[1] - 1, image.shape[0] - 1], np.float32)
        over = np.flatnonzero(((points < 1.5 * self.reach) | (points > limit - 1.5 * self.reach)).any(1))
        if len(over) == 0:
            return patch
        places = np.dstack([warp[over], points[over][:, :, None]]) @ self._offsets
        seen = ((places >= 0) & (places <= limit[:, None])).all(1)
        weight = seen / np.maximum(seen.sum(1, keepdims=True), 1)
        values, model = patch[over], appearance[over, 0]
        mean, model_mean = (values * weight).sum(1), (model * weight).sum(1)
        spread = np.sqrt((np.square(values - mean[:, None]) * weight).sum(1))
        model_spread = np.sqrt((np.square(model - model_mean[:, None]) * weight).sum(1))
        gain = spread / np.maximum(model_spread, 1e-3)
        patch[over] = np.where(seen, values, mean[:, None] + gain[:, None] * (model - model_mean[:, None]))
        return patch

    def take(self, image: NDArray[np.uint8], points: Float32) -> Templates:
        """Remember what points look like now.

        :param image: uint8 [H, W], slightly smoothed, so that bilinear samples of it keep their contrast.
        :param points: float32 [N, 2], pixels.
        """
        if len(points) == 0:
            return self.empty(0)
        count, side, spacing = len(points), self.side, self.spacing
        identity = np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2))
        patch = self._sample(image, points, identity, self._wide_offsets).reshape(count, side + 2, side + 2)
        inner = patch[:, 1:-1, 1:-1].reshape(count, -1)
        centred = inner - inner.mean(1, keepdims=True)
        norm = np.maximum(np.sqrt(np.einsum("np,np->n", centred, centred))[:, None], _BLANK * side)
        step = 2 * spacing * norm
        x, y = self._offsets[:2]
        design = np.empty((count, 8, side * side), np.float32)
        design[:, 0] = (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]).reshape(count, -1) / step
        design[:, 1] = (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]).reshape(count, -1) / step
        design[:, 2] = centred / norm
        np.multiply(design[:, 0], x, out=design[:, 3])
        np.multiply(design[:, 0], y, out=design[:, 4])
        np.multiply(design[:, 1], x, out=design[:, 5])
        np.multiply(design[:, 1], y, out=design[:, 6])
        design[:, 7] = 1 / side
        normal = design @ design.transpose(0, 2, 1)
        strength = (normal[:, 0, 0] + normal[:, 1, 1])[:, None]
        damping = np.array([1e-4] * 2 + [0] + [_AFFINE_DAMPING * (side * spacing / 2) ** 2] * 4 + [0], np.float32)
        diagonal = np.arange(8)
        normal[:, diagonal, diagonal] += strength * damping + np.float32(1e-6)
        solver = np.linalg.inv(normal)[:, :7] @ design
        return Templates(solver[:, :3], solver[:, 3:], design[:, 2:3].copy())

    def register(
        self, image: NDArray[np.uint8], templates: Templates, points: Float32, warp: Float32, iterations: int
    ) -> tuple[Float32, Float32, Float32]:
        """Find templates in an image, near where they are expected.

        The first step may bend the template, the others only move it.

        :param image: uint8 [H, W], smoothed as it was for :meth:`take`.
        :param templates: of N points.
        :param points: float32 [N, 2], where the search starts, pixels.
        :param warp: float32 [N, 2, 2], from template offsets to image offsets, where the search starts.
        :param iterations: Gauss-Newton steps, 1 or more.
        :returns: float32 [N, 2] pixels, float32 [N, 2, 2] warps, float32 [N] correlation where the
            last step began, -1 to 1.
        """
        if len(points) == 0:
            return points.copy(), warp.copy(), np.zeros(0, np.float32)
        reach = np.float32(1 / (self.side * self.spacing / 2))
        for iteration in range(iterations):
            patch = self._sample_like(image, points, warp, templates.appearance)
            column = patch[:, :, None]
            move = (templates.shift @ column)[:, :, 0]
            gain = np.maximum(move[:, 2:], _BLANK * self.side / 2)
            if iteration == 0:
                bend = np.clip((templates.bend @ column)[:, :, 0] / gain, -reach, reach)
                a, b, c, d = bend[:, 0] + 1, bend[:, 1], bend[:, 2], bend[:, 3] + 1
                inverse = np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / np.maximum(a * d - b * c, 0.1)[:, None, None]
                warp = warp @ inverse
            step = np.clip(move[:, :2] / gain, -1, 1)
            points = points - np.einsum("nij,nj->ni", warp, step)
        mean = patch.mean(1)
        power = np.einsum("np,np->n", patch, patch) - patch.shape[1] * mean * mean
        norm = np.maximum(np.sqrt(np.maximum(power, 0)), _BLANK * self.side)
        return points, warp, np.einsum("np,np->n", templates.appearance[:, 0], patch) / norm
