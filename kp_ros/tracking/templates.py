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

    How far it is from fitting a patch follows from the patch's responses: its products with the appearance, with the
    change that each motion makes, and with ones. What a change has of a gain or of an offset of the brightness is left
    out of it by what the solvers make of the first and the last response.

    :ivar patches: float32 [N, 3, P], three patches of P samples: the appearance, of zero mean and unit norm, so that
        neither offset nor gain of the brightness disturbs it, and in the same norm how it changes when it moves in x,
        and in y.
    :ivar solver: float32 [6, 8, N], from the responses to all six motions.
    :ivar mover: float32 [2, 4, N], from the responses to the two that do not bend, with no others.
    :ivar seen: uint8 [N, P], the samples as they were last in an image.
    """

    patches: Float32
    solver: Float32
    mover: Float32
    seen: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: Any) -> Templates:
        # The points are along the last axis of what is small: NumPy takes a third of the time for a few long rows.
        return Templates(self.patches[index], self.solver[..., index], self.mover[..., index], self.seen[index])

    def __setitem__(self, index: Any, value: Templates) -> None:
        self.patches[index], self.seen[index] = value.patches, value.seen
        self.solver[..., index], self.mover[..., index] = value.solver, value.mover

    def draft(self) -> Templates:
        """The same, but for what is seen of them from now on."""
        return Templates(self.patches, self.solver, self.mover, self.seen.copy())


class Sampler:
    """Takes and registers square templates of one size, sampled on the black squares of a chessboard."""

    def __init__(self, side: int, spacing: float) -> None:
        """Lay out the sample positions.

        :param side: squares a side, odd.
        :param spacing: between the centres of two squares, pixels.
        """
        self.side, self.spacing = side, spacing
        axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * np.float32(spacing)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        # A row has an odd number of squares, so that every other one, row after row, is black.
        offsets = np.stack([np.ones_like(x), x, y]).reshape(3, -1)[:, ::2].copy()
        one, x, y = offsets
        self._offsets, self._samples = offsets, len(one)
        self._crosses = (offsets[:, None] + _CROSS[..., None]).reshape(3, -1)
        # What a gradient is multiplied with to give its three motions, and the product of two gradients to give theirs.
        self._growth = np.ascontiguousarray(offsets.T)
        self._growths = np.stack([one, x, y, x * x, x * y, y * y], 1)

    def empty(self, count: int) -> Templates:
        """Room for so many templates."""
        patches, seen = np.zeros((count, 3, self._samples), np.float32), np.zeros((count, self._samples), np.uint8)
        return Templates(patches, np.zeros((6, 8, count), np.float32), np.zeros((2, 4, count), np.float32), seen)

    @property
    def reach(self) -> float:
        """How far a template reaches from its point, pixels."""
        return (self.side - 1) * self.spacing / 2 + 1

    def _read(
        self, image: NDArray[np.uint8], templates: Templates, rows: Any, points: Float32, warp: Float32
    ) -> Float32:
        """Cut warped patches out of an image, float32 [N, P]; what lies outside it is as it was last seen.

        Where a patch hangs over the image's edge its samples there would pull the point; what they were does not.
        """
        seen = templates.seen[rows]
        x, y = _along_rows(_places(points, warp, self._offsets))
        # OpenCV leaves alone what lies outside.
        cv2.remap(image, x, y, cv2.INTER_LINEAR, dst=seen.reshape(x.shape), borderMode=cv2.BORDER_TRANSPARENT)
        templates.seen[rows] = seen
        return np.asarray(seen, np.float32)

    def take(self, image: NDArray[np.uint8], points: Float32) -> Templates:
        """Remember what points look like now.

        :param image: uint8 [H, W], smoothed over about the distance of two samples. Its gradient is taken over two
            pixels: over more, a step would lead too far.
        :param points: float32 [N, 2], pixels.
        """
        if len(points) == 0:
            return self.empty(0)
        crosses = _cut(image, _places(points.T, None, self._crosses)).reshape(len(points), 5, -1)
        appearance, right, left, lower, upper = crosses.transpose(1, 0, 2)
        seen = appearance.astype(np.uint8)
        appearance -= (np.einsum("np->n", appearance) / np.float32(self._samples))[:, None]
        power = np.einsum("np,np->n", appearance, appearance)
        scale = 1 / np.maximum(np.sqrt(power), self._blank)
        appearance *= scale[:, None]
        slope = (scale / 2)[:, None]
        gradient_x, gradient_y = (right - left) * slope, (lower - upper) * slope
        total = self._responses(gradient_x, gradient_y)
        overlap = self._responses(gradient_x * appearance, gradient_y * appearance)
        products = [gradient_x * gradient_x, gradient_x * gradient_y, gradient_y * gradient_y]
        normal = np.concatenate([product @ self._growths for product in products], 1).T[_NORMAL]
        # What each change has of a constant and of the appearance is left out of it.
        mean = total / np.float32(self._samples)
        normal -= mean[:, None] * total
        normal -= ((2 - power * scale * scale) * overlap)[:, None] * overlap
        strength = normal[0, 0] + normal[3, 3]
        bending = _AFFINE_DAMPING * (self.side * self.spacing / 2) ** 2
        damping = np.array([1e-4, bending, bending] * 2, np.float32)[:, None]
        diagonal = np.arange(6)
        normal[diagonal, diagonal] += strength * damping + np.float32(1e-6)
        mover = _solver(normal[np.ix_(_MOVING, _MOVING)], overlap[_MOVING], mean[_MOVING])
        solver = _solver(normal, overlap, mean)
        return Templates(np.stack([appearance, gradient_x, gradient_y], 1), solver, mover, seen)

    def _responses(self, along_x: Float32, along_y: Float32) -> Float32:
        """Sums over what goes along each gradient, float32 [N, P], times the growth of its motions; float32 [6, N]."""
        responses = np.empty((6, len(along_x)), np.float32)
        responses[:3], responses[3:] = (along_x @ self._growth).T, (along_y @ self._growth).T
        return responses

    @property
    def _blank(self) -> float:
        """Norm of a patch with no contrast to speak of."""
        return float(_BLANK * np.sqrt(self._samples))

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
        a -= (np.einsum("np->n", a) / np.float32(self._samples))[:, None]
        power = np.einsum("np,np->n", a, a) * _power(b, np.einsum("np->n", b))
        return np.asarray(np.einsum("np,np->n", a, b) / np.sqrt(np.maximum(power, np.float32(self._blank**4))))

    def register(
        self,
        image: NDArray[np.uint8],
        templates: Templates,
        rows: Any,
        points: Float32,
        warp: Float32,
        iterations: int,
        bend: bool = True,
    ) -> tuple[Float32, Float32, Float32]:
        """Find templates in an image, near where they are expected.

        The first step may bend the template, the others only move it, and only what has not settled.

        :param image: uint8 [H, W], smoothed as for :meth:`take`.
        :param templates: the samples that lie in the image are written into what was seen of them.
        :param rows: slice or int64 [N], which of the templates.
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
            motion, correlation = self._bending_step(image, templates, rows, places, warp)
            reach = 1 / (self.side * self.spacing / 2)
            warp = _unbent(warp, np.clip(motion[:, 1:], -reach, reach))
            step = _along(warp, motion[:, 0])
        else:
            motion, correlation = self._moving_step(image, templates, rows, places, warp)
            warp, step = warp.copy(), _along(warp, motion)
        found = np.ascontiguousarray((places - step).T)
        if iterations > 1:
            index = np.flatnonzero(step[0] * step[0] + step[1] * step[1] > _SETTLED**2)
            rows = np.arange(len(templates))[rows][index]
            found[index], _, correlation[index] = self.register(
                image, templates, rows, found[index], warp[..., index], iterations - 1, bend=False
            )
        return found, warp, correlation

    def _bending_step(
        self, image: NDArray[np.uint8], templates: Templates, rows: Any, points: Float32, warp: Float32
    ) -> tuple[Float32, Float32]:
        """How far templates are from fitting, float32 [2, 3, N], and how well they correlate, float32 [N]."""
        appearance, gradient_x, gradient_y = templates.patches[rows].transpose(1, 0, 2)
        patch = self._read(image, templates, rows, points, warp)
        responses = np.empty((8, len(patch)), np.float32)
        np.einsum("np,np->n", appearance, patch, out=responses[0])
        responses[1:7] = self._responses(gradient_x * patch, gradient_y * patch)
        motion, correlation = self._solved(templates.solver[..., rows], responses, patch)
        return motion.reshape(2, 3, -1), correlation

    def _moving_step(
        self, image: NDArray[np.uint8], templates: Templates, rows: Any, points: Float32, warp: Float32
    ) -> tuple[Float32, Float32]:
        """As :meth:`_bending_step`, for templates that may not bend: float32 [2, N] and [N]."""
        patches = templates.patches[rows]
        patch = self._read(image, templates, rows, points, warp)
        responses = np.empty((4, len(patch)), np.float32)
        np.einsum("nkp,np->kn", patches, patch, out=responses[:3])
        return self._solved(templates.mover[..., rows], responses, patch)

    def _solved(self, solver: Float32, responses: Float32, patch: Float32) -> tuple[Float32, Float32]:
        """Motions, float32 [k, N], and correlations, float32 [N], from the responses of patches, float32 [N, P].

        :param responses: float32 [k + 2, N], the last of them, with ones, to be filled in.
        """
        response, total = responses[0], np.einsum("np->n", patch, out=responses[-1])
        norm = np.sqrt(np.maximum(_power(patch, total), np.float32(self._blank**2)))
        # The contrast in units of the template's is never taken for so small that noise would move it.
        gain = np.maximum(response, np.float32(self._blank / 2))
        return np.einsum("ijn,jn->in", solver, responses) / gain, response / norm


