"""Odometry on real sequences: its errors, how often it is lost, and what it costs, beside its peers on the same frames.

    python -m benchmarks.odometry --svo /tmp/svo/bin/python

Every detector goes through the same odometry: ours, ORB, SIFT and GFTT with our tracker, and GFTT with pyramidal
Lucas-Kanade ("klt"). Peers: cv2.Odometry (RGB-D), essential matrices from frame to frame and svo-cpp (mono).

ATE and RPE are evo's (RPE from frame to frame); with one camera the alignment finds the scale. Essential matrices tell
no lengths, so that their steps are all alike; "steps given" compares monocular methods with each step as long as
the true one. KITTI's errors are over segments of 10 to 50 m where the way is shorter than 200 m, else of 100 to 800.
"false good" are frames that odometry calls good while their motion since the last good frame is more than 5 cm or 2
degrees (or 2 % of the step, if that is more) from the truth's.

Each row is kept as soon as it is done, and not done again: --again NAME does.

One run is one draw: what it differs by from another may be chance. --repeats N runs each method N times more, with 80
to 120 per cent of the keypoints and without the first 0 to N - 1 frames, and adds mean and standard deviation of the
ATE, the false good frames of all these runs together, and the fewest good ones.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from evo.core import metrics, sync
from evo.core.geometry import GeometryException
from evo.core.trajectory import PoseTrajectory3D
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.odometry_peers import CornersByFlow, essential_matrices, opencv_odometry, svo
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.odometry import Mode, State, make_odometry
from kp_ros.offline.odometry import estimate_poses
from kp_ros.recordings.sensor_opening import open_sensors
from kp_ros.recordings.sensor_recording import SensorFrame
from kp_ros.tracking import load_tracker
from kp_ros.trajectories import read_tum

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("opencv-python-headless", "onnxruntime", "numpy", "evo", "gtsam", "poselib")
#: Sequences and the modes that they can be run in.
SEQUENCES = {
    "icl_kt3": (Mode.RGBD, Mode.MONO),
    "hololens": (Mode.RGBD,),
    "redkitchen": (Mode.RGBD,),
    "tum_fr1_rpy": (Mode.RGBD,),
    "kitti_06": (Mode.STEREO, Mode.MONO),
    "karlsruhe": (Mode.MONO,),
}
DETECTORS = ("kp_base", "orb", "sift", "gftt", "klt")
OPENCV = ("RGB_DEPTH", "RGB", "DEPTH")
WRONG_METRES, WRONG_DEGREES, WRONG_SHARE = 0.05, 2.0, 0.02
COLUMNS = {
    "posed": "frames",
    "good": "good",
    "lost": "lost",
    "segments": "segments",
    "false_good": "false good",
    "first": "first pose",
    "ate": "ATE m",
    "rpe_translation": "RPE m",
    "rpe_rotation": "RPE deg",
    "kitti_translation": "t %",
    "kitti_rotation": "r deg/m",
    "milliseconds": "ms",
}
#: Column of monocular rows.
GIVEN = {"ate_given_steps": "ATE m, steps given"}
#: Columns that --repeats adds.
REPEATED = {
    "repeats": "repeats",
    "ate_mean": "ATE mean",
    "ate_deviation": "+-",
    "false_good_all": "false good of all",
    "good_least": "least good %",
}
#: Keypoints of the repeats, as shares of those of the plain run.
KEYPOINT_SHARES = (0.8, 1.2)

Poses = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """What one method made of one sequence.

    :ivar poses: float64 [4, 4] a frame, camera to the first camera; None where there is none.
    :ivar good: the method trusts the pose; peers trust all.
    :ivar segments: of each frame.
    :ivar milliseconds: of the odometry alone, the median.
    """

    poses: list[Poses | None]
    good: list[bool]
    segments: list[int]
    milliseconds: float
    states: dict[str, int] = field(default_factory=dict)


def load(data: Path, name: str, mode: Mode) -> tuple[list[SensorFrame], Poses]:
    """The frames of a sequence and its true poses, float64 [F, 4, 4]."""
    frames = list(open_sensors(data / name, mode).frames())
    return frames, read_tum(data / name / "poses_tum.txt").poses


class Loaded:
    """Frames in memory, as a recording."""

    def __init__(self, path: Path, frames: list[SensorFrame]) -> None:
        self.path, self._frames = path, frames
        self.notices: list[str] = []

    @property
    def frame_count(self) -> int:
        """How many there are."""
        return len(self._frames)

    def frames(self) -> Any:
        """All of them."""
        return iter(self._frames)

    def close(self) -> None:
        """Nothing is open."""


def frontend_of(method: str, keypoints: int, threads: int) -> Any:
    """A detector with its tracker."""
    if method == "klt":
        return CornersByFlow(keypoints)
    return Frontend(load_detector(method, max_keypoints=keypoints, threads=threads), load_tracker(keypoints))


def ours(frames: list[SensorFrame], mode: Mode, method: str, keypoints: int, threads: int) -> Run:
    """Our odometry with a detector's tracks."""
    odometry = make_odometry(mode)
    try:
        summary = estimate_poses(Loaded(Path(method), frames), frontend_of(method, keypoints, threads), odometry)
    finally:
        odometry.close()
    estimates = [frame.estimate for frame in summary.frames]
    has = [estimate.state in (State.GOOD, State.WEAK) for estimate in estimates]
    return Run(
        [estimate.pose if posed else None for estimate, posed in zip(estimates, has, strict=True)],
        [estimate.state is State.GOOD for estimate in estimates],
        [estimate.segment for estimate in estimates],
        float(np.median([frame.seconds["odometry"] for frame in summary.frames])) * 1e3,
        {state.value: count for state, count in summary.states.items()},
    )


