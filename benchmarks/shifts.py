"""Do keypoints move with the image? A window of an image, and the same one some pixels further on.

    python -m benchmarks.shifts kp_base kp_ripe orb sift gftt

Nothing changes between the two but where the pixels lie in the window, so a point that is not found again was chosen by
that. A detector that answers for cells of 8 x 8 pixels can do so without any metric of tracking seeing it: between two
frames of a slow camera, a point that stays where it is in the image agrees with the epipolar geometry to a pixel.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.metrics_table import CHECKOUT
from kp_ros.detectors import load_detector
from kp_ros.detectors.base import Detector
from kp_ros.features import Float32
from kp_ros.recordings.sensor_folder import read_grey

SEQUENCES = ("kitti_06", "icl_kt3", "hololens")
#: x and y, pixels; a cell of 8 x 8 looks the same after the last one.
SHIFTS = ((1, 0), (2, 2), (4, 0), (3, 5), (8, 8))
#: Pixels at the window's edge where points come and go.
MARGIN = 16
#: What counts as found again, pixels.
NEAR = (1.0, 3.0)


def found_again(detector: Detector, image: NDArray[np.uint8], shift: tuple[int, int]) -> Float32:
    """Distance from each point of the first window to the nearest one of the second; float32 [N], pixels."""
    height, width = (side - 32 for side in image.shape)
    x, y = shift
    here = detector(np.ascontiguousarray(image[:height, :width])).keypoints
    there = detector(np.ascontiguousarray(image[y : y + height, x : x + width])).keypoints + np.float32(shift)
    inner = (here >= MARGIN).all(1) & (here <= np.float32([width - MARGIN, height - MARGIN])).all(1)
    return np.asarray(np.linalg.norm(here[inner, None] - there[None], axis=2).min(1), np.float32)


def judge(detector: Detector, images: list[NDArray[np.uint8]]) -> dict[str, dict[str, float]]:
    """Share of the points that are found again, by shift and distance."""
    figures = {}
    for shift in SHIFTS:
        distances = np.concatenate([found_again(detector, image, shift) for image in images])
        figures["{} {}".format(*shift)] = {f"within {near:g}": float((distances < near).mean()) for near in NEAR}
    return figures


def markdown(results: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """A row a sequence and detector, a column a shift: percent within 1 px / within 3 px."""
    heads = [f"by {x}, {y}" for x, y in SHIFTS]
    lines = ["| sequence | detector | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for sequence, of_detectors in results.items():
        for name, figures in of_detectors.items():
            cells = [" / ".join(f"{100 * share:.0f}" for share in shares.values()) for shares in figures.values()]
            lines.append(f"| {sequence} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", help="names of models, .onnx files, orb, sift, gftt")
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES))
    parser.add_argument("--every", type=int, default=20, help="so many frames one is taken (%(default)s)")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/shifts")
    arguments = parser.parse_args()
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for sequence in arguments.sequences:
        files = sorted((arguments.data / sequence / "images").glob("*"))[:: arguments.every]
        images = [read_grey(file) for file in files]
        if not images:
            raise SystemExit(f"no images in {arguments.data / sequence / 'images'}; name the folder with --data")
        results[sequence] = {
            Path(name).stem: judge(load_detector(name, max_keypoints=arguments.keypoints), images)
            for name in tqdm(arguments.detectors, desc=sequence, unit="detector")
        }
    command = shlex.join(["python", "-m", "benchmarks.shifts", *sys.argv[1:]])
    table = markdown(results)
    arguments.output.with_suffix(".json").write_text(json.dumps({"command": command, "figures": results}, indent=1))
    arguments.output.with_suffix(".md").write_text(
        f"# Points that move with the image\n\n`{command}`\n\nPercent found again within 1 px / 3 px.\n\n{table}\n"
    )
    print(table)


if __name__ == "__main__":
    main()
