"""Detectors against each other on real sequences, by shared/eval/vo_metrics.py: the table of models/kp_base.md.

    python -m benchmarks.detectors --data ../shared/data --metrics ../shared/eval/vo_metrics.py

Each detector's features come from `kp_ros extract`: what is measured is what a user gets. A row `+tracks` is the
tracker's own tracks on the detector's points (`kp_ros extract --track`). Every row of a model of ours carries the hash
of the file that it judges.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from benchmarks.metrics_table import CHECKOUT, Row, markdown, measure
from kp_ros.detectors import load_detector

SEQUENCES = ("kitti_06", "icl_kt3", "hololens", "karlsruhe", "tum_fr1_rpy", "redkitchen")
PACKAGES = ("opencv-python-headless", "onnxruntime", "numpy")
COLUMNS = ("kp", "inl", "aktl", "vtl", "ate", "auc@5", "auc@15", "rep@5", "rep@15")


def extract(images: Path, model: str, keypoints: int, output: Path, track: bool) -> None:
    """Run `kp_ros extract`; its message is shown where it fails."""
    command = [sys.executable, "-m", "kp_ros", "extract", str(images), "--output", str(output), "--model", model]
    command += ["--max-keypoints", str(keypoints)] + (["--track"] if track else [])
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}\n{run.stderr}")


def joined(old: list[Row], new: list[Row]) -> list[Row]:
    """The new rows in place of the old ones of the same sequence and method, behind the others of their sequence."""
    measured = {(row["sequence"], row["method"]) for row in new}
    rows = [row for row in old if (row["sequence"], row["method"]) not in measured] + new
    sequences = list(dict.fromkeys(row["sequence"] for row in [*old, *new]))
    return sorted(rows, key=lambda row: sequences.index(row["sequence"]))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--metrics", type=Path, default=CHECKOUT / "../shared/eval/vo_metrics.py")
    parser.add_argument("--models", nargs="+", default=["kp_base", "orb", "sift"])
    parser.add_argument("--tracked", nargs="*", default=["kp_base"], help="models whose tracks are measured too")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--orders", type=int, default=1, help="of the points, whose figures are averaged (%(default)s)")
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/detectors")
    parser.add_argument("--keep", action="store_true", help="the output's rows of other sequences and models")
    arguments = parser.parse_args()
    hashes = {Path(model).stem: load_detector(model).info.sha256 for model in arguments.models}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(arguments.sequences, unit="sequence"):
            features = []
            for model in arguments.models:
                label = Path(model).stem
                features.append(f"{label}={folder}/{label}.npz")
                extract(arguments.data / name, model, arguments.keypoints, Path(folder) / f"{label}.npz", False)
            rows += measure(arguments.metrics, arguments.data / name, [*features, "klt"], arguments.orders)
            for model in arguments.tracked:
                label = Path(model).stem
                extract(arguments.data / name, model, arguments.keypoints, Path(folder) / "tracked.npz", True)
                tracks = [f"{label}={folder}/tracked.npz"]
                found = measure(arguments.metrics, arguments.data / name, tracks, arguments.orders)
                # The first row matches the tracker's points by descriptor: no figure of the detector's.
                rows += [row for row in found if row["method"].endswith("+tracks")]
    for row in rows:
        row |= {"model": hashes.get(row["method"].removesuffix("+tracks"), "")}
    figures = arguments.output.with_suffix(".json")
    command = shlex.join(["python", "-m", "benchmarks.detectors", *sys.argv[1:]])
    if arguments.keep and figures.exists():
        old = json.loads(figures.read_text())
        rows, command = joined(old["rows"], rows), f"{old['command']} && {command}"
    machine = {
        "command": command,
        "machine": f"{platform.machine()}, {platform.platform()}",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")
    arguments.output.with_suffix(".md").write_text(f"`{machine['command']}`\n\n{markdown(rows, COLUMNS)}\n")
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