def peer(poses: list[Poses | None], milliseconds: list[float]) -> Run:
    """A peer's poses: it trusts all that it has."""
    posed = [pose is not None for pose in poses]
    cost = float(np.median(milliseconds)) if milliseconds else float("nan")
    return Run(poses, posed, [0] * len(poses), cost, {"good": sum(posed), "lost": len(poses) - sum(posed)})


def judge(run: Run, truth: Poses, scale: bool) -> tuple[dict[str, Any], Poses]:
    """The figures of a run, by evo; and its aligned poses, float64 [N, 4, 4].

    :param scale: the scale is free: each segment is aligned with its own.
    """
    posed = [index for index, pose in enumerate(run.poses) if pose is not None]
    row: dict[str, Any] = {
        "frames": len(run.poses),
        "posed": len(posed),
        "good": sum(run.good),
        "lost": run.states.get("lost", 0),
        "first": posed[0] if posed else None,
        "milliseconds": run.milliseconds,
    }
    row["segments"] = len({run.segments[index] for index in posed})
    if len(posed) < 3:
        return row, np.zeros((0, 4, 4))
    estimate = np.array([run.poses[index] for index in posed])
    aligned = estimate.copy()
    numbers = np.array([run.segments[index] for index in posed])
    for number in np.unique(numbers) if scale else [None]:
        part = np.ones(len(posed), bool) if number is None else numbers == number
        aligned[part] = _aligned(estimate[part], truth[posed][part], scale)
    true, found = (_path(poses, posed) for poses in (truth[posed], aligned))
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((true, found))
    row["ate"] = float(ape.get_statistic(metrics.StatisticsType.rmse))
    if scale and row["segments"] == 1:
        row["ate_given_steps"] = _ate_given_steps(estimate, truth[posed])
    for name, relation in (
        ("rpe_translation", metrics.PoseRelation.translation_part),
        ("rpe_rotation", metrics.PoseRelation.rotation_angle_deg),
    ):
        rpe = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
        rpe.process_data((true, found))
        row[name] = float(rpe.get_statistic(metrics.StatisticsType.rmse))
    row["false_good"] = _false_good(aligned, truth[posed], np.array(run.good)[posed], numbers)
    row |= _kitti_errors(aligned, truth[posed])
    return row, aligned


