"""Depth of tracked points from the right image of a rectified pair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from kp_ros.odometry.base import Float64

Image = NDArray[np.uint8]

#: Half the side of the window of the search, pixels of the halved image, and of the registration: columns, rows.
_SEARCH_REACH = 3
_REACH_X, _REACH_Y = 6, 4
#: Correlation of the search's best place, and how much worse the best place elsewhere must be.
_SEARCH_CORRELATION, _UNIQUE = 0.75, 0.03
#: Correlation of a registered window.
_CORRELATION = 0.8
#: Steps of the registration, and how far it may end from where it began, pixels.
_STEPS, _FARTHEST = 3, 2.0
#: Forwards and backwards may differ by so much, pixels.
_AGREEMENT = 0.5
#: Sparse windows have no slope to register: least mean square of the horizontal one, grey levels a pixel.
_SLOPE = 1.0


@dataclass(frozen=True)
class Disparities:
    """How much farther left points are in the right image.

    :ivar value: float64 [N], pixels; NaN where the point was not found.
    :ivar deviation: float64 [N], standard deviation, pixels.
    """

    value: Float64
    deviation: Float64


@dataclass(frozen=True)
class _Halved:
    """An image at half the resolution, with what correlation needs of each of its windows.

    :ivar pixels: float32 [h, w].
    :ivar mean: float32 [h, w], of the window around each pixel.
    :ivar spread: float32 [h, w], standard deviation there.
    """

    pixels: Float32
    mean: Float32
    spread: Float32

    @staticmethod
    def of(image: Image) -> _Halved:
        height, width = image.shape
        pixels = np.asarray(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
        window = (2 * _SEARCH_REACH + 1,) * 2
        mean = cv2.boxFilter(pixels, cv2.CV_32F, window)
        squares = cv2.sqrBoxFilter(pixels, cv2.CV_32F, window)
        return _Halved(pixels, mean, np.sqrt(np.maximum(squares - mean * mean, 1e-3)))


def match_right(
    left: Image, right: Image, keypoints: Float32, expected: Float64, farthest: float, pixels: float
) -> Disparities:
    """Find points of the left image in the right one.

    Points whose disparity is not yet known are searched along the row at half the resolution, there and back. Then each
    is registered on its row to a fraction of a pixel (Lucas-Kanade with one unknown, free of gain and offset), there
    and back; what does not come back where it began was not found.

    :param left: uint8 [H, W].
    :param right: uint8 [H, W]; a point has the same row in both.
    :param keypoints: float32 [N, 2], pixels of the left image.
    :param expected: float64 [N], disparity that is expected, pixels; NaN where none is.
    :param farthest: largest disparity that is searched, pixels.
    :param pixels: standard deviation of a disparity of a window with strong texture: what rectification and
        perspective leave.
    """
    value, deviation = np.full(len(keypoints), np.nan), np.full(len(keypoints), np.nan)
    start = expected.copy()
    unknown = np.flatnonzero(~np.isfinite(start))
    if len(unknown):
        start[unknown] = _search(_Halved.of(left), _Halved.of(right), keypoints[unknown], farthest)
    index = np.flatnonzero(np.isfinite(start))
    if len(index) == 0:
        return Disparities(value, deviation)
    at, there = keypoints[index], start[index].astype(np.float32)
    found, noise, good = _register(left, right, at, -there)
    in_right = at + np.stack([found, np.zeros_like(found)], axis=1)
    back, _, good_back = _register(right, left, in_right, -found)
    good &= good_back & (np.abs(found + back) < _AGREEMENT) & (np.abs(found + there) < _FARTHEST)
    index = index[good]
    value[index] = (back - found)[good] / 2
    deviation[index] = np.sqrt(pixels**2 + noise[good] ** 2)
    return Disparities(value, deviation)


def _register(
    first: Image, second: Image, keypoints: Float32, shift: Float32
) -> tuple[Float32, Float32, NDArray[np.bool_]]:
    """Register windows along their row.

    :returns: shifts float32 [N], pixels; their standard deviation by the image's noise; whether they can be trusted.
    """
    x = np.arange(-_REACH_X - 1, _REACH_X + 2, dtype=np.float32)
    y = np.arange(-_REACH_Y, _REACH_Y + 1, dtype=np.float32)
    columns, rows = (grid.ravel() for grid in np.meshgrid(x, y))
    wide = _sample(first, keypoints, columns, rows).reshape(len(keypoints), len(y), len(x))
    slope = ((wide[:, :, 2:] - wide[:, :, :-2]) / 2).reshape(len(keypoints), -1)
    template = wide[:, :, 1:-1].reshape(len(keypoints), -1)
    columns, rows = (grid.ravel() for grid in np.meshgrid(x[1:-1], y))
    slope = slope - slope.mean(1, keepdims=True)
    template = template - template.mean(1, keepdims=True)
    steepness = np.einsum("nk,nk->n", slope, slope)
    energy = np.einsum("nk,nk->n", template, template)
    correlation = np.zeros_like(shift)
    left_over = template
    for _ in range(_STEPS):
        window = _sample(second, keypoints + np.stack([shift, np.zeros_like(shift)], axis=1), columns, rows)
        window -= window.mean(1, keepdims=True)
        strength = np.einsum("nk,nk->n", window, window)
        correlation = np.einsum("nk,nk->n", window, template) / np.sqrt(np.maximum(strength * energy, 1e-6))
        left_over = template - window * np.sqrt(energy / np.maximum(strength, 1e-6))[:, None]
        step = np.einsum("nk,nk->n", slope, left_over) / np.maximum(steepness, 1e-6)
        shift = shift + step.clip(-1, 1)
    samples = template.shape[1]
    noise = np.sqrt(np.einsum("nk,nk->n", left_over, left_over) / samples / np.maximum(steepness, 1e-6))
    reach = np.array([_REACH_X + 1, _REACH_Y], np.float32)
    end = keypoints + np.stack([shift, np.zeros_like(shift)], axis=1)
    limit = np.array([first.shape[1] - 1, first.shape[0] - 1], np.float32) - reach
    inside = ((keypoints >= reach) & (keypoints <= limit) & (end >= reach) & (end <= limit)).all(1)
    good = inside & (correlation >= _CORRELATION) & (steepness >= _SLOPE * samples) & (np.abs(step) < 0.5)
    return shift, noise, good


def _sample(image: Image, centres: Float32, columns: Float32, rows: Float32) -> Float32:
    """Windows around centres, interpolated: float32 [N, number of places]."""
    x, y = centres[:, 0, None] + columns, centres[:, 1, None] + rows
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _search(left: _Halved, right: _Halved, keypoints: Float32, farthest: float) -> Float64:
    """Disparities by correlation along the row, NaN where they are not plain; float64 [N], pixels, good to one."""
    places = np.rint((keypoints + 0.5) / 2 - 0.5).astype(np.int64)
    count = int(np.ceil(farthest / 2)) + 1
    shift, plain = _best_along_row(left, right, places, -count, 1)
    arrived = places + np.stack([shift, np.zeros_like(shift)], axis=1)
    back, plain_back = _best_along_row(right, left, arrived, -1, count)
    plain &= plain_back & (np.abs(shift + back) <= 1)
    return np.where(plain, -2.0 * shift, np.nan)


def _best_along_row(
    first: _Halved, second: _Halved, places: NDArray[np.int64], low: int, high: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The shift from ``low`` to ``high`` whose window correlates best, int64 [N], and whether no other is as good."""
    reach = _SEARCH_REACH
    height, width = first.pixels.shape
    x, y = places[:, 0], places[:, 1]
    inside = (x >= reach) & (x < width - reach) & (y >= reach) & (y < height - reach)
    x, y = x.clip(reach, width - reach - 1), y.clip(reach, height - reach - 1)
    around = np.arange(-reach, reach + 1)
    template = first.pixels[y[:, None, None] + around[:, None], x[:, None, None] + around]
    template = template - first.mean[y, x][:, None, None]
    shifts = np.arange(low, high + 1)
    columns = x[:, None] + np.arange(low - reach, high + reach + 1)
    strips = second.pixels[y[:, None, None] + around[:, None], columns.clip(0, width - 1)[:, None]]
    total = np.zeros((len(x), len(shifts)), np.float32)
    for row in range(len(around)):
        for column in range(len(around)):
            total += strips[:, row, column : column + len(shifts)] * template[:, row, column, None]
    centres = x[:, None] + shifts
    there = second.spread[y[:, None], centres.clip(0, width - 1)]
    correlation = total / (template[0].size * there * first.spread[y, x][:, None]) if len(x) else total
    correlation[(centres < reach) | (centres >= width - reach)] = -1
    best = correlation.argmax(1)
    score = correlation[np.arange(len(x)), best]
    correlation[np.abs(np.arange(len(shifts)) - best[:, None]) <= 2] = -1
    plain = inside & (score >= _SEARCH_CORRELATION) & (correlation.max(1) < score - _UNIQUE)
    return shifts[best], plain
