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
_SETTLED = 0.8
#: From so many matrices on, inverting them side by side is quicker than one after the other.
_MANY = 40
#: Of the six motions, those that move and do not bend.
_MOVING = np.array([0, 3])


@dataclass(frozen=True)
class Templates:
    """What N points looked like.

    A template has six motions: along each of its two gradients it may move by the same everywhere, by x, and by y,
    counted from its middle. In this order they are the rows of an affine map: moved, bent by x, bent by y.

    What is small has the points along its last axis: NumPy takes a third of the time for a few long rows.

    :ivar appearance: float32 [N, P], a patch of P samples, of zero mean and unit norm, so that neither offset nor gain
        of the brightness disturbs it.
    :ivar gradient_x: float32 [N, P], how the appearance changes when it moves in x, in the same norm.
    :ivar gradient_y: float32 [N, P], likewise in y.
    :ivar total: float32 [6, N], the sum of the change with each motion: what it has of an offset.
    :ivar overlap: float32 [6, N], what of it looks like the appearance itself: what it has of a gain.
    :ivar solver: float32 [6, 6, N], inverse of the normal equations of all six motions.
    :ivar mover: float32 [2, 2, N], inverse of those of the two that do not bend.
    """

    appearance: Float32
    gradient_x: Float32
    gradient_y: Float32
    total: Float32
    overlap: Float32
    solver: Float32
    mover: Float32

    def __len__(self) -> int:
        return len(self.appearance)

    def __getitem__(self, index: Any) -> Templates:
        return Templates(*(part[index] for part in self._patches), *(part[..., index] for part in self._sums))

    def __setitem__(self, index: Any, value: Templates) -> None:
        for part, values in zip(self._patches, value._patches, strict=True):
            part[index] = values
        for part, values in zip(self._sums, value._sums, strict=True):
            part[..., index] = values

    @property
    def _patches(self) -> tuple[Float32, ...]:
        return self.appearance, self.gradient_x, self.gradient_y

    @property
    def _sums(self) -> tuple[Float32, ...]:
        return self.total, self.overlap, self.solver, self.mover


