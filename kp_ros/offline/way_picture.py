"""A way from above beside the true one, drawn with what the runtime has: no plotting library."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Float64 = NDArray[np.float64]

#: BGR.
BACKGROUND, GRID, TEXT = (255, 255, 255), (232, 232, 232), (60, 60, 60)
TRUTH, ESTIMATE, START = (150, 150, 150), (200, 110, 20), (60, 160, 40)
#: Pixels around the way.
MARGIN = 70
#: Fractional bits of the coordinates that OpenCV draws at.
SHIFT = 4


def draw_way(truth: Float64, estimate: Float64, title: str, size: tuple[int, int] = (1000, 800)) -> Image:
    """Draw two ways on the ground.

    :param truth: float64 [N, 2], metres, x forward, y to the left: up and to the left in the picture.
    :param estimate: float64 [M, 2], likewise.
    :param size: of the picture, width and height in pixels.
    :returns: uint8 [height, width, 3], BGR.
    """
    width, height = size
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    both = np.concatenate([truth, estimate])
    # Forward is up, left is left.
    low, high = both.min(0), both.max(0)
    span = np.maximum(high - low, 1e-3)
    scale = min((width - 2 * MARGIN) / span[1], (height - 2 * MARGIN) / span[0])
    middle = (low + high) / 2

    def pixels(points: Float64) -> NDArray[np.int32]:
        x = width / 2 - (points[:, 1] - middle[1]) * scale
        y = height / 2 - (points[:, 0] - middle[0]) * scale
        return np.asarray(np.rint(np.stack([x, y], 1) * 2**SHIFT), np.int32)

    step = _round_step(max(span) / 5)
    for line in _grid(pixels, low, high, step, (width, height), scale):
        cv2.polylines(picture, [line], False, GRID, 1, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [pixels(truth)], False, TRUTH, 5, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [pixels(estimate)], False, ESTIMATE, 2, cv2.LINE_AA, SHIFT)
    x, y = pixels(truth[:1])[0].tolist()
    cv2.circle(picture, (x, y), 7 << SHIFT, START, -1, cv2.LINE_AA, SHIFT)
    _legend(picture, title, step)
    return picture


def _round_step(metres: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= metres))


def _grid(
    pixels: Callable[[Float64], NDArray[np.int32]],
    low: Float64,
    high: Float64,
    step: float,
    size: tuple[int, int],
    scale: float,
) -> list[NDArray[np.int32]]:
    middle, reach = (low + high) / 2, np.array([size[1], size[0]]) / 2 / scale
    first, last = middle - reach, middle + reach
    lines = []
    for axis in range(2):
        for value in np.arange(np.ceil(first[axis] / step), last[axis] / step) * step:
            ends = np.array([first, last])
            ends[:, axis] = value
            lines.append(pixels(ends))
    return lines


def _legend(picture: Image, title: str, step: float) -> None:
    def write(text: str, place: tuple[int, int], scale: float) -> None:
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, 1, cv2.LINE_AA)

    write(title, (20, 34), 0.8)
    height = len(picture)
    for row, (colour, thickness, text) in enumerate(((TRUTH, 5, "true way"), (ESTIMATE, 2, "estimate"))):
        y = height - 50 + 28 * row
        cv2.line(picture, (20, y - 5), (60, y - 5), colour, thickness, cv2.LINE_AA)
        write(text, (72, y), 0.6)
    write(f"a square: {step:g} m", (200, height - 22), 0.6)
    cv2.circle(picture, (212, height - 55), 6, START, -1, cv2.LINE_AA)
    write("start", (228, height - 50), 0.6)
