"""Detectors against each other on real sequences, by shared/eval/vo_metrics.py: the table of models/kp_base.md.

    python benchmarks/detectors.py --data ../shared/data --metrics ../shared/eval/vo_metrics.py

Each detector's features come from `kp_ros extract`: what is measured is what a user gets. A row `+tracks` is the
tracker's own tracks on the detector's points (`kp_ros extract --track`).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

CHECKOUT = Path(__file__).resolve().parents[1]
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


def parse(line: str) -> dict[str, str]:
    """``sequence label key value key value ...`` as vo_metrics prints it."""
    sequence, label, *rest = line.split()
    return {"sequence": sequence, "method": label, **dict(zip(rest[::2], rest[1::2], strict=True))}


def measure(metrics: Path, sequence: Path, features: list[str]) -> list[dict[str, str]]:
    """One vo_metrics run over a sequence; a row a detector."""
    command = [sys.executable, str(metrics), "--seq", str(sequence), "--gaps", "5,15", *features]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [parse(line) for line in output.splitlines() if re.match(r"\S+ +\S+ +kp ", line)]


def markdown(rows: list[dict[str, str]]) -> str:
    """The rows as a table."""
    lines = ["| sequence | method | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
    for row in rows:
        values = " | ".join(row.get(column, "") for column in COLUMNS)
        lines.append(f"| {row['sequence']} | {row['method']} | {values} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--metrics", type=Path, default=CHECKOUT / "../shared/eval/vo_metrics.py")
    parser.add_argument("--models", nargs="+", default=["kp_base", "orb", "sift"])
    parser.add_argument("--tracked", nargs="*", default=["kp_base"], help="models whose tracks are measured too")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/detectors")
    arguments = parser.parse_args()
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(arguments.sequences, unit="sequence"):
            features = []
            for model in arguments.models:
                label = Path(model).stem
                features.append(f"{label}={folder}/{label}.npz")
                extract(arguments.data / name, model, arguments.keypoints, Path(folder) / f"{label}.npz", False)
            rows += measure(arguments.metrics, arguments.data / name, [*features, "klt"])
            for model in arguments.tracked:
                label = Path(model).stem
                extract(arguments.data / name, model, arguments.keypoints, Path(folder) / "tracked.npz", True)
                tracked = measure(arguments.metrics, arguments.data / name, [f"{label}={folder}/tracked.npz"])
                # The first row matches the tracker's points by descriptor: no figure of the detector's.
                rows += [row for row in tracked if row["method"].endswith("+tracks")]
    machine = {
        "command": shlex.join(["python", "benchmarks/detectors.py", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {platform.platform()}",
        "versions": {
            name: importlib.metadata.version(name) for name in ("opencv-python-headless", "onnxruntime", "numpy")
        },
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")
    arguments.output.with_suffix(".md").write_text(f"`{machine['command']}`\n\n{markdown(rows)}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
