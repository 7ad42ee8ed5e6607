"""How long a frame takes: our models by backend and precision, ORB, SIFT, and Lucas-Kanade, all in one run.

    python -m benchmarks.speed              # everything; about three minutes; leave the machine alone meanwhile
    python -m benchmarks.speed --quick      # one setting, a few frames: does it work?
    python -m benchmarks.speed --gpu        # with TensorRT and ONNX Runtime on CUDA beside them
    python -m benchmarks.speed --report     # table and plot once more from the figures that are there

Real images; every frame goes through all competitors before the next one comes, and another one begins each time, so
that whatever slows the machine slows them all. Ours is timed from image to features: padding, filtering and copies too.
Settings that are done are not done again: after Ctrl-C the same command goes on; `--anew` begins anew, as does another
model, machine or version. Figures go to benchmarks/results/speed.json and .md, the plot of accuracy (from
benchmarks/results/detectors.json) against time to docs/speed.png.

The share of the peak is what our network's convolutions need, over the time of the whole call, over what a product of
two fp32 matrices reaches on the same threads in the same process.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from tqdm import tqdm

from benchmarks.metrics_table import CHECKOUT
from benchmarks.speed_competitors import Competitor, Frame, line_up, read_frames
from benchmarks.speed_report import draw, markdown
from kp_ros.detectors.model_file import find_model, read_model

#: Image sizes, and what they are shown: hand-held Kinects, and a car.
SIZES = {(640, 480): ("redkitchen", "tum_fr1_rpy"), (1241, 376): ("kitti_06", "karlsruhe")}
KEYPOINTS = (512, 1024, 2048)
THREADS = (1, 2)
FRAMES = 40
SHARES = (50, 95, 99)
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu13")
#: Side of the matrices of the peak's measurement.
SIDE = 1024
POWER, FREQUENCY = Path("/sys/class/powercap"), Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")


class Peak:
    """Products of two fp32 matrices, by the library that has the processor's fastest kernels for them."""

    def __init__(self, threads: int) -> None:
        value = onnx.helper.make_tensor_value_info
        weight = onnx.numpy_helper.from_array(np.ones((SIDE, SIDE), np.float32), "b")
        node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
        ends = [value(name, onnx.TensorProto.FLOAT, [SIDE, SIDE]) for name in "ac"]
        graph = onnx.helper.make_graph([node], "product", ends[:1], ends[1:], [weight])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        self._feed = {"a": np.ones((SIDE, SIDE), np.float32)}

    def measure(self, repetitions: int = 6) -> float:
        """The best of some products, in operations a second."""
        best = np.inf
        for _ in range(repetitions):
            begun = time.perf_counter()
            self._session.run(None, self._feed)
            best = min(best, time.perf_counter() - begun)
        return float(2 * SIDE**3 / best)


def energy_counters() -> list[Path]:
    """RAPL's counters of whole processors, in microjoules, where the machine lets us read them."""
    return [path for path in sorted(POWER.glob("intel-rapl:?/energy_uj")) if os.access(path, os.R_OK)]


def joules(counters: list[Path]) -> float:
    """What the processors have used so far."""
    return sum(int(path.read_text()) for path in counters) * 1e-6


def run_setting(competitors: list[Competitor], frames: list[Frame], seconds: float, threads: int) -> dict[str, Any]:
    """Time all competitors, frame by frame in turn.

    :returns: a row a competitor, the peak in operations a second, the clock in Hz where it is told, and the load.
    """
    counters, peak = energy_counters(), Peak(threads)
    samples: list[dict[str, list[float]]] = [{"ms": [], "cpu": [], "points": [], "joules": []} for _ in competitors]
    peaks, clocks, rounds = [peak.measure()], [], 0
    for competitor in competitors:
        for frame in frames[:3]:
            competitor.run(frame)
    end = time.monotonic() + seconds
    while time.monotonic() < end or rounds < 8:
        frame = frames[rounds % len(frames)]
        for turn in range(len(competitors)):
            place = (turn + rounds) % len(competitors)
            competitor, sample = competitors[place], samples[place]
            if rounds % competitor.every:
                continue
            used, cpu, begun = joules(counters), time.process_time(), time.perf_counter()
            points = competitor.run(frame)
            passed = time.perf_counter() - begun
            if not (competitor.follows and frame.begins):
                sample["ms"].append(passed * 1e3)
                sample["cpu"].append((time.process_time() - cpu) * 1e3)
                sample["points"].append(points)
                sample["joules"].append(joules(counters) - used)
        if FREQUENCY.exists():
            clocks.append(int(FREQUENCY.read_text()) * 1e3)
        rounds += 1
    peaks.append(peak.measure())
    rows = []
    for competitor, sample in zip(competitors, samples, strict=True):
        row = {key: getattr(competitor, key) for key in ("name", "backend", "precision", "model", "accuracy", "flops")}
        row["frames"] = len(sample["ms"])
        for share, value in zip(SHARES, np.percentile(sample["ms"], SHARES), strict=True):
            row[f"p{share}"] = round(float(value), 3)
        row["cpu"] = round(float(np.mean(sample["cpu"])), 3)
        row["points"] = round(float(np.mean(sample["points"])), 1)
        # A counter that ran over gives a negative difference now and then, which the median does not see.
        row["joules"] = round(float(np.median(sample["joules"])), 4) if counters else None
        rows.append(row)
    clock = float(np.mean(clocks)) if clocks else None
    return {"rows": rows, "peak": max(peaks), "clock": clock, "load": os.getloadavg()[0]}