def _ate_given_steps(estimate: Poses, truth: Poses) -> float:
    """The ATE where each step is as long as the true one, metres: directions and turns alone, without scale.

    Essential matrices tell no lengths; this compares what they do tell.
    """
    steps = np.linalg.inv(estimate[:-1]) @ estimate[1:]
    lengths = np.linalg.norm(steps[:, :3, 3], axis=1)
    true = np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1)
    steps[:, :3, 3] *= (true / np.maximum(lengths, 1e-9))[:, None]
    chained = np.array(list(itertools.accumulate(steps, np.matmul, initial=np.eye(4))))
    error = _aligned(chained, truth, True)[:, :3, 3] - truth[:, :3, 3]
    return float(np.sqrt((error**2).sum(1).mean()))


def _path(poses: Poses, stamps: list[int]) -> PoseTrajectory3D:
    """evo's trajectory; it wants rotations that are exact to 1e-6, which a long chain is not."""
    exact = poses.copy()
    left, _, right = np.linalg.svd(poses[:, :3, :3])
    exact[:, :3, :3] = left @ right
    return PoseTrajectory3D(poses_se3=list(exact), timestamps=np.array(stamps, float))


def _aligned(estimate: Poses, truth: Poses, scale: bool) -> Poses:
    stamps = list(range(len(estimate)))
    true, found = sync.associate_trajectories(_path(truth, stamps), _path(estimate, stamps))
    try:
        found.align(true, correct_scale=scale)
    except GeometryException:  # a segment that stands still, or is a straight line
        return np.asarray(truth[0] @ np.linalg.inv(estimate[0]) @ estimate, np.float64)
    return np.array(found.poses_se3)


def _false_good(estimate: Poses, truth: Poses, good: NDArray[np.bool_], segments: NDArray[np.int_]) -> int:
    chosen = np.flatnonzero(good)
    count = 0
    for before, after in itertools.pairwise(chosen):
        if segments[before] != segments[after]:
            continue
        motion = np.linalg.inv(estimate[before]) @ estimate[after]
        true = np.linalg.inv(truth[before]) @ truth[after]
        error = np.linalg.inv(true) @ motion
        degrees = np.degrees(np.linalg.norm(cv2.Rodrigues(error[:3, :3])[0]))
        allowed = max(WRONG_METRES, WRONG_SHARE * float(np.linalg.norm(true[:3, 3])))
        count += bool(np.linalg.norm(error[:3, 3]) > allowed or degrees > WRONG_DEGREES)
    return count


def _kitti_errors(estimate: Poses, truth: Poses) -> dict[str, float]:
    """Translation (per cent) and rotation (degrees a metre), mean over all segments (Geiger et al. 2012)."""
    steps = np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1)
    distance = np.concatenate([[0], np.cumsum(steps)])
    lengths = np.arange(100, 801, 100) if distance[-1] >= 200 else np.arange(10, 51, 10)
    translations, rotations = [], []
    for length in lengths:
        for first in range(len(truth)):
            last = int(np.searchsorted(distance, distance[first] + length))
            if last >= len(truth):
                break
            true = np.linalg.inv(truth[first]) @ truth[last]
            error = np.linalg.inv(np.linalg.inv(estimate[first]) @ estimate[last]) @ true
            translations.append(np.linalg.norm(error[:3, 3]) / length * 100)
            rotations.append(np.degrees(np.linalg.norm(cv2.Rodrigues(error[:3, :3])[0])) / length)
    if not translations:
        return {}
    return {"kitti_translation": float(np.mean(translations)), "kitti_rotation": float(np.mean(rotations))}


def methods_of(mode: Mode, detectors: list[str], with_svo: bool, with_peers: bool) -> list[str]:
    """Names of all rows of a sequence."""
    names = list(detectors)
    if not with_peers:
        return names
    if mode is Mode.RGBD:
        names += [f"cv2 {kind}" for kind in OPENCV]
    if mode is Mode.MONO:
        names += [f"essential {detector}" for detector in detectors]
        names += ["svo-cpp"] if with_svo else []
    return names


