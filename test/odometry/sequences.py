"""Sequences with truth for the tests of odometry: real ones, and tracks that are computed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.detectors import Detector
from kp_ros.features import Tracks
from kp_ros.frontend import Frontend
from kp_ros.odometry import Estimate, Mode, OdometryFrame, OdometryOptions, State, make_odometry
from kp_ros.odometry.rigid_motion import change_between
from kp_ros.tracking import load_tracker

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Recording:
    """Images of a camera with what goes with each, and where each was taken."""

    camera: Camera
    images: list[Image]
    extras: list[dict[str, Any]]
    truth: list[NDArray[np.float64]]

    def changed(self, change: Callable[[int, Image], Image]) -> Recording:
        return replace(self, images=[change(number, image) for number, image in enumerate(self.images)])


def read(folder: Path, frames: slice, mode: Mode) -> Recording:
    """A slice of a sequence in the layout of shared/data."""
    values = json.loads((folder / "calib.json").read_text())
    matrix = np.array([[values["fx"], 0, values["cx"]], [0, values["fy"], values["cy"]], [0, 0, 1.0]])
    distortion = np.array(values["dist"], float)
    camera = Camera(values["width"], values["height"], matrix, distortion if distortion.any() else np.zeros(0))
    extras: list[dict[str, Any]] = []
    files = sorted((folder / "images").iterdir())[frames]
    for file in files:
        extra: dict[str, Any] = {}
        if mode is Mode.RGBD:
            depth = cv2.imread(str(folder / "depth" / f"{file.stem}.png"), cv2.IMREAD_UNCHANGED)
            extra = {"depth": depth.astype(np.float32) * np.float32(values["depth_scale"])}
        elif mode is Mode.STEREO:
            right = next((folder / "images_right").glob(f"{file.stem}.*"))
            extra = {"right": cv2.imread(str(right), cv2.IMREAD_GRAYSCALE), "baseline": values["baseline"]}
        extras.append(extra)
    poses = [pose_of_line(line) for line in np.loadtxt(folder / "poses_tum.txt")[frames]]
    return Recording(camera, [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files], extras, poses)


def pose_of_line(line: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z, w = line[4:8] / np.linalg.norm(line[4:8])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = line[1:4]
    return pose


def track(sequence: Recording, detector: Detector, rate: float) -> list[OdometryFrame]:
    """What odometry gets of a sequence, by the real frontend."""
    frontend, frames = Frontend(detector, load_tracker(max_tracks=600)), []
    for number, (image, extra) in enumerate(zip(sequence.images, sequence.extras, strict=True)):
        stamp_ns = round((number + 1) * 1e9 / rate)
        tracks = frontend.process(image, stamp_ns, sequence.camera).tracks
        frames.append(OdometryFrame(stamp_ns, image, sequence.camera, tracks, **extra))
    return frames


def estimate(frames: Sequence[OdometryFrame], mode: Mode, **options: Any) -> list[Estimate]:
    odometry = make_odometry(mode, OdometryOptions(**options))
    try:
        return [odometry.process(frame) for frame in frames]
    finally:
        odometry.close()


def has_pose(result: Estimate) -> bool:
    return result.state in (State.GOOD, State.WEAK)


def trajectory_error(results: Sequence[Estimate], truth: Sequence[NDArray[np.float64]], scaled: bool) -> float:
    """Root mean square of the positions' errors after alignment (Umeyama), metres; frames without a pose left out."""
    kept = [number for number, result in enumerate(results) if has_pose(result)]
    mine = np.array([results[number].pose[:3, 3] for number in kept])
    true = np.array([truth[number][:3, 3] for number in kept])
    a, b = mine - mine.mean(0), true - true.mean(0)
    left, values, right = np.linalg.svd(a.T @ b)
    signs = np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))])
    scale = (values * np.diag(signs)).sum() / (a**2).sum() if scaled else 1.0
    return float(np.sqrt(((scale * a @ (right.T @ signs @ left.T).T - b) ** 2).sum(1).mean()))


def steps_wrong(
    results: Sequence[Estimate], truth: Sequence[NDArray[np.float64]], metres: float, degrees: float
) -> list[int]:
    """Frames that say to be good and whose motion since the last one, good as well, is farther off than that."""
    wrong = []
    for number in range(1, len(results)):
        before, now = results[number - 1], results[number]
        if not before.state is now.state is State.GOOD or before.segment != now.segment:
            continue
        mine = np.linalg.inv(before.pose) @ now.pose
        error = np.linalg.inv(mine) @ np.linalg.inv(truth[number - 1]) @ truth[number]
        turn = np.degrees(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)))
        if np.linalg.norm(error[:3, 3]) > metres or turn > degrees:
            wrong.append(number)
    return wrong


@dataclass(frozen=True)
class Drive:
    """Tracks of points around a road, seen by a camera that drives along it, with noise; no images."""

    camera: Camera
    frames: list[OdometryFrame]
    truth: list[NDArray[np.float64]]