class Sampler:
    """Takes and registers square templates of one size, sampled on the black squares of a chessboard."""

    def __init__(self, side: int, spacing: float) -> None:
        """Lay out the sample positions.

        :param side: squares a side.
        :param spacing: between the centres of two squares, pixels.
        """
        self.side, self.spacing = side, spacing
        self._black = np.flatnonzero(np.add(*np.divmod(np.arange(side * side), side)) % 2 == 0)
        offsets = self._grid(side).take(self._black, 1)
        one, x, y = offsets
        self._offsets, self._wide_offsets = offsets, self._grid(side + 2)
        self._farthest = np.float32(x.max())
        # What a gradient is multiplied with to give its three motions, and the product of two gradients to give theirs.
        self._growth = np.ascontiguousarray(offsets.T)
        self._growths = np.stack([one, x, y, x * x, x * y, y * y], 1)

    def _grid(self, side: int) -> Float32:
        """Ones, x and y of the centres of the squares, float32 [3, side * side]."""
        axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * np.float32(self.spacing)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return np.stack([np.ones(side * side, np.float32), x.ravel(), y.ravel()])

    def empty(self, count: int) -> Templates:
        """Room for so many templates."""
        patches, sums = (count, len(self._black)), ((6, count), (6, count), (6, 6, count), (2, 2, count))
        return Templates(*(np.zeros(shape, np.float32) for shape in (patches, patches, patches, *sums)))

    @property
    def reach(self) -> float:
        """How far a template reaches from its point, pixels."""
        return (self.side + 1) * self.spacing / 2

    def _sample_like(self, image: NDArray[np.uint8], points: Float32, warp: Float32, appearance: Float32) -> Float32:
        """Cut warped patches out of an image; what lies outside the image is filled in from the template.

        Where a patch hangs over the image's edge its samples there would pull the point; the template's own values,
        at the brightness of the rest, do not.
        """
        places = _places(points, warp, self._offsets)
        patch = _cut(image, places)
        # The image's last pixel is its size's half away from its middle, x and y.
        half = np.array(image.shape[1::-1], np.float32)[:, None] / 2 - np.float32(0.5)
        outside = np.abs(points - half) > half - np.abs(warp).sum(1) * self._farthest
        over = np.flatnonzero(outside[0] | outside[1])
        if len(over) == 0:
            return patch
        within = np.abs(places[:, over] - half[:, :, None]) <= half[:, :, None]
        seen = within[0] & within[1]
        values, model = patch[over], appearance[over]
        weight = seen.astype(np.float32)
        count = np.maximum(np.einsum("np->n", weight), 1)
        weighted, weighted_model = values * weight, model * weight
        total, model_total = np.einsum("np->n", weighted), np.einsum("np->n", weighted_model)
        power = np.einsum("np,np->n", weighted, values) - total * total / count
        model_power = np.einsum("np,np->n", weighted_model, model) - model_total * model_total / count
        gain = np.sqrt(np.maximum(power, 0) / np.maximum(model_power, 1e-6 * count))
        filled = gain[:, None] * model
        filled += ((total - gain * model_total) / count)[:, None]
        np.copyto(filled, values, where=seen)
        patch[over] = filled
        return patch

    def take(self, image: NDArray[np.uint8], points: Float32) -> Templates:
        """Remember what points look like now.

        :param image: uint8 [H, W], smoothed over about the distance of two samples.
        :param points: float32 [N, 2], pixels.
        """
        if len(points) == 0:
            return self.empty(0)
        count, side = len(points), self.side
        wide = _cut(image, _places(points.T, None, self._wide_offsets)).reshape(count, side + 2, side + 2)
        appearance = self._on_black(wide[:, 1:-1, 1:-1])
        appearance -= (np.einsum("np->n", appearance) / np.float32(len(self._black)))[:, None]
        power = np.einsum("np,np->n", appearance, appearance)
        scale = 1 / np.maximum(np.sqrt(power), self._blank)
        appearance *= scale[:, None]
        slope = (scale / np.float32(2 * self.spacing))[:, None]
        gradient_x = self._on_black(wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) * slope
        gradient_y = self._on_black(wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) * slope
        total = self._responses(gradient_x, gradient_y)
        overlap = self._responses(gradient_x * appearance, gradient_y * appearance)
        products = [gradient_x * gradient_x, gradient_x * gradient_y, gradient_y * gradient_y]
        normal = np.concatenate([product @ self._growths for product in products], 1).T[_NORMAL]
        # What each change has of a constant and of the appearance is left out of it.
        normal -= (total / np.float32(len(self._black)))[:, None] * total
        normal -= ((2 - power * scale * scale) * overlap)[:, None] * overlap
        strength = normal[0, 0] + normal[3, 3]
        bending = _AFFINE_DAMPING * (side * self.spacing / 2) ** 2
        damping = np.array([1e-4, bending, bending] * 2, np.float32)[:, None]
        diagonal = np.arange(6)
        normal[diagonal, diagonal] += strength * damping + np.float32(1e-6)
        mover = _inverse(normal[np.ix_(_MOVING, _MOVING)])
        solver = _inverse(normal)
        return Templates(appearance, gradient_x, gradient_y, total, overlap, solver, mover)

    def _on_black(self, squares: Float32) -> Float32:
        """The samples of patches on the whole chessboard, float32 [N, side, side] to [N, P]."""
        return squares.reshape(len(squares), -1).take(self._black, 1)

    def _responses(self, along_x: Float32, along_y: Float32) -> Float32:
        """Sums over what goes along each gradient, float32 [N, P], times the growth of its motions; float32 [6, N]."""
        responses = np.empty((6, len(along_x)), np.float32)
        responses[:3], responses[3:] = (along_x @ self._growth).T, (along_y @ self._growth).T
        return responses

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
        a = _cut(first, _places(start.T, None, self._offsets))
        b = _cut(second, _places(end.T, None, self._offsets))
        a -= (np.einsum("np->n", a) / np.float32(len(self._black)))[:, None]
        power = np.einsum("np,np->n", a, a) * self._power(b, np.einsum("np->n", b))
        return np.asarray(np.einsum("np,np->n", a, b) / np.maximum(np.sqrt(power), self._blank**2))

    def register(
        self,
        image: NDArray[np.uint8],
        templates: Templates,
        points: Float32,
        warp: Float32,
        iterations: int,
        bend: bool = True,
    ) -> tuple[Float32, Float32, Float32]:
        """Find templates in an image, near where they are expected.

        The first step may bend the template, the others only move it, and only what has not settled.

        :param image: uint8 [H, W], smoothed as for :meth:`take`.
        :param templates: of N points.
        :param points: float32 [N, 2], where the search starts, pixels.
        :param warp: float32 [2, 2, N], from template offsets to image offsets, where the search starts.
        :param iterations: Gauss-Newton steps, 1 or more.
        :param bend: whether the warp may change; leaving it as it is saves a fifth of the time.
        :returns: float32 [N, 2] pixels, float32 [2, 2, N] warps, float32 [N] correlation where the
            last step began, -1 to 1.
        """
        if len(points) == 0:
            return points.copy(), warp.copy(), np.zeros(0, np.float32)
        places = np.ascontiguousarray(points.T)
        if bend:
            motion, correlation = self._bending_step(image, templates, places, warp)
            reach = 1 / (self.side * self.spacing / 2)
            warp = _unbent(warp, np.clip(motion[:, 1:], -reach, reach))
            step = _along(warp, motion[:, 0])
        else:
            motion, correlation = self._moving_step(image, templates, slice(None), places, warp)
            warp, step = warp.copy(), _along(warp, motion)
        places -= step
        index = np.arange(len(points))
        for _ in range(iterations - 1):
            index = index[step[0] * step[0] + step[1] * step[1] > _SETTLED**2]
            if len(index) == 0:
                break
            bent = warp[..., index]
            motion, correlation[index] = self._moving_step(image, templates, index, places[:, index], bent)
            step = _along(bent, motion)
            places[:, index] -= step
        return np.ascontiguousarray(places.T), warp, correlation

    def _bending_step(
        self, image: NDArray[np.uint8], templates: Templates, points: Float32, warp: Float32
    ) -> tuple[Float32, Float32]:
        """How far templates are from fitting, float32 [2, 3, N], and how well they correlate, float32 [N]."""
        appearance, gradient_x, gradient_y = templates.appearance, templates.gradient_x, templates.gradient_y
        patch = self._sample_like(image, points, warp, appearance)
        response, mean, norm = self._compared(appearance, patch)
        responses = self._responses(gradient_x * patch, gradient_y * patch)
        responses -= templates.total * mean
        responses -= templates.overlap * response
        motion = np.einsum("ijn,jn->in", templates.solver, responses) / self._gain(response)
        return motion.reshape(2, 3, -1), response / norm

    def _moving_step(
        self, image: NDArray[np.uint8], templates: Templates, index: Any, points: Float32, warp: Float32
    ) -> tuple[Float32, Float32]:
        """As :meth:`_bending_step`, for those of an index, which may not bend: float32 [2, n] and [n]."""
        appearance = templates.appearance[index]
        patch = self._sample_like(image, points, warp, appearance)
        response, mean, norm = self._compared(appearance, patch)
        responses = -templates.total[_MOVING][:, index] * mean
        responses -= templates.overlap[_MOVING][:, index] * response
        responses[0] += np.einsum("np,np->n", templates.gradient_x[index], patch)
        responses[1] += np.einsum("np,np->n", templates.gradient_y[index], patch)
        motion = np.einsum("ijn,jn->in", templates.mover[..., index], responses) / self._gain(response)
        return motion, response / norm

    def _compared(self, appearance: Float32, patch: Float32) -> tuple[Float32, Float32, Float32]:
        """Of patches: what of the appearance is in them, their mean, and their norm without it; each float32 [N]."""
        total = np.einsum("np->n", patch)
        norm = np.maximum(np.sqrt(self._power(patch, total)), self._blank)
        return np.einsum("np,np->n", appearance, patch), total / np.float32(patch.shape[1]), norm

    @staticmethod
    def _power(patch: Float32, total: Float32) -> Float32:
        """Sum of the squares of patches, float32 [N, P], less their mean; by their sums, float32 [N]."""
        power = np.einsum("np,np->n", patch, patch) - total * total / np.float32(patch.shape[1])
        return np.asarray(np.maximum(power, np.float32(0)))

    def _gain(self, response: Float32) -> Float32:
        """Contrast of a patch in units of its template's, never so small that noise would move it."""
        return np.asarray(np.maximum(response, np.float32(self._blank / 2)))


