"""Odometry over a recording: a trajectory, and how far it can be trusted."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kp_ros.frontend import Frontend
from kp_ros.interruption import Interruption
from kp_ros.odometry.base import Estimate, Odometry, OdometryFrame, State
from kp_ros.recordings.output import OutputFile, explained
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_recording import SensorFrame, SensorRecording
from kp_ros.trajectories import StampedPoses, TrajectoryError, quaternion_of, trajectory_error, tum_line

#: Wraps the frames of a recording, for example in a progress bar.
SensorWatch = Callable[[Iterator[SensorFrame]], Iterator[SensorFrame]]
#: States that have a pose worth writing.
POSED = (State.GOOD, State.WEAK)


@dataclass(frozen=True)
class FrameEstimate:
    """What odometry said of one frame.

    :ivar time: of the frame, as the input has it.
    :ivar seconds: wall time a stage: ``detect``, ``track``, ``odometry``.
    """

    time: str
    estimate: Estimate
    seconds: dict[str, float]


@dataclass(frozen=True)
class OdometrySummary:
    """What came of a recording.

    :ivar frames: one of each image, in order.
    :ivar seconds: wall time of all of it.
    :ivar interrupted: Ctrl-C came before the recording's end.
    :ivar notices: what the user should know of the recording.
    """

    frames: list[FrameEstimate]
    seconds: float
    interrupted: bool = False
    notices: list[str] = field(default_factory=list)

    @property
    def states(self) -> Counter[State]:
        """How many frames were in each state."""
        return Counter(frame.estimate.state for frame in self.frames)

    @property
    def posed(self) -> list[FrameEstimate]:
        """The frames that have a pose: good and weak ones."""
        return [frame for frame in self.frames if frame.estimate.state in POSED]

    @property
    def segments(self) -> int:
        """How many segments the poses are in."""
        return len({frame.estimate.segment for frame in self.posed})

    def error(self, truth: StampedPoses, scale: bool) -> TrajectoryError | None:
        """Compare the frames that have a pose with the truth; None where too few have a true pose.

        :param scale: the trajectory's scale is unknown, as it is with one camera.
        """
        posed = self.posed
        if not posed:
            return None
        estimate = StampedPoses(
            np.array([float(frame.time) for frame in posed]), np.array([frame.estimate.pose for frame in posed])
        )
        return trajectory_error(estimate, truth, [frame.estimate.segment for frame in posed], scale)


def estimate_poses(
    recording: SensorRecording,
    frontend: Frontend,
    odometry: Odometry,
    watch: SensorWatch = lambda frames: frames,
) -> OdometrySummary:
    """Carry odometry through a recording, as the live node does through what it hears.

    :param watch: wraps the frames, e.g. in a progress bar.
    :raises RecordingError: the recording holds no frame that can be used.
    """
    started = time.perf_counter()
    frames: list[FrameEstimate] = []
    with Interruption() as interruption:
        for frame in watch(recording.frames()):
            frames.append(process(frame, frontend, odometry))
            if interruption.requested:
                break
    if not frames:
        raise RecordingError(f"no frame of {recording.path} can be used; {'; '.join(recording.notices)}")
    return OdometrySummary(frames, time.perf_counter() - started, interruption.requested, list(recording.notices))


def process(frame: SensorFrame, frontend: Frontend, odometry: Odometry) -> FrameEstimate:
    """One frame through detector, tracker and odometry."""
    result = frontend.process(frame.image, frame.stamp_ns, frame.camera)
    begun = time.perf_counter()
    estimate = odometry.process(
        OdometryFrame(
            stamp_ns=frame.stamp_ns,
            image=frame.image,
            camera=frame.camera,
            tracks=result.tracks,
            right=frame.right,
            baseline=frame.baseline,
            depth=frame.depth,
        )
    )
    return FrameEstimate(frame.time, estimate, {**result.seconds, "odometry": time.perf_counter() - begun})


def write_trajectory(path: Path, frames: list[FrameEstimate]) -> None:
    """Write the poses of good and weak frames as a TUM trajectory: camera to the first camera.

    :raises OutputError: the file cannot be written.
    """
    lines = [tum_line(frame.time, frame.estimate.pose) for frame in frames if frame.estimate.state in POSED]
    with OutputFile(path) as temporary, explained(path):
        temporary.write_text("".join(f"{line}\n" for line in lines))


def write_states(path: Path, frames: list[FrameEstimate]) -> None:
    """Write the state of every frame, and what decided it, as CSV or JSON by the file's suffix.

    :raises OutputError: the file cannot be written.
    """
    rows = [state_row(frame) for frame in frames]
    with OutputFile(path) as temporary, explained(path):
        if path.suffix.lower() == ".json":
            temporary.write_text(json.dumps(rows, indent=1) + "\n")
            return
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def state_row(frame: FrameEstimate) -> dict[str, Any]:
    """One frame as a flat record: state, pose, its standard deviations (metres, radians), health, milliseconds."""
    estimate, health = frame.estimate, frame.estimate.health
    deviations = np.sqrt(np.diag(estimate.covariance))
    row: dict[str, Any] = {
        "time": frame.time,
        "state": estimate.state.value,
        "segment": estimate.segment,
        "keyframe": int(estimate.keyframe),
        "inliers": health.inliers,
        "inlier_ratio": round(health.inlier_ratio, 4),
        "survival": round(health.survival, 4),
        "coverage": round(health.coverage, 4),
        "parallax": round(health.parallax, 6),
        "reason": health.reason,
    }
    pose = [*estimate.pose[:3, 3].tolist(), *quaternion_of(estimate.pose[:3, :3])]
    row |= {name: round(value, 9) for name, value in zip(("tx", "ty", "tz", "qx", "qy", "qz", "qw"), pose, strict=True)}
    row |= {
        f"deviation_{name}": float(f"{value:.6g}")
        for name, value in zip(("x", "y", "z", "rx", "ry", "rz"), deviations, strict=True)
    }
    return row | {f"{stage}_ms": round(seconds * 1e3, 3) for stage, seconds in frame.seconds.items()}