def run_method(
    method: str,
    mode: Mode,
    frames: list[SensorFrame],
    keypoints: int,
    options: argparse.Namespace,
) -> Run:
    """One run of one method."""
    if method == "svo-cpp":
        return peer(*svo(frames, options.svo))
    if method.startswith("cv2 "):
        return peer(*opencv_odometry(frames, method.removeprefix("cv2 ")))
    if method.startswith("essential "):
        frontend = frontend_of(method.removeprefix("essential "), keypoints, options.threads)
        return peer(essential_matrices(frames, frontend), [])
    return ours(frames, mode, method, keypoints, options.threads)


def repeated(
    method: str, mode: Mode, frames: list[SensorFrame], truth: Poses, options: argparse.Namespace
) -> dict[str, Any]:
    """What a row's figures become by other numbers of keypoints and other first frames: values of ``REPEATED``."""
    errors: list[float] = []
    false_good, good = 0, 1.0
    for first, share in enumerate(np.linspace(*KEYPOINT_SHARES, options.repeats)):
        run = run_method(method, mode, frames[first:], round(share * options.keypoints), options)
        row, _ = judge(run, truth[first:], mode is Mode.MONO)
        errors.append(row.get("ate", float("nan")))
        false_good += row.get("false_good", 0)
        good = min(good, row["good"] / row["frames"])
    spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else float("nan")
    return {
        "repeats": options.repeats,
        "ates": errors,
        "ate_mean": float(np.mean(errors)),
        "ate_deviation": spread,
        "false_good_all": false_good,
        "good_least": round(100 * good),
    }


def picture(name: str, mode: Mode, ways: dict[str, Poses], truth: Poses, errors: dict[str, float], file: Path) -> None:
    """All methods' ways and the true one, along the two axes that it is longest in."""
    first, second = sorted(np.argsort(np.ptp(truth[:, :3, 3], axis=0))[1:].tolist())
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot(truth[:, first, 3], truth[:, second, 3], color="#444444", linestyle="--", linewidth=2.5, label="truth")
    for method, poses in ways.items():
        label = f"{method} ({errors[method] * 100:.1f} cm)"
        width = 2.0 if method == "kp_base" else 1.0
        axes.plot(poses[:, first, 3], poses[:, second, 3], linewidth=width, label=label)
    low, high = truth[:, [first, second], 3].min(0), truth[:, [first, second], 3].max(0)
    margin = 0.25 * (high - low).max()
    # A peer that ran away must not make a point of all others.
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{'xyz'[first]} (m)")
    axes.set_ylabel(f"{'xyz'[second]} (m)")
    axes.set_title(f"{name}, {mode.value}; in brackets the ATE")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=80)


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    """One table a sequence and mode."""
    parts = []
    for name, modes in SEQUENCES.items():
        for mode in modes:
            chosen = {key: row for key, row in rows.items() if key.startswith(f"{name}/{mode.value}/")}
            if not chosen:
                continue
            columns = COLUMNS | (GIVEN if mode is Mode.MONO else {})
            columns |= REPEATED if any("repeats" in row for row in chosen.values()) else {}
            lines = [f"## {name}, {mode.value}", ""]
            lines.append("| method | " + " | ".join(columns.values()) + " |")
            lines.append("|---|" + "---|" * len(columns))
            for key, row in chosen.items():
                values = [_text(column, row) for column in columns]
                lines.append(f"| {key.rpartition('/')[2]} | " + " | ".join(values) + " |")
            parts.append("\n".join([*lines, "", f"![ways](odometry_{name}_{mode.value}.png)"]))
    return "\n\n".join(parts)


