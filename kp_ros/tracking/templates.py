"""Patches that remember what a point looked like, and their registration in later frames.

A point that is followed from frame to frame drifts, because every step adds its error. A template does not: it is taken
once and registered in each frame anew, by the inverse compositional algorithm (Baker and Matthews, "Lucas-Kanade 20
Years On", IJCV 2004) with an affine warp and with gain and offset of the brightness. All that depends on the template
alone is computed when it is taken, so that a step for a thousand points is one image sampling and one matrix product.
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
#: A point that a step moved less than this, pixels, needs no other: what is left of its error is a tenth of it.
_SETTLED = 1.0
#: Rows of a template that a step needs which only moves it: its appearance and the two gradients.
_MOVING = 3


@dataclass(frozen=True)
class Templates:
    """What N points looked like.

    :ivar rows: float32 [N, 7, P]: the appearance, a patch of P samples; how it changes when it moves in x and in y; how
        it changes with the four parameters of the affine part. All have zero mean, the appearance has unit norm, and
        the others are orthogonal to it and measured in its norm, so that neither offset nor gain disturbs them.
    :ivar solver: float32 [N, 6, 6], inverse of the normal equations of all six motions.
    :ivar mover: float32 [N, 2, 2], inverse of those of the first two alone.
    """

    rows: Float32
    solver: Float32
    mover: Float32

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Templates:
        return Templates(self.rows[index], self.solver[index], self.mover[index])

    def __setitem__(self, index: Any, value: Templates) -> None:
        self.rows[index], self.solver[index], self.mover[index] = value.rows, value.solver, value.mover


class Sampler:
    """Takes and registers square templates of one size, sampled on the black squares of a chessboard."""

    def __init__(self, side: int, spacing: float) -> None:
        """Lay out the sample positions.

        :param side: squares a side.
        :param spacing: between the centres of two squares, pixels.
        """
        self.side, self.spacing = side, spacing
        self._black = np.flatnonzero(np.add(*np.divmod(np.arange(side * side), side)) % 2 == 0)
        self._offsets = np.ascontiguousarray(self._grid(side)[:, self._black])
        self._wide_offsets = self._grid(side + 2)

    def _grid(self, side: int) -> Float32:
        """Centres of the squares in homogeneous coordinates, float32 [3, side * side]."""
        axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * np.float32(self.spacing)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return np.stack([x.ravel(), y.ravel(), np.ones(side * side, np.float32)]).astype(np.float32)

    def empty(self, count: int) -> Templates:
        """Room for so many templates."""
        return Templates(
            np.zeros((count, 7, len(self._black)), np.float32),
            np.zeros((count, 6, 6), np.float32),
            np.zeros((count, 2, 2), np.float32),
        )

    @property
    def reach(self) -> float:
        """How far a template reaches from its point, pixels."""
        return (self.side + 1) * self.spacing / 2

    @staticmethod
    def _sample(
        image: NDArray[np.uint8], points: Float32, warp: Float32, offsets: Float32
    ) -> tuple[Float32, Float32, Float32]:
        """Cut patches [N, P] out of an image, bilinearly; also where the samples lie, x and y [N, P], pixels."""
        x = np.column_stack([warp[:, 0], points[:, 0]]) @ offsets
        y = np.column_stack([warp[:, 1], points[:, 1]]) @ offsets
        patch = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(patch, np.float32), x, y

    def _sample_like(self, image: NDArray[np.uint8], points: Float32, warp: Float32, appearance: Float32) -> Float32:
        """As :meth:`_sample`, but what lies outside the image is filled in from the template.

        Where a patch hangs over the image's edge its samples there would pull the point; the template's own values,
        at the brightness of the rest, do not.
        """
        patch, x, y = self._sample(image, points, warp, self._offsets)
        limit = np.array([image.shape[1] - 1, image.shape[0] - 1], np.float32)
        reach = np.abs(warp).sum(2) * self._offsets.max()
        over = np.flatnonzero(((points < reach) | (points > limit - reach)).any(1))
        if len(over) == 0:
            return patch
        x, y, values, model = x[over], y[over], patch[over], appearance[over]
        seen = ((x >= 0) & (x <= limit[0]) & (y >= 0) & (y <= limit[1])).astype(np.float32)
        share = seen / np.maximum(seen.sum(1, keepdims=True), 1)
        mean = np.einsum("np,np->n", values, share)[:, None]
        model = model - np.einsum("np,np->n", model, share)[:, None]
        power = np.einsum("np,np->n", np.square(values - mean), share)
        gain = np.sqrt(power / np.maximum(np.einsum("np,np->n", np.square(model), share), 1e-6))
        patch[over] = np.where(seen > 0, values, mean + gain[:, None] * model)
        return patch

    def take(self, image: NDArray[np.uint8], points: Float32) -> Templates:
        """Remember what points look like now.

        :param image: uint8 [H, W], smoothed over about the distance of two samples.
        :param points: float32 [N, 2], pixels.
        """
        if len(points) == 0:
            return self.empty(0)
        count, side, black = len(points), self.side, self._black
        wide, _, _ = self._sample(image, points, _unbent(count), self._wide_offsets)
        wide = wide.reshape(count, side + 2, side + 2)
        x, y = self._offsets[:2]
        rows = np.empty((count, 7, len(black)), np.float32)
        rows[:, 0] = wide[:, 1:-1, 1:-1].reshape(count, -1)[:, black]
        rows[:, 1] = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]).reshape(count, -1)[:, black]
        rows[:, 2] = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]).reshape(count, -1)[:, black]
        rows[:, 1:3] /= 2 * self.spacing
        np.multiply(rows[:, 1], x, out=rows[:, 3])
        np.multiply(rows[:, 1], y, out=rows[:, 4])
        np.multiply(rows[:, 2], x, out=rows[:, 5])
        np.multiply(rows[:, 2], y, out=rows[:, 6])
        rows -= rows.mean(2, keepdims=True)
        norm = np.sqrt(np.einsum("np,np->n", rows[:, 0], rows[:, 0]))
        rows /= np.maximum(norm, self._blank)[:, None, None]
        appearance, motions = rows[:, :1], rows[:, 1:]
        motions -= (motions @ appearance.transpose(0, 2, 1)) * appearance
        normal = motions @ motions.transpose(0, 2, 1)
        strength = normal[:, :1, 0] + normal[:, 1:2, 1]
        damping = np.array([1e-4] * 2 + [_AFFINE_DAMPING * (side * self.spacing / 2) ** 2] * 4, np.float32)
        diagonal = np.arange(6)
        normal[:, diagonal, diagonal] += strength * damping + np.float32(1e-6)
        return Templates(rows, np.linalg.inv(normal), np.linalg.inv(normal[:, :2, :2]))

    @property
    def _blank(self) -> float:
        """Norm of a patch with no contrast to speak of."""
        return float(_BLANK * np.sqrt(len(self._black)))

    def alike(self, first: NDArray[np.uint8], start: Float32, second: NDArray[np.uint8], end: Float32) -> Float32:
        """How well the surroundings of points of one image correlate with those of points of another.

        :param first: uint8 [H, W], smoothed as for :meth:`take`.
        :param start: float32 [N, 2], pixels of it.
        :param second: uint8 [H, W], likewise.
        :param end: float32 [N, 2], pixels of it.
        :returns: float32 [N], -1 to 1.
        """
        if len(start) == 0:
            return np.zeros(0, np.float32)
        a, b = (
            self._sample(image, points, _unbent(len(points)), self._offsets)[0]
            for image, points in ((first, start), (second, end))
        )
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
        power = np.einsum("np,np->n", a, a) * np.einsum("np,np->n", b, b)
        return np.asarray(np.einsum("np,np->n", a, b) / np.maximum(np.sqrt(power), self._blank**2))

    def register(
        self, image: NDArray[np.uint8], templates: Templates, points: Float32, warp: Float32, iterations: int
    ) -> tuple[Float32, Float32, Float32]:
        """Find templates in an image, near where they are expected.

        The first step may bend the template, the others only move it, and only what has not settled.

        :param image: uint8 [H, W], smoothed as for :meth:`take`.
        :param templates: of N points.
        :param points: float32 [N, 2], where the search starts, pixels.
        :param warp: float32 [N, 2, 2], from template offsets to image offsets, where the search starts.
        :param iterations: Gauss-Newton steps, 1 or more.
        :returns: float32 [N, 2] pixels, float32 [N, 2, 2] warps, float32 [N] correlation where the
            last step began, -1 to 1.
        """
        if len(points) == 0:
            return points.copy(), warp.copy(), np.zeros(0, np.float32)
        motion, correlation = self._step(image, templates.rows, templates.solver, points, warp)
        reach = 1 / (self.side * self.spacing / 2)
        warp = warp @ _inverse(np.clip(motion[:, 2:], -reach, reach))
        step = _along(warp, motion)
        points = points - step
        index = np.arange(len(points))
        for _ in range(iterations - 1):
            unsettled = np.einsum("nc,nc->n", step, step) > _SETTLED**2
            index = index[unsettled]
            if len(index) == 0:
                break
            rows, bent = templates.rows[index, :_MOVING], warp[index]
            motion, correlation[index] = self._step(image, rows, templates.mover[index], points[index], bent)
            step = _along(bent, motion)
            points[index] -= step
        return points, warp, correlation

    def _step(
        self, image: NDArray[np.uint8], rows: Float32, solver: Float32, points: Float32, warp: Float32
    ) -> tuple[Float32, Float32]:
        """How far each template is from fitting, float32 [N, as many as the solver has], and how well it correlates."""
        patch = self._sample_like(image, points, warp, rows[:, 0])
        response = (rows @ patch[:, :, None])[:, :, 0]
        mean = patch.mean(1)
        power = np.einsum("np,np->n", patch, patch) - patch.shape[1] * mean * mean
        norm = np.maximum(np.sqrt(np.maximum(power, 0)), self._blank)
        gain = np.maximum(response[:, :1], self._blank / 2)
        return (solver @ response[:, 1:, None])[:, :, 0] / gain, response[:, 0] / norm


def _unbent(count: int) -> Float32:
    """So many warps that change nothing, float32 [N, 2, 2]."""
    return np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2))


def _inverse(bend: Float32) -> Float32:
    """Inverse of the warps that four affine parameters make, float32 [N, 4] to [N, 2, 2]."""
    a, b, c, d = bend[:, 0] + 1, bend[:, 1], bend[:, 2], bend[:, 3] + 1
    adjugate = np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2)
    return np.asarray(adjugate / np.maximum(a * d - b * c, 0.1)[:, None, None])


def _along(warp: Float32, motion: Float32) -> Float32:
    """A template's motion in the image, a pixel of the template at most, float32 [N, 2]."""
    return np.asarray(np.einsum("nij,nj->ni", warp, np.clip(motion[:, :2], -1, 1)))