#: Where an entry of the normal equations, [6, 6], is found among the products of two gradients, xx xy yy, each with the
#: six products of two growths: 1 x y xx xy yy.
_NORMAL = 6 * np.array([[0, 1], [1, 2]]).repeat(3, 0).repeat(3, 1) + np.tile([[0, 1, 2], [1, 3, 4], [2, 4, 5]], (2, 2))


def _places(points: Float32, warp: Float32 | None, offsets: Float32) -> Float32:
    """Where the samples of patches lie, float32 [2, N, P] pixels; without a warp, as the offsets are.

    :param points: float32 [2, N], pixels.
    :param warp: float32 [2, 2, N].
    :param offsets: float32 [3, P]: ones, x and y.
    """
    affine = np.empty((2, 3, points.shape[1]), np.float32)
    affine[:, 0] = points
    affine[:, 1:] = np.eye(2, dtype=np.float32)[:, :, None] if warp is None else warp
    return np.asarray(affine.transpose(0, 2, 1) @ offsets)


def _cut(image: NDArray[np.uint8], places: Float32) -> Float32:
    """Read an image bilinearly at places, float32 [2, N, P] to [N, P]."""
    # OpenCV takes a quarter less time for long rows.
    x, y = places.reshape(2, -1, places.shape[1])
    read = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32).reshape(places.shape[1:])