def drive(
    poses: Sequence[NDArray[np.float64]],
    noise: float = 0.25,
    depth_noise: float | None = None,
    count: int = 400,
    seed: int = 0,
    moving: Callable[[int], NDArray[np.float64]] | None = None,
    readout: float = 0.0,
) -> Drive:
    """Track points of a street.

    :param poses: of the camera, camera to world.
    :param noise: standard deviation of a keypoint, pixels.
    :param depth_noise: with a depth image, relative; None: without.
    :param count: points that are tracked at a time.
    :param moving: where a box of further points, in front of all else and as many again, is in each frame: offset.
    :param readout: time from the first row to the last, as a share of that from image to image.
    """
    random = np.random.default_rng(seed)
    width, height, focal = 640, 480, 400.0
    camera = Camera(width, height, np.array([[focal, 0, 319.5], [0, focal, 239.5], [0, 0, 1]]), np.zeros(0))
    total = 12000
    kind = random.integers(0, 3, total)
    side = np.where(kind == 1, -7.0, 7.0) + random.normal(0, 0.7, total)
    x = np.where(kind == 0, random.uniform(-7, 7, total), side)
    y = np.where(kind == 0, 1.6, random.uniform(-5, 1.5, total))
    still = np.stack([x, y, random.uniform(-10, 80, total)], axis=1)
    box = random.uniform([-2, -1.5, 3.5], [2, 1.5, 4.5], (count, 3)) if moving else np.zeros((0, 3))
    ids = np.full(total + len(box), -1)
    age = np.zeros(len(ids), int)
    frames, next_id = [], 0
    for number, pose in enumerate(poses):
        world = np.concatenate([still, box + (moving(number) if moving else 0)])
        local = (world - pose[:3, 3]) @ pose[:3, :3]
        if readout:
            local = rolled(local, poses, number, readout, focal, height)
        depth = np.where(local[:, 2] > 2, local[:, 2], np.nan)
        pixels = local[:, :2] / depth[:, None] * focal + [319.5, 239.5] + random.normal(0, noise, (len(world), 2))
        visible = (np.abs(pixels - [319.5, 239.5]) < [314, 234]).all(1) & (depth < 80)
        ended = (ids >= 0) & (~visible | (random.random(len(ids)) < 0.03))
        ids[ended], age[ended] = -1, 0
        new = np.flatnonzero(visible[:total] & (ids[:total] < 0))
        new = random.permutation(new)[: max(count - int((ids[:total] >= 0).sum()), 0)]
        new = np.concatenate([new, total + np.flatnonzero(visible[total:] & (ids[total:] < 0))])
        ids[new] = next_id + np.arange(len(new))
        next_id += len(new)
        live = np.flatnonzero(ids >= 0)
        live = live[np.argsort(ids[live])]
        age[live] += 1
        tracks = Tracks(
            ids[live].astype(np.uint32),
            age[live].astype(np.uint32),
            pixels[live].astype(np.float32),
            np.zeros((len(live), 2), np.float32),
            np.full(len(live), 0.5, np.float32),
            np.zeros((len(live), 0), np.float32),
        )
        image = np.zeros((height, width), np.uint8)
        extra: dict[str, Any] = {}
        if depth_noise is not None:
            # A patch of each point's own depth around it: points here hide nothing from each other.
            extra["depth"] = np.zeros((height, width), np.float32)
            for row in live[np.argsort(-depth[live])]:
                u, v = np.rint(pixels[row]).astype(int)
                extra["depth"][v - 2 : v + 3, u - 2 : u + 3] = depth[row] * (1 + random.normal(0, depth_noise))
        frames.append(OdometryFrame(round((number + 1) * 1e9 / 30), image, camera, tracks, **extra))
    return Drive(camera, frames, list(poses))


def rolled(
    local: NDArray[np.float64],
    poses: Sequence[NDArray[np.float64]],
    number: int,
    readout: float,
    focal: float,
    height: int,
) -> NDArray[np.float64]:
    """Where points are for the camera when it reads their rows; ``local`` is where they are for its middle row."""
    before, after = poses[max(number - 1, 0)], poses[min(number + 1, len(poses) - 1)]
    speed = change_between(poses[number], after) / 2 - change_between(poses[number], before) / 2
    seen = local
    for _ in range(3):
        delay = readout * (focal * seen[:, 1] / np.maximum(seen[:, 2], 0.1) / height).clip(-0.5, 0.5)
        turn = -speed[3:] * delay[:, None]
        shifted = local - speed[:3] * delay[:, None]
        angle = np.linalg.norm(turn, axis=1, keepdims=True)
        axis = turn / np.maximum(angle, 1e-12)
        along = (axis * shifted).sum(1, keepdims=True)
        # Rodrigues' formula, a turn of its own for each point.
        seen = shifted * np.cos(angle) + np.cross(axis, shifted) * np.sin(angle) + axis * along * (1 - np.cos(angle))
    return np.asarray(seen)


def forward(frames: int, step: float = 0.25, turn: float = 0.0) -> list[NDArray[np.float64]]:
    """Poses of a camera that drives forward, metres a frame, and turns to the right, radians a frame."""
    poses = [np.eye(4)]
    motion = np.eye(4)
    motion[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    motion[2, 3] = step
    for _ in range(frames - 1):
        poses.append(poses[-1] @ motion)
    return poses
