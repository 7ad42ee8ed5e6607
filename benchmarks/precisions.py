"""What fp16 and int8 cost in repeatability and pose: a model, its fp16 graph and its int8 twin on real sequences.

    python -m benchmarks.precisions --images ../shared/data/photos

By shared/eval/vo_metrics.py, like benchmarks/detectors.py. The fp16 graph is the one that TensorRT is given; it and the
int8 one run on ONNX Runtime on the processor, which rounds where the files say so and adds in fp32: engines on a card
add in their own order.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shlex
import sys
import tempfile
from pathlib import Path

import onnx
from tqdm import tqdm

from benchmarks.detectors import PACKAGES, extract
from benchmarks.metrics_table import CHECKOUT, Row, markdown, measure
from kp_ros.detectors.half import to_half
from kp_ros.detectors.model_file import find_model, read_model
from training.data.photographs import list_photographs
from training.quantise import Likeness, compare, quantise, read_picture

SEQUENCES = ("kitti_06", "icl_kt3", "hololens")
COLUMNS = ("kp", "inl", "aktl", "vtl", "auc@5", "auc@15", "rep@5", "rep@15")
#: Images that calibrate and compare, evenly chosen.
IMAGES = 30


def write_twins(parent: Path, images: list[Path], folder: Path) -> dict[str, Likeness]:
    """A model's twins as files, ``NAME_fp16.onnx`` and ``NAME_int8.onnx``.

    :returns: how far each finds what its parent finds.
    """
    model = read_model(parent)
    half = onnx.load_model_from_string(to_half(model.content))
    half_file, int8_file = (folder / f"{model.name}_{kind}.onnx" for kind in ("fp16", "int8"))
    onnx.save(half, half_file)
    likeness = quantise(model, int8_file, images)
    pictures = [read_picture(path) for path in images[2::3]]
    return {"fp16": compare(model, read_model(half_file), pictures), "int8": likeness}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--metrics", type=Path, default=CHECKOUT / "../shared/eval/vo_metrics.py")
    parser.add_argument("--images", type=Path, default=CHECKOUT / "../shared/data/photos", help="calibrate int8")
    parser.add_argument("--model", default="kp_base")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--orders", type=int, default=1, help="of the points, whose figures are averaged (%(default)s)")
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/precisions")
    arguments = parser.parse_args()
    parent = find_model(arguments.model)
    files = list_photographs([arguments.images])
    images = files[:: max(1, len(files) // IMAGES)][:IMAGES]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        twins = write_twins(parent, images, Path(folder))
        models = [parent, *sorted(Path(folder).glob("*.onnx"))]
        for name in tqdm(arguments.sequences, unit="sequence"):
            features = []
            for model in models:
                file = Path(folder) / f"{model.stem}.npz"
                extract(arguments.data / name, str(model), arguments.keypoints, file, False)
                features.append(f"{model.stem}={file}")
            rows += measure(arguments.metrics, arguments.data / name, features, arguments.orders)
    facts = {
        "command": shlex.join(["python", "-m", "benchmarks.precisions", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {platform.platform()}",
        "model": {parent.stem: read_model(parent).sha256},
        "likeness": {kind: vars(likeness) for kind, likeness in twins.items()},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    lines = [
        f"- {kind}: {found.shared:.1%} of its parent's keypoints within 1 px on {found.images} photographs, cosine of "
        f"their descriptors {found.descriptor_cosine:.4f}"
        for kind, found in twins.items()
    ]
    table = markdown(rows, COLUMNS)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")
    arguments.output.with_suffix(".md").write_text("\n".join([f"`{facts['command']}`", "", *lines, "", table, ""]))
    print("\n".join([*lines, "", table]))


if __name__ == "__main__":
    main()
