"""Tracks drawn on an image: what a person looks at to see whether tracking works.

Each point is a disc, coloured by its age, with a tail through where it was in the last frames; tails of points on one
surface run side by side when tracking is right, and a wrong match shows at once as a line that crosses them.
"""

from __future__ import annotations

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
#: A tail is drawn no longer than this share of the image's width: in fast motion, tails would hide the image.
REACH = 0.12
#: Opacity of a tail's parts, from its end to its point, and the line segments of each part.
FADES, TAIL_STEPS = (0.22, 0.42, 0.62, 0.9), 4
#: Fractional bits of the coordinates that OpenCV draws at.
SHIFT = 4


class TrackTails:
    """Where each track was in its last frames.

    :param length: frames that a tail reaches back.
    """

    def __init__(self, length: int = 15) -> None:
        self.length = length
        self._ids = np.zeros(0, np.int64)
        self._history = np.zeros((0, length + 1, 2), np.float32)

    def update(self, tracks: Tracks) -> None:
        """Take in one more frame. Tracks that are not in it are forgotten."""
        history = np.repeat(tracks.keypoints[:, None], self.length + 1, axis=1)
        ids = tracks.track_id.astype(np.int64)
        _, now, before = np.intersect1d(ids, self._ids, assume_unique=True, return_indices=True)
        history[now, :-1] = self._history[before, 1:]
        self._ids, self._history = ids, history

    def history(self, track_id: NDArray[np.uint32]) -> Float32:
        """Where tracks were, oldest first, now last.

        :param track_id: uint32 [N], of tracks that were in the last frame.
        :returns: float32 [N, length + 1, 2], pixels; before a track began it stands where it began.
        """
        order = np.argsort(self._ids)
        rows = order[np.searchsorted(self._ids, track_id.astype(np.int64), sorter=order)]
        return np.asarray(self._history[rows], np.float32)


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
        _draw_tails(canvas, tails.history(tracks.track_id), steps, scale, unit)
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


def _step_colours() -> tuple[tuple[int, ...], ...]:
    ages = 1 + np.linspace(0, 1, STEPS) ** 2 * (OLD - 1)
    return tuple(tuple(int(value) for value in colour) for colour in colour_of(ages))


STEP_COLOURS = _step_colours()


def _fixed_point(points: Float32, scale: int) -> NDArray[np.int32]:
    """Pixels of the image to those of the picture, with OpenCV's fractional bits; pixel centres are at integers."""
    return np.asarray(np.rint(((points + 0.5) * scale - 0.5) * (1 << SHIFT)), np.int32)


def _draw_tails(canvas: Image, history: Float32, steps: NDArray[np.int64], scale: int, unit: float) -> None:
    layer = _Layer(canvas.copy(), np.zeros(canvas.shape[:2], np.uint8))
    reach = REACH * canvas.shape[1] / scale
    lines = _fixed_point(_resampled(history, reach, len(FADES) * TAIL_STEPS), scale)
    moving = np.abs(lines - lines[:, -1:]).max(axis=(1, 2)) > 1 << SHIFT
    # From the faint far end to the bright near one, so that near parts lie on top.
    for part, opacity in enumerate(FADES):
        piece = slice(part * TAIL_STEPS, (part + 1) * TAIL_STEPS + 1)
        for step in range(STEPS):
            chosen = list(lines[moving & (steps == step), piece])
            if chosen:
                layer.polylines(chosen, STEP_COLOURS[step], round(255 * opacity), max(1, round(1.1 * unit)))
    cover = layer.cover.astype(np.float32) / 255
    cv2.blendLinear(layer.colours, canvas, cover, 1 - cover, canvas)


def _resampled(history: Float32, reach: float, count: int) -> Float32:
    """The newest part of each path, at equal distances.

    :param history: float32 [N, L, 2], newest last.
    :param reach: length of the part, or of the whole path where that is shorter, pixels.
    :returns: float32 [N, count + 1, 2], newest last.
    """
    back = history[:, ::-1].astype(np.float64)
    lengths = np.linalg.norm(np.diff(back, axis=1), axis=2)
    travelled = np.concatenate([np.zeros((len(back), 1)), np.cumsum(lengths, axis=1)], axis=1)
    wanted = np.minimum(travelled[:, -1:], reach) * np.linspace(1, 0, count + 1)
    segment = (travelled[:, None, 1:] < wanted[:, :, None]).sum(axis=2).clip(0, lengths.shape[1] - 1)
    rows = np.arange(len(back))[:, None]
    share = (wanted - travelled[rows, segment]) / np.maximum(lengths[rows, segment], 1e-9)
    near, far = back[rows, segment], back[rows, segment + 1]
    return np.asarray(near + (far - near) * np.clip(share, 0, 1)[..., None], np.float32)


def _draw_points(canvas: Image, tracks: Tracks, steps: NDArray[np.int64], scale: int, unit: float) -> None:
    centres = _fixed_point(tracks.keypoints, scale)
    radius = round(1.6 * unit * (1 << SHIFT))
    for (x, y), step in zip(centres.tolist(), steps.tolist(), strict=True):
        cv2.circle(canvas, (x, y), radius + round(0.8 * unit * (1 << SHIFT)), (20, 20, 20), -1, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, (x, y), radius, STEP_COLOURS[step], -1, cv2.LINE_AA, SHIFT)


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