def machine() -> dict[str, Any]:
    """What the figures are of."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    name = re.search(r"model name\s*: (.*)", text)
    flags = set(re.findall(r"\S+", (re.search(r"flags\s*: (.*)", text) or [""])[0]))
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": name[1] if name else platform.processor(),
        "cores": os.cpu_count(),
        "units": [flag for flag in known if flag in flags],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "energy": "RAPL" if energy_counters() else f"not told: no readable {POWER}/intel-rapl:*/energy_uj",
        "clocks": str(FREQUENCY) if FREQUENCY.exists() else f"not told: no {FREQUENCY}",
    }


def settings_of(quick: bool, threads: tuple[int, ...]) -> list[tuple[tuple[int, int], int, int]]:
    """Image size, keypoints and threads of each setting."""
    if quick:
        return [((640, 480), 1024, threads[-1])]
    return [(size, keypoints, count) for size in SIZES for keypoints in KEYPOINTS for count in threads]


def name_of(size: tuple[int, int], keypoints: int, threads: int) -> str:
    """A setting in words."""
    return f"{size[0]}x{size[1]}, {keypoints} keypoints, {threads} thread{'s' if threads > 1 else ''}"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT / "../shared/data")
    parser.add_argument("--models", nargs="+", default=shipped(), help="shipped models' names, paths to .onnx files")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each setting (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one setting, a few frames")
    parser.add_argument("--gpu", action="store_true", help="with TensorRT and ONNX Runtime on CUDA")
    parser.add_argument("--most", type=int, default=99, help="settings to do now; the same command does the next ones")
    parser.add_argument("--anew", action="store_true", help="forget the settings that are done")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--accuracy", type=Path, default=CHECKOUT / "benchmarks/results/detectors.json")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks/results/speed")
    parser.add_argument("--plot", type=Path, default=CHECKOUT / "docs/speed.png")
    chosen = parser.parse_args(arguments)
    figures = chosen.output.with_suffix(".json")
    models = [read_model(find_model(model)) for model in chosen.models]
    facts = machine() | {"models": {model.name: model.sha256 for model in models}}
    command = shlex.join(["python", "-m", "benchmarks.speed", *(sys.argv[1:] if arguments is None else arguments)])
    known = json.loads(figures.read_text()) if figures.exists() else {}
    if chosen.report:
        result = known
    else:
        goes_on = not chosen.anew and known.get("facts") == facts
        result = {"command": command, "facts": facts, "settings": known["settings"] if goes_on else {}, "absent": []}
        measure(result, figures, models, chosen)
    text = markdown(result)
    chosen.output.with_suffix(".md").write_text(text)
    print(text)
    accuracy = json.loads(chosen.accuracy.read_text()) if chosen.accuracy.exists() else {"rows": []}
    for line in draw(result, accuracy, chosen.plot):
        print(line)


def measure(result: dict[str, Any], figures: Path, models: list[Any], chosen: argparse.Namespace) -> None:
    """Do the settings that are not done, and keep each."""
    # Twice as many threads as there are processors measure the scheduler.
    threads = tuple(count for count in THREADS if count <= (os.cpu_count() or 1))
    figures.parent.mkdir(parents=True, exist_ok=True)
    images: dict[tuple[int, int], list[Frame]] = {}
    waiting = [
        (key, setting)
        for setting in settings_of(chosen.quick, threads)
        if (key := name_of(*setting)) not in result["settings"]
    ]
    for key, (size, keypoints, count) in tqdm(waiting[: chosen.most], unit="setting"):
        if size not in images:
            images = {size: read_frames(chosen.data, SIZES[size], size, 4 if chosen.quick else FRAMES)}
        cv2.setNumThreads(count)
        competitors, absent = line_up(models, size, keypoints, count, chosen.gpu)
        try:
            measured = run_setting(competitors, images[size], 0.0 if chosen.quick else chosen.seconds, count)
        finally:
            for competitor in competitors:
                competitor.close()
        measured |= {"width": size[0], "height": size[1], "keypoints": keypoints, "threads": count}
        result["settings"][key], result["absent"] = measured, absent
        partial = figures.with_suffix(".partial.json")
        partial.write_text(json.dumps(result, indent=1) + "\n")
        partial.replace(figures)


def shipped() -> list[str]:
    """The default model, and its int8 twin where it is shipped."""
    models = CHECKOUT / "models"
    return ["kp_base", *(path.stem for path in sorted(models.glob("kp_base_int8.onnx")))]


if __name__ == "__main__":
    main()
