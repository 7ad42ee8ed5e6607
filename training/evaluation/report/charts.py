"""Charts as SVG that takes its colours from the page: light and dark need no second picture.

A series' strokes and bars carry the class ``s0``, ``s1``, ...: the page gives each its colour and can hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 44
#: Of trajectories: room around them, room for the ruler below, and the least height of the lines' own space.
MARGIN, RULER, FLATTEST = 18, 26, 70

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One line, or one colour of bars.

    :ivar index: of its colour.
    :ivar name: for the tooltip.
    :ivar x: positions; y likewise.
    """

    index: int
    name: str
    x: Array
    y: Array


def cumulative_chart(series: Sequence[Series], limit: float, unit: str, marks: Sequence[float]) -> str:
    """Cumulative error curves: share of the pairs whose error is below x.

    :param series: x are errors, ascending from 0; y are shares, 0 to 1.
    :param limit: largest error that is drawn.
    :param marks: errors up to which the AUC is given: dotted lines.
    """
    x, y = _scale(0, limit, LEFT, WIDTH - RIGHT), _scale(0, 100, HEIGHT - BOTTOM, TOP)
    parts = [_y_axis(y, [0, 25, 50, 75, 100], "%"), _x_labels(x, marks, f"error, {unit}")]
    parts += [f'<line class="mark" x1="{x(m):.1f}" x2="{x(m):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>' for m in marks]
    for one in series:
        inside = one.x <= limit
        # A step curve: the share jumps where an error lies.
        xs = np.repeat(np.append(one.x[inside], limit), 2)[1:-1]
        ys = np.repeat(one.y[inside] * 100, 2)
        parts.append(_path(one, x, y, xs, ys))
    return _svg("".join(parts), "Cumulative error curves")


def histogram_chart(series: Sequence[Series], labels: Sequence[str], x_label: str) -> str:
    """Bars beside each other.

    :param series: y are percentages, one a label; x is not used.
    """
    highest = max((float(one.y.max()) for one in series), default=1.0)
    ticks = _ticks(highest)
    y = _scale(0, ticks[-1], HEIGHT - BOTTOM, TOP)
    slot = (WIDTH - LEFT - RIGHT) / len(labels)
    bar = min(14.0, slot * 0.8 / max(len(series), 1))
    parts = [_y_axis(y, ticks, "%")]
    for place, label in enumerate(labels):
        middle = LEFT + slot * (place + 0.5)
        parts.append(
            f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label}</text>'
        )
        for number, one in enumerate(series):
            left = middle + (number - len(series) / 2) * bar
            top, value = y(float(one.y[place])), float(one.y[place])
            parts.append(
                f'<rect class="bar s{one.index}" x="{left + 0.5:.1f}" y="{top:.1f}" width="{bar - 1:.1f}" '
                f'height="{max(HEIGHT - BOTTOM - top, 0):.1f}" rx="1.5">'
                f"<title>{escape(one.name)}: {value:.1f} % of the tracks, {label} frames</title></rect>"
            )
    parts.append(_x_title(x_label))
    return _svg("".join(parts), "Histogram of track lengths")


def trajectory_chart(truth: Array, series: Sequence[tuple[int, str, Array]]) -> str:
    """Trajectories, seen along the direction in which the true one is thinnest.

    :param truth: float64 [F, 3], positions, metres.
    :param series: colour, name and positions of each estimate.
    """
    centre = truth.mean(0)
    _, _, axes = np.linalg.svd(truth - centre, full_matrices=False)
    plane = [(points - centre) @ axes[:2].T for points in (truth, *(positions for _, _, positions in series))]
    true, estimates = plane[0], plane[1:]
    # An estimate that ran away shall not shrink the others to a dot.
    reach = 2.0 * max(float(np.abs(true).max()), 1e-3)
    near = np.concatenate([np.clip(points, -reach, reach) for points in plane])
    low, high = near.min(0), near.max(0)
    span = np.maximum(high - low, 1e-6)
    zoom = min((WIDTH - 2 * MARGIN) / span[0], (HEIGHT - 2 * MARGIN - RULER) / span[1])
    # A straight drive needs no high picture.
    height = max(float(span[1]) * zoom, FLATTEST) + 2 * MARGIN + RULER
    middle = (low + high) / 2
    x = _scale(float(middle[0]), float(middle[0]) + 1, WIDTH / 2, WIDTH / 2 + zoom)
    centre_row = (height - RULER) / 2
    y = _scale(float(middle[1]), float(middle[1]) + 1, centre_row, centre_row - zoom)
    parts = [_path(Series(-1, "ground truth", true[:, 0], true[:, 1]), x, y, true[:, 0], true[:, 1], "truth")]
    for (index, name, _), points in zip(series, estimates, strict=True):
        parts.append(_path(Series(index, name, points[:, 0], points[:, 1]), x, y, points[:, 0], points[:, 1]))
    parts.append(f'<circle class="start" cx="{x(true[0, 0]):.1f}" cy="{y(true[0, 1]):.1f}" r="4.5"/>')
    length = _round_length((high[0] - low[0]) / 4)
    bar = length * zoom
    base = height - 10
    parts.append(
        f'<path class="ruler" d="M{MARGIN} {base - 4:.1f}v4h{bar:.1f}v-4"/>'
        f'<text class="tick" x="{MARGIN + bar + 8:.1f}" y="{base:.1f}">{_length_text(length)}</text>'
    )
    return _svg("".join(parts), "Trajectories", height)


def _length_text(metres: float) -> str:
    return f"{metres:g} m" if metres >= 1 else f"{100 * metres:g} cm"


def _round_length(length: float) -> float:
    power = 10 ** np.floor(np.log10(max(length, 1e-6)))
    return float(max(step for step in (1, 2, 5) if step * power <= max(length, power)) * power)


def _ticks(highest: float) -> list[float]:
    step = _round_length(max(highest, 1e-6) / 3)
    return [step * index for index in range(int(np.ceil(highest / step)) + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _path(
    series: Series,
    x: Callable[[float], float],
    y: Callable[[float], float],
    xs: Array,
    ys: Array,
    css: str = "",
) -> str:
    points = " ".join(f"{x(float(a)):.1f},{y(float(b)):.1f}" for a, b in zip(xs, ys, strict=True))
    css = css or f"line s{series.index}"
    return f'<polyline class="{css}" points="{points}"><title>{escape(series.name)}</title></polyline>'


def _y_axis(y: Callable[[float], float], ticks: Sequence[float], unit: str) -> str:
    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        text = f"{tick:g} {unit}"
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(parts)


def _x_labels(x: Callable[[float], float], ticks: Sequence[float], title: str) -> str:
    row = HEIGHT - BOTTOM + 16
    labels = [f'<text class="tick" x="{x(t):.1f}" y="{row}" text-anchor="middle">{t:g}</text>' for t in (0, *ticks)]
    return "".join(labels) + _x_title(title)


def _x_title(title: str) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(title)}</text>'


def _svg(content: str, label: str, height: float = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{content}</svg>'
