"""What odometry is compared with: OpenCV's dense RGB-D odometry, essential matrices, SVO, and GFTT with Lucas-Kanade.

Each gives poses in the order of the frames, camera to the first camera, None where it has none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Features, Tracks
from kp_ros.frontend import FrameResult, Frontend
from kp_ros.recordings.sensor_recording import SensorFrame

Pose = NDArray[np.float64]


class CornersByFlow:
    """GFTT corners followed by pyramidal Lucas-Kanade, checked forward and backward: the usual frontend of odometry.

    It stands in for :class:`kp_ros.frontend.Frontend`; as in shared/eval/vo_metrics.py.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._last: NDArray[np.uint8] | None = None
        self._points = np.zeros((0, 1, 2), np.float32)
        self._ids = np.zeros(0, np.uint32)
        self._ages = np.zeros(0, np.uint32)
        self._next = 0

    def process(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None = None) -> FrameResult:
        """As :meth:`kp_ros.frontend.Frontend.process`."""
        begun = time.perf_counter()
        mask = np.full(image.shape, 255, np.uint8)
        if self._last is not None and len(self._points):
            window = {"winSize": (21, 21), "maxLevel": 3}
            there, found, _ = cv2.calcOpticalFlowPyrLK(self._last, image, self._points, None, **window)
            back, again, _ = cv2.calcOpticalFlowPyrLK(image, self._last, there, None, **window)
            good = ((found == 1) & (again == 1))[:, 0] & (np.linalg.norm(back - self._points, axis=2)[:, 0] < 1)
            inside = ((there[:, 0] >= 0) & (there[:, 0] < np.array(image.shape[::-1]))).all(1)
            good &= inside
            self._points, self._ids, self._ages = there[good], self._ids[good], self._ages[good] + 1
            for x, y in self._points[:, 0].astype(int).tolist():
                cv2.circle(mask, (x, y), 8, 0, -1)
        tracked = time.perf_counter()
        room = self._count - len(self._points)
        new = cv2.goodFeaturesToTrack(image, self._count, 0.01, 8, mask=mask) if room else None
        if new is not None:
            new = new[:room]
            self._points = np.concatenate([self._points, new])
            self._ids = np.concatenate([self._ids, np.arange(self._next, self._next + len(new), dtype=np.uint32)])
            self._ages = np.concatenate([self._ages, np.ones(len(new), np.uint32)])
            self._next += len(new)
        self._last = image
        points, none = self._points[:, 0].copy(), np.zeros((len(self._points), 0), np.float32)
        scores = np.ones(len(points), np.float32)
        tracks = Tracks(self._ids.copy(), self._ages.copy(), points, np.zeros_like(points), scores, none)
        seconds = {"detect": time.perf_counter() - tracked, "track": tracked - begun}
        return FrameResult(stamp_ns, Features(points, scores, none), tracks, seconds)


def opencv_odometry(frames: list[SensorFrame], kind: str) -> tuple[list[Pose | None], list[float]]:
    """cv2.Odometry, frame to frame, default settings.

    :param kind: ``RGB_DEPTH``, ``RGB`` or ``DEPTH``.
    :returns: poses, and milliseconds a frame. A motion that was not found is taken for none, and its frame has no pose.
    """
    settings = cv2.OdometrySettings()
    settings.setCameraMatrix(frames[0].camera.matrix.astype(np.float32))
    odometry = cv2.Odometry(getattr(cv2, f"OdometryType_{kind}"), settings, cv2.OdometryAlgoType_COMMON)
    poses: list[Pose | None] = [np.eye(4)]
    pose, milliseconds = np.eye(4), [0.0]
    prepared = None
    for frame in frames:
        assert frame.depth is not None
        depth = np.where(np.isfinite(frame.depth) & (frame.depth > 0), frame.depth, np.nan).astype(np.float32)
        begun = time.perf_counter()
        current = cv2.OdometryFrame(depth, cv2.cvtColor(frame.image, cv2.COLOR_GRAY2BGR))
        if prepared is not None:
            odometry.prepareFrames(prepared, current)
            found, motion = odometry.compute(prepared, current)
            motion = np.asarray(motion, np.float64)
            found = bool(found) and motion.shape == (4, 4) and bool(np.isfinite(motion).all())
            if found:
                pose = pose @ np.linalg.inv(motion)
            poses.append(pose.copy() if found else None)
            milliseconds.append((time.perf_counter() - begun) * 1e3)
        prepared = current
    return poses, milliseconds


