"""Tracks drawn on an image: what a person looks at to see whether tracking works.

Each point is a disc, coloured by its age, with a tail through where it was in the last frames; tails of points on one
surface run side by side when tracking is right, and a wrong match shows at once as a line that crosses them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32, Tracks

Image = NDArray[np.uint8]

#: Colours of a track from its first frame to OLD frames and more, BGR: sky, green, gold, orange.
GRADIENT = np.array([(255, 176, 66), (190, 214, 60), (60, 220, 160), (40, 200, 250), (50, 120, 255)], np.float32)
#: Age in frames at which the last colour is reached.
OLD = 60
#: Colours are drawn in so many steps, each in one call of OpenCV.
STEPS = 16
#: Fractional bits of the coordinates that OpenCV draws at.
SHIFT = 4


class TrackTails:
    """Where each track was in its last frames.

    :param length: frames that a tail reaches back.
    """

    def __init__(self, length: int = 15) -> None:
        self.length = length
        self._tails: dict[int, deque[tuple[float, float]]] = {}

    def update(self, tracks: Tracks) -> None:
        """Take in one more frame. Tracks that are not in it are forgotten."""
        previous, self._tails = self._tails, {}
        for track_id, (x, y) in zip(tracks.track_id.tolist(), tracks.keypoints.tolist(), strict=True):
            tail = previous.get(track_id)
            if tail is None:
                tail = deque(maxlen=self.length + 1)
            tail.append((x, y))
            self._tails[track_id] = tail

    def of(self, track_id: int) -> Float32:
        """float32 [n, 2], pixels, oldest first; the last is where the track is now."""
        return np.array(self._tails.get(track_id, ()), np.float32).reshape(-1, 2)


@dataclass(frozen=True)
class _Layer:
    """Colours and, apart from them, how much of each pixel they cover: drawn once, blended once."""

    colours: Image
    cover: Image

    def polylines(self, lines: list[NDArray[np.int32]], colour: tuple[int, ...], opacity: int, width: int) -> None:
        cv2.polylines(self.colours, lines, False, colour, width, cv2.LINE_AA, SHIFT)
        cv2.polylines(self.cover, lines, False, opacity, width, cv2.LINE_AA, SHIFT)


def draw_tracks(
    image: Image, tracks: Tracks, tails: TrackTails | None = None, *, scale: int = 1, title: str = ""
) -> Image:
    """Draw tracks, and where they came from, on an image.

    :param image: uint8 [H, W] or [H, W, 3] BGR; it is not changed. Shown without colour and slightly dimmed, so that
        the tracks' colours mean age alone.
    :param tracks: points to draw.
    :param tails: history, already updated with ``tracks``; None draws points only.
    :param scale: the picture is so many times larger than the image; lines grow with it.
    :param title: a short text for the legend: the model's name, a frame's name.
    :returns: uint8 [H x scale, W x scale, 3], BGR.
    """
    canvas = _background(image, scale)
    unit = max(1.0, min(canvas.shape[:2]) / 480)
    steps = _steps(tracks.age)
    if tails is not None and len(tracks):
        _draw_tails(canvas, tracks, tails, steps, scale, unit)
    _draw_points(canvas, tracks, steps, scale, unit)
    _draw_legend(canvas, tracks, title, unit)
    return canvas


def _background(image: Image, scale: int) -> Image:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if scale != 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    dimmed = cv2.convertScaleAbs(grey, alpha=0.72, beta=4)
    return np.asarray(cv2.cvtColor(dimmed, cv2.COLOR_GRAY2BGR), np.uint8)


def colour_of(age: NDArray[Any]) -> Float32:
    """Colours of ages in frames: float32 [N, 3], BGR, 0 to 255."""
    position = _position(age) * (len(GRADIENT) - 1)
    low = np.minimum(position.astype(int), len(GRADIENT) - 2)
    weight = (position - low)[:, None].astype(np.float32)
    return np.asarray(GRADIENT[low] * (1 - weight) + GRADIENT[low + 1] * weight, np.float32)


def _position(age: NDArray[Any]) -> NDArray[np.float64]:
    """Where an age lies in the gradient, 0 to 1. Half of it is for the first quarter, where ages differ most."""
    return np.asarray(np.sqrt(np.clip((np.asarray(age, np.float64) - 1) / (OLD - 1), 0, 1)), np.float64)


def _steps(age: NDArray[np.uint32]) -> NDArray[np.int64]:
    return np.asarray(np.rint(_position(age) * (STEPS - 1)), np.int64)


def _step_colour(step: int) -> tuple[int, ...]:
    age = 1 + (step / (STEPS - 1)) ** 2 * (OLD - 1)
    return tuple(int(value) for value in colour_of(np.array([age]))[0])


def _fixed_point(points: Float32, scale: int) -> NDArray[np.int32]:
    """Pixels of the image to those of the picture, with OpenCV's fractional bits; pixel centres are at integers."""
    return np.asarray(np.rint(((points + 0.5) * scale - 0.5) * (1 << SHIFT)), np.int32)