def _inverse(matrices: Float32) -> Float32:
    """Inverses of positive definite matrices, float32 [k, k, N]."""
    if matrices.shape[2] < _MANY:
        return np.asarray(np.linalg.inv(matrices.transpose(2, 0, 1)).transpose(1, 2, 0))
    # Elimination in all at once: NumPy goes to LAPACK with each of them, which takes eight times as long for hundreds.
    result: Float32 = matrices.copy()
    for pivot in range(len(result)):
        factor = 1 / result[pivot, pivot]
        row, column = result[pivot] * factor, result[:, pivot].copy()
        row[pivot], column[pivot] = factor, 0
        result[pivot], result[:, pivot] = 0, 0
        result -= column[:, None] * row
        result[pivot] = row
    return result


def _unbent(warp: Float32, bend: Float32) -> Float32:
    """Warps less what their templates were found bent by, float32 [2, 2, N] both."""
    (a, b), (c, d) = bend
    a, d = a + 1, d + 1
    left, right = warp[:, 0], warp[:, 1]
    result: Float32 = np.stack([left * d - right * c, right * a - left * b], 1)
    result /= np.maximum(a * d - b * c, np.float32(0.1))
    return result


def _along(warp: Float32, motion: Float32) -> Float32:
    """A template's motion in the image, a pixel of the template at most, float32 [2, N]."""
    return np.asarray((warp * np.clip(motion, -1, 1)).sum(1))