def essential_matrices(frames: list[SensorFrame], frontend: Frontend) -> list[Pose | None]:
    """Frame to frame by five points (OpenCV, RANSAC at 1 pixel); no step has a length, so that all are one long."""
    poses: list[Pose | None] = [np.eye(4)]
    last: Tracks | None = None
    for frame in frames:
        tracks = frontend.process(frame.image, frame.stamp_ns, frame.camera).tracks
        if last is not None:
            motion = _motion(last, tracks, frame.camera)
            before = poses[-1]
            assert before is not None
            moved = np.eye(4)
            if motion is not None:
                moved[:3, :3], moved[:3, 3] = motion
            poses.append(before @ np.linalg.inv(moved))
        last = tracks
    return poses


def _motion(last: Tracks, tracks: Tracks, camera: Camera) -> tuple[Pose, Pose] | None:
    """Rotation and direction from one frame's camera to the next one's."""
    _, before, after = np.intersect1d(last.track_id, tracks.track_id, return_indices=True)
    if len(before) < 8:
        return None
    rays = [
        camera.rays(one.keypoints[index])[:, :2].astype(np.float64) for one, index in ((last, before), (tracks, after))
    ]
    threshold = 1.0 / camera.matrix[0, 0]
    essential, mask = cv2.findEssentialMat(*rays, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=threshold)
    if essential is None or essential.shape != (3, 3):
        return None
    _, rotation, direction, _ = cv2.recoverPose(essential, *rays, np.eye(3), mask=mask)
    return rotation, direction[:, 0]


#: Run by the interpreter of another environment: svo-cpp brings an OpenCV of its own. Reads a folder of images.
SVO = """
import json, sys, time
import cv2, svo_cpp
from pathlib import Path
folder, calibration = Path(sys.argv[1]), json.loads(sys.argv[2])
camera = svo_cpp.PinholeCamera(*calibration)
svo = svo_cpp.SVO(camera)
svo.start()
for index, file in enumerate(sorted(folder.iterdir())):
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    begun = time.perf_counter()
    svo.addImage(image, index / 30.0)
    milliseconds = (time.perf_counter() - begun) * 1e3
    stage = str(svo.stage()).rpartition(".")[2]
    place = None
    if stage == "DEFAULT_FRAME":
        place = svo.lastFrame().T_f_w.inverse().translation().ravel().tolist()
    print("RESULT " + json.dumps([stage, place, milliseconds]), flush=True)
"""


def svo(frames: list[SensorFrame], python: Path) -> tuple[list[Pose | None], list[float]]:
    """svo-cpp: semi-direct, one camera. Its rotations cannot be read from Python: the poses have positions only.

    :param python: an interpreter that has svo-cpp: ``python -m venv svo && svo/bin/pip install svo-cpp``.
    """
    camera = frames[0].camera
    # Its images must be a multiple of 16 pixels wide and high; it knows no distortion.
    width, height = camera.width // 16 * 16, camera.height // 16 * 16
    with tempfile.TemporaryDirectory() as folder:
        for index, frame in enumerate(frames):
            image = frame.image
            if camera.distortion.any():
                image = np.asarray(cv2.undistort(image, camera.matrix, camera.distortion), np.uint8)
            cv2.imwrite(f"{folder}/{index:06d}.png", image[:height, :width])
        k = camera.matrix
        calibration = [float(width), float(height), k[0, 0], k[1, 1], k[0, 2], k[1, 2]]
        run = subprocess.run(
            [str(python), "-c", SVO, folder, json.dumps(calibration)], capture_output=True, text=True, check=False
        )
    rows = [json.loads(line[7:]) for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    if len(rows) < len(frames):
        print(f"svo-cpp ended after {len(rows)} of {len(frames)} frames (status {run.returncode})", file=sys.stderr)
    rows += [["ENDED", None, 0.0]] * (len(frames) - len(rows))
    poses: list[Pose | None] = []
    for _, place, _ in rows:
        pose = None
        if place is not None:
            pose = np.eye(4)
            pose[:3, 3] = place
        poses.append(pose)
    return poses, [row[2] for row in rows]
