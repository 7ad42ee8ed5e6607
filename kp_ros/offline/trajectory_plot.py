"""A trajectory as a picture: from above, and its error over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError
from kp_ros.odometry.base import State
from kp_ros.offline.odometry import OdometrySummary
from kp_ros.recordings.output import OutputFile
from kp_ros.trajectories import TrajectoryError

COLOURS = {State.GOOD: "#1f77b4", State.WEAK: "#ff9f1c", State.LOST: "#d62728", State.INITIALISING: "#999999"}
TRUTH_COLOUR = "#444444"


def plot_trajectory(path: Path, summary: OdometrySummary, error: TrajectoryError | None, title: str) -> None:
    """Draw the way from above with the truth's, and below it the error, or where there is no truth the deviation.

    :raises UserError: matplotlib is not installed.
    :raises OutputError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise UserError("plots need the package matplotlib: pip install 'kp_ros[eval]'") from missing
    figure: Any = Figure(figsize=(9, 10), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=(2.4, 1))
    figure.suptitle(title)
    _draw_way(above, summary, error)
    _draw_error(below, summary, error)
    with OutputFile(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw_way(axes: Any, summary: OdometrySummary, error: TrajectoryError | None) -> None:
    posed = summary.posed
    if error is None:
        ways = {"estimate": np.array([frame.estimate.pose[:3, 3] for frame in posed]).reshape(-1, 3)}
        first, second = (0, 2)
    else:
        ways = {"truth": error.truth[:, :3, 3], "estimate": error.aligned[:, :3, 3]}
        # The two axes that the way is longest in: the truth's world may have any of them upwards.
        spans = np.ptp(ways["truth"], axis=0)
        first, second = sorted(np.argsort(spans)[1:].tolist())
    for name, points in ways.items():
        style: dict[str, Any] = {"color": TRUTH_COLOUR, "linestyle": "--"} if name == "truth" else {"color": "#1f77b4"}
        axes.plot(points[:, first], points[:, second], label=name, **style)
    if error is None:
        _mark_states(axes, summary, ways["estimate"][:, [first, second]])
    start = next(iter(ways.values()))
    if len(start):
        axes.plot(*start[0, [first, second]], "o", color="#2ca02c", label="start", markersize=6)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"{'xyz'[first]} (m)")
    axes.set_ylabel(f"{'xyz'[second]} (m)")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _mark_states(axes: Any, summary: OdometrySummary, points: NDArray[np.float64]) -> None:
    weak = np.array([frame.estimate.state is State.WEAK for frame in summary.posed], bool)
    if weak.any():
        axes.plot(*points[weak].T, ".", color=COLOURS[State.WEAK], label="weak")


def _draw_error(axes: Any, summary: OdometrySummary, error: TrajectoryError | None) -> None:
    origin = float(summary.frames[0].time)
    if error is not None:
        axes.plot(error.times - origin, error.positions * 1e3, color="#1f77b4")
        axes.set_ylabel("error of the position (mm)")
        axes.set_title(f"ATE {error.ate * 1e3:.1f} mm (root mean square)", fontsize="medium")
    else:
        deviations = [float(np.sqrt(np.trace(frame.estimate.covariance[:3, :3]))) * 1e3 for frame in summary.posed]
        axes.plot([float(frame.time) - origin for frame in summary.posed], deviations, color="#1f77b4")
        axes.set_ylabel("standard deviation (mm)")
    for state in (State.WEAK, State.LOST, State.INITIALISING):
        chosen = [float(frame.time) - origin for frame in summary.frames if frame.estimate.state is state]
        if chosen:
            axes.plot(chosen, np.zeros(len(chosen)), "|", color=COLOURS[state], markersize=14, label=state.value)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")
    axes.set_xlabel("time (as the input has it, from the first frame)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
