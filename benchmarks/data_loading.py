"""Whether the data loader keeps training busy: how long a step waits for its batch, for each method's kind of data.

    python benchmarks/data_loading.py --data ../shared/data

The training step is that of the project's small network (forward and backward, bf16, two threads) on every frame of the
batch: of all networks it leaves the loader least time. One loader process runs beside it on the same two cores, as the
trainer has it. The figures and the machine go to benchmarks/results/data_loading.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from training.data.augmentation import AugmentationSettings
from training.data.frame_batches import FrameBatches
from training.data.readers.shared_layout import read_shared_layout
from training.data.remembering import Memory, remembered
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sampling import TRAQPOINT_CURRICULUM, LabelledPairs, OverlapSequences
from training.data.shards import ShardBatches, write_shards
from training.frame_batch import FrameBatch
from training.networks.keypoint_network import KeypointNetwork
from training.processes import ProcessShare, make_loader

CHECKOUT = Path(__file__).resolve().parents[1]
#: Of shared/data, those with depth that may train a model that ships.
SEQUENCES = ("hololens", "icl_kt3", "tum_fr1_rpy")
WARM_UP = 3


def data_sets(data: Path, steps: int, scratch: Path) -> dict[str, Dataset[FrameBatch]]:
    """What each method loads."""
    real = [read_shared_layout(data / name) for name in SEQUENCES]
    memory = Memory(1500)
    worlds = RenderedWorlds(2, settings=RenderedSettings(320, 240, frames=24, rate=6.0))
    rendered = [remembered(world, memory) for world in worlds]
    pairs = OverlapSequences(real, 2, ((0.1, 0.8),))
    write_shards(pairs, "depth", 96, scratch, seed=0, items_per_shard=32)
    ripe = AugmentationSettings(320, 320, fit="pad")
    dad = AugmentationSettings(320, 320, zoom=0.7, turns=True, shift=32, appearance=None)
    traqpoint = AugmentationSettings(320, 320, zoom=0.8)
    five = OverlapSequences(real, 5, TRAQPOINT_CURRICULUM)
    return {
        "ripe: 6 pairs of images": FrameBatches(LabelledPairs(real), ripe, "images", 6, steps, 0),
        "dad: 8 pairs with depth": FrameBatches(pairs, dad, "depth", 8, steps, 0),
        "traqpoint: 2 times 5 frames with depth": FrameBatches(five, traqpoint, "depth", 2, steps, 0),
        "rendered: 4 pairs with depth": FrameBatches(
            OverlapSequences(rendered, 2, ((0.1, 0.8),)), traqpoint, "depth", 4, steps, 0
        ),
        "shards: 8 pairs with depth": ShardBatches(scratch, dad, 8, steps, 0),
    }


def measure(dataset: Dataset[FrameBatch], threads: int) -> dict[str, float]:
    """Milliseconds of a step and of its wait for data; the median of all steps after the first few, and the mean."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    network = KeypointNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters())
    loader = make_loader(ProcessShare(dataset, 0, len(dataset), 1), 1, False)
    waits, steps = [], []
    started = time.perf_counter()
    for batch in loader:
        arrived = time.perf_counter()
        images = batch.images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits, descriptors = network(images)
        loss = logits.float().square().mean() + descriptors.float().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ended = time.perf_counter()
        waits.append(arrived - started)
        steps.append(ended - started)
        started = ended
    waits, steps = waits[WARM_UP:], steps[WARM_UP:]
    return {
        "step_ms": 1000 * statistics.fmean(steps),
        "wait_ms": 1000 * statistics.fmean(waits),
        "wait_percent": 100 * sum(waits) / sum(steps),
        "longest_wait_ms": 1000 * max(waits),
        "frames_a_second": batch.images.shape[0] * batch.images.shape[1] * len(steps) / sum(steps),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="methods whose name begins so")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks" / "results" / "data_loading.json")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, dataset in data_sets(options.data, options.steps + WARM_UP, Path(scratch)).items():
            if not name.startswith(options.only):
                continue
            results[name] = measure(dataset, options.threads)
            print(
                f"{name:42}{results[name]['step_ms']:9.1f} ms a step, of which {results[name]['wait_ms']:6.2f} ms wait "
                f"({results[name]['wait_percent']:.1f} %), {results[name]['frames_a_second']:.1f} frames a second",
                flush=True,
            )
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "results": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