def _draw_tails(
    canvas: Image, tracks: Tracks, tails: TrackTails, steps: NDArray[np.int64], scale: int, unit: float
) -> None:
    layer = _Layer(canvas.copy(), np.zeros(canvas.shape[:2], np.uint8))
    lines = [_fixed_point(tails.of(int(track_id)), scale) for track_id in tracks.track_id]
    # From the faint far end to the bright near one, so that near parts lie on top.
    fades = ((1.0, 0.66, 0.30), (0.70, 0.33, 0.55), (0.36, 0.0, 0.90))
    for begin, end, opacity in fades:
        for step in range(STEPS):
            parts = [_part(lines[index], tails.length, begin, end) for index in np.flatnonzero(steps == step)]
            parts = [part for part in parts if len(part) > 1]
            if parts:
                layer.polylines(parts, _step_colour(step), round(255 * opacity), max(1, round(1.2 * unit)))
    cover = layer.cover.astype(np.float32) / 255
    cv2.blendLinear(layer.colours, canvas, cover, 1 - cover, canvas)


def _part(line: NDArray[np.int32], length: int, begin: float, end: float) -> NDArray[np.int32]:
    """The part of a tail between two fractions of its full length, counted back from now."""
    last = len(line) - 1
    return line[max(0, last - round(begin * length)) : last - round(end * length) + 1]


def _draw_points(canvas: Image, tracks: Tracks, steps: NDArray[np.int64], scale: int, unit: float) -> None:
    centres = _fixed_point(tracks.keypoints, scale)
    radius = round(1.6 * unit * (1 << SHIFT))
    for (x, y), step in zip(centres.tolist(), steps.tolist(), strict=True):
        cv2.circle(canvas, (x, y), radius + round(0.8 * unit * (1 << SHIFT)), (20, 20, 20), -1, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, (x, y), radius, _step_colour(step), -1, cv2.LINE_AA, SHIFT)


def _draw_legend(canvas: Image, tracks: Tracks, title: str, unit: float) -> None:
    """A panel at the lower left: the colours of age, how many tracks there are and how old they are."""
    height, margin = round(30 * unit), round(8 * unit)
    bar_width, bar_height = round(90 * unit), round(6 * unit)
    mean = f", mean age {tracks.age.mean():.1f}" if len(tracks) else ""
    text = f"{len(tracks)} tracks{mean}" + (f"   {title}" if title else "")
    text_width = _text_size(text, unit)
    left, top = margin, canvas.shape[0] - margin - height
    right = min(canvas.shape[1] - margin, left + 5 * margin + bar_width + text_width + round(32 * unit))
    if top < 0 or right - left < bar_width + 2 * margin:
        return
    panel = canvas[top : top + height, left:right]
    panel[:] = (panel * 0.25).astype(np.uint8)
    ages = 1 + np.linspace(0, 1, bar_width) ** 2 * (OLD - 1)
    bar_top = top + (height - bar_height) // 2
    bar_left = left + 2 * margin
    canvas[bar_top : bar_top + bar_height, bar_left : bar_left + bar_width] = colour_of(ages)[None].astype(np.uint8)
    baseline = top + height // 2 + round(4 * unit)
    _put_text(canvas, "1", (left + margin - round(2 * unit), baseline), unit)
    _put_text(canvas, f"{OLD}+", (bar_left + bar_width + round(5 * unit), baseline), unit)
    _put_text(canvas, text, (bar_left + bar_width + round(34 * unit), baseline), unit)


def _text_size(text: str, unit: float) -> int:
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.38 * unit, 1)
    return int(width)


def _put_text(canvas: Image, text: str, origin: tuple[int, int], unit: float) -> None:
    thickness = max(1, round(0.8 * unit))
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.38 * unit, (235, 235, 235), thickness, cv2.LINE_AA)
