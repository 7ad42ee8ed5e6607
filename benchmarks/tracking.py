"""The tracker against pyramidal Lucas-Kanade on real sequences, by shared/eval/vo_metrics.py, and its time a frame.

    python -m benchmarks.tracking --data ../shared/data --metrics ../shared/eval/vo_metrics.py

Every sequence goes through the Frontend with its calibration; the tracks are what the node would publish. The times are
those of the tracker alone and of Lucas-Kanade as vo_metrics has it, frame by frame in turn, in this process;
`--threads` bounds them, and a busy machine makes them longer.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.metrics_table import CHECKOUT, Row, markdown, measure
from kp_ros.camera import Camera
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.tracking import load_tracker

SEQUENCES = ("kitti_06", "icl_kt3", "hololens", "tum_fr1_rpy", "redkitchen", "karlsruhe")
PACKAGES = ("opencv-python-headless", "onnxruntime", "numpy")
FRAME_NS = 33_333_333
COLUMNS = ("kp", "inl", "aktl", "vtl", "ate", "auc@5", "auc@15", "ms p50", "ms p95", "ms p99")


def percentiles(milliseconds: list[float]) -> dict[str, str]:
    """The columns of the times, the first frame left out: nothing is followed in it."""
    values = np.percentile(milliseconds[1:], (50, 95, 99))
    return {f"ms p{share}": f"{value:.2f}" for share, value in zip((50, 95, 99), values, strict=True)}


class LucasKanade:
    """GFTT corners followed by pyramidal Lucas-Kanade, checked forward and backward: the `klt` of vo_metrics.

    Without its check of the epipolar geometry, which belongs to the metric there.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.last: np.ndarray | None = None
        self.points = np.zeros((0, 1, 2), np.float32)

    def update(self, image: np.ndarray) -> None:
        """Follow the points into one more image and refill them."""
        mask = np.full(image.shape, 255, np.uint8)
        if self.last is not None and len(self.points):
            there, found, _ = cv2.calcOpticalFlowPyrLK(
                self.last, image, self.points, None, winSize=(21, 21), maxLevel=3
            )
            back, again, _ = cv2.calcOpticalFlowPyrLK(image, self.last, there, None, winSize=(21, 21), maxLevel=3)
            good = (found == 1) & (again == 1) & (np.linalg.norm(back - self.points, axis=2) < 1)
            self.points = there[good[:, 0]]
            for x, y in self.points[:, 0].astype(int).tolist():
                cv2.circle(mask, (x, y), 8, 0, -1)
        new = cv2.goodFeaturesToTrack(image, self.count, 0.01, 8, mask=mask)
        if new is not None:
            self.points = np.concatenate([self.points, new[: self.count - len(self.points)]])
        self.last = image


def camera_of(sequence: Path) -> Camera:
    """The calibration beside the images."""
    calibration = json.loads((sequence / "calib.json").read_text())
    matrix = np.array(
        [[calibration["fx"], 0, calibration["cx"]], [0, calibration["fy"], calibration["cy"]], [0, 0, 1.0]]
    )
    return Camera(calibration["width"], calibration["height"], matrix, np.array(calibration["dist"], float))


def track(sequence: Path, model: str | None, keypoints: int, threads: int, output: Path) -> dict[str, dict[str, str]]:
    """Write a sequence's tracks as `kp_ros extract --track` does.

    :returns: how long the tracker and Lucas-Kanade took.
    """
    frontend = Frontend(load_detector(model, max_keypoints=keypoints, threads=threads), load_tracker(keypoints))
    camera, files = camera_of(sequence), sorted((sequence / "images").iterdir())
    peer = LucasKanade(keypoints)
    frames, ours, theirs = [], [], []
    for k, path in enumerate(tqdm(files, desc=sequence.name, unit="frame", leave=False)):
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        result = frontend.process(image, (k + 1) * FRAME_NS, camera)
        frames.append(result.tracks)
        ours.append(result.seconds["track"] * 1e3)
        begun = time.perf_counter()
        peer.update(image)
        theirs.append((time.perf_counter() - begun) * 1e3)
    np.savez(
        output,
        names=np.array([path.name for path in files]),
        offsets=np.cumsum([0] + [len(tracks) for tracks in frames]).astype(np.int64),
        keypoints=np.concatenate([tracks.keypoints for tracks in frames]),
        scores=np.concatenate([tracks.scores for tracks in frames]),
        descriptors=np.concatenate([tracks.descriptors for tracks in frames]),
        track_id=np.concatenate([tracks.track_id for tracks in frames]).astype(np.int64),
    )
    return {"ours": percentiles(ours), "klt": percentiles(theirs)}


def tracks_of(folder: str, sequence: str, model: str) -> Path:
    """Where the tracks of a sequence go."""
    return Path(folder) / f"{sequence}_{Path(model).stem}.npz"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--metrics", type=Path, default=CHECKOUT / "../shared/eval/vo_metrics.py")
    parser.add_argument("--models", nargs="+", default=["kp_base"], help="kp_base, a path to an .onnx file, orb, sift")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--orders", type=int, default=1, help="of the points, whose figures are averaged (%(default)s)")
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/tracking")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    rows: list[Row] = []
    detectors = {}
    with tempfile.TemporaryDirectory() as folder:
        # All times first: what the metrics leave running or cached must not disturb them.
        times = {
            (name, model): track(
                arguments.data / name, model, arguments.keypoints, arguments.threads, tracks_of(folder, name, model)
            )
            for name in tqdm(arguments.sequences, unit="sequence")
            for model in arguments.models
        }
        load = os.getloadavg()[0]
        for name in tqdm(arguments.sequences, unit="sequence"):
            sequence = arguments.data / name
            (klt,) = measure(arguments.metrics, sequence, ["klt"], arguments.orders)
            rows.append({**klt, **times[name, arguments.models[0]]["klt"]})
            for model in arguments.models:
                tracks = f"{Path(model).stem}={tracks_of(folder, name, model)}"
                # The first row matches their points by descriptor, which is no figure of the tracker's.
                _, row = measure(arguments.metrics, sequence, [tracks], arguments.orders)
                rows.append({**row, **times[name, model]["ours"]})
    for model in arguments.models:
        detectors[model] = load_detector(model).info.sha256
    facts = {
        "command": shlex.join(["python", "-m", "benchmarks.tracking", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "load": load,
        "threads": arguments.threads,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "models": detectors,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")
    notes = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    arguments.output.with_suffix(".md").write_text(
        f"# Tracker against Lucas-Kanade\n\n{notes}\n\n{markdown(rows, COLUMNS)}\n"
    )
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