#: A pixel and its neighbours right, left, below and above, as offsets with a leading 0, [3, 5].
_CROSS = np.array([[0, 0, 0, 0, 0], [0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], np.float32)
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


def _along_rows(places: Float32) -> Float32:
    """Places, float32 [2, N, P], as float32 [2, P, N]: OpenCV takes a quarter less time for long rows."""
    return places.reshape(2, -1, places.shape[1])


def _cut(image: NDArray[np.uint8], places: Float32) -> Float32:
    """Read an image bilinearly at places, float32 [2, N, P] to [N, P]."""
    x, y = _along_rows(places)
    read = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32).reshape(places.shape[1:])


def _power(patch: Float32, total: Float32) -> Float32:
    """Sum of the squares of patches, float32 [N, P], less their mean; by their sums, float32 [N].

    Rounding may leave it a little below 0.
    """
    return np.asarray(np.einsum("np,np->n", patch, patch) - total * total / np.float32(patch.shape[1]))


def _solver(normal: Float32, overlap: Float32, mean: Float32) -> Float32:
    """From responses to motions, float32 [k, k + 2, N]; see :class:`Templates`.

    :param normal: float32 [k, k, N], normal equations.
    :param overlap: float32 [k, N], what each change has of the appearance.
    :param mean: float32 [k, N], of each change.
    """
    inverse = _inverse(normal)
    gain, offset = np.einsum("ijn,kjn->kin", inverse, np.stack([overlap, mean]))
    return np.concatenate([-gain[:, None], inverse, -offset[:, None]], 1)


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
    return np.asarray(np.einsum("ijn,jn->in", warp, np.clip(motion, -1, 1)))