def _text(column: str, row: dict[str, Any]) -> str:
    value = row.get(column)
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if column == "posed":
        return f"{value}/{row['frames']}"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if column == "milliseconds" else f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def main() -> None:
    """Run what is missing, write the table and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--sequences", nargs="+", choices=SEQUENCES, default=list(SEQUENCES))
    parser.add_argument(
        "--modes", nargs="+", choices=[mode.value for mode in Mode], default=[mode.value for mode in Mode]
    )
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--svo", type=Path, help="an interpreter of an environment that has svo-cpp")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=0, help="further runs of each row, for mean and spread")
    parser.add_argument("--again", nargs="*", default=[], help="rows to do again: part of SEQUENCE/MODE/METHOD")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/odometry")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    file = options.output.with_suffix(".json")
    report = json.loads(file.read_text()) if file.is_file() else {"rows": {}}
    commit = subprocess.run(["git", "-C", CHECKOUT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    report |= {
        "command": shlex.join(["python", "-m", "benchmarks.odometry", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "threads": options.threads,
        "keypoints": options.keypoints,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    cache = CHECKOUT / "build" / "odometry_benchmark"
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(name, mode) for name in options.sequences for mode in SEQUENCES[name] if mode.value in options.modes]
    for name, mode in tqdm(jobs, unit="sequence"):
        measure(name, mode, options, report, commit.stdout.strip(), cache, lambda: save(report, options.output))
    save(report, options.output)
    print(markdown(report["rows"]))


def measure(
    name: str,
    mode: Mode,
    options: argparse.Namespace,
    report: dict[str, Any],
    commit: str,
    cache: Path,
    keep: Callable[[], None],
) -> None:
    """All rows of a sequence that are not there yet, and its picture."""
    methods = methods_of(mode, options.detectors, options.svo is not None, options.peers)
    frames: list[SensorFrame] = []
    for method in methods:
        key = f"{name}/{mode.value}/{method}"
        way = cache / f"{key.replace('/', '_').replace(' ', '_')}.npy"
        done = key in report["rows"] and way.is_file() and not any(part in key for part in options.again)
        if done and report["rows"][key].get("repeats", 0) >= options.repeats:
            continue
        if not frames:
            frames, truth = load(options.data, name, mode)
        run = run_method(method, mode, frames, options.keypoints, options)
        row, aligned = judge(run, truth, mode is Mode.MONO)
        if options.repeats:
            row |= repeated(method, mode, frames, truth, options)
        np.save(way, aligned)
        report["rows"][key] = {**row, "states": run.states, "commit": commit}
        keep()
    if frames:
        keys = {method: f"{name}/{mode.value}/{method}" for method in methods}
        ways = {m: np.load(cache / f"{k.replace('/', '_').replace(' ', '_')}.npy") for m, k in keys.items()}
        shown = {method: way for method, way in ways.items() if len(way) and "essential" not in method}
        errors = {method: report["rows"][key].get("ate", float("nan")) for method, key in keys.items()}
        picture(name, mode, shown, truth, errors, options.output.parent / f"odometry_{name}_{mode.value}.png")


def save(report: dict[str, Any], output: Path) -> None:
    """Write the table as JSON and Markdown."""
    output.parent.mkdir(parents=True, exist_ok=True)
    order = {
        f"{name}/{mode.value}": index
        for index, (name, mode) in enumerate((name, mode) for name, modes in SEQUENCES.items() for mode in modes)
    }
    methods = [*DETECTORS, *(f"cv2 {kind}" for kind in OPENCV), *(f"essential {one}" for one in DETECTORS), "svo-cpp"]
    rank = {method: index for index, method in enumerate(methods)}
    report["rows"] = dict(
        sorted(
            report["rows"].items(),
            key=lambda item: (order.get(item[0].rpartition("/")[0], 99), rank.get(item[0].rpartition("/")[2], 99)),
        )
    )
    output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    facts = [f"- {name}: {value}" for name, value in report.items() if name != "rows"]
    text = "\n".join(["# Odometry on real sequences", "", *facts, "", markdown(report["rows"])])
    output.with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main()
