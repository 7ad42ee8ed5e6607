"""What the tables share: train variants as the command line does, export them, judge them on frames they never saw.

Every variant is a run of `python -m training train` in a folder of its own. Starting a table's command again goes on
where it was: finished runs, exported models and judgements are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kp_ros.recordings.output import OutputFile
from training.checkpoint import load_checkpoint
from training.configuration import commit, load_config
from training.data.guard import RUN_FILE, Fingerprints, TrainedOnError, load_fingerprints, refuse_training_frames
from training.data.readers.opening import open_sequences
from training.data.sequence import Sequence as Frames
from training.evaluation.evaluate import EvaluationOptions, evaluate, to_json
from training.evaluation.repeatability import repeated_keypoints
from training.evaluation.reprojection import DepthReprojection
from training.evaluation.running import RunOptions
from training.evaluation.sequence_judgement import SequenceOptions
from training.frame_batch import FrameBatch
from training.kept import Kind, kept_folder
from training.methods.contrast import keypoints_of
from training.methods.method import Method, MethodConfig
from training.methods.registry import find_method
from training.methods.running import make_dataset, make_objective
from training.methods.training_data import held_out, open_training_data
from training.runs import CONFIG
from training.trainer import CHECKPOINT

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "benchmarks" / "results"
#: Row of the network that all runs started from.
START = "start"


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    :ivar name: of the row; folders and models are called by it.
    :ivar method: name in the registry.
    :ivar overrides: ``key=value`` over the method's small configuration.
    """

    name: str
    method: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A finished run.

    :ivar variant: what was trained.
    :ivar seed: of its weights and random choices.
    :ivar checkpoint: its last.
    """

    variant: Variant
    seed: int
    checkpoint: Path

    @property
    def name(self) -> str:
        """Of its folder and its model."""
        return f"{self.variant.name}_{self.seed}"


@dataclass(frozen=True)
class Judged:
    """Finished runs beside the network that all of them started from, judged alike.

    :ivar start: its checkpoint.
    :ivar runs: in the order of the variants, seed after seed.
    :ivar figures: ``start`` or a run's name -> sequence -> figure -> value.
    """

    start: Path
    runs: tuple[Trained, ...]
    figures: dict[str, dict[str, dict[str, float]]]

    @property
    def checkpoints(self) -> dict[str, Path]:
        """``start``, and every run by its name."""
        return {START: self.start} | {run.name: run.checkpoint for run in self.runs}

    @property
    def sequences(self) -> list[str]:
        """What judged them."""
        return list(self.figures[START])

    @property
    def rows(self) -> dict[str, list[str]]:
        """A table's rows: the start, and the runs of each variant."""
        found = {START: [START]}
        for run in self.runs:
            found.setdefault(run.variant.name, []).append(run.name)
        return found

    def table(self, figures: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
        """Of each row, each figure's mean over the sequences, with its spread over the seeds."""
        return {
            row: {key: mean_over([self.figures[name] for name in names], self.sequences, key) for key in figures}
            for row, names in self.rows.items()
        }


def arguments_of(description: str | None, **defaults: Any) -> argparse.Namespace:
    """The command line that all tables have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs; what is in it is used again")
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--start", type=Path, default=defaults.get("start"), help="last.pt of the pre-training")
    parser.add_argument("--steps", type=int, default=defaults.get("steps", 3000))
    parser.add_argument("--seeds", type=int, default=defaults.get("seeds", 1))
    parser.add_argument("--jobs", type=int, default=1, help="runs that train at a time")
    parser.add_argument("--only", default="", help="rows to train, comma-separated; nothing named: all")
    parser.add_argument("--judge", default="kitti_06,icl_kt3,hololens", help="sequences that judge")
    parser.add_argument("--estimates", type=int, default=3, help="runs of every pose estimate")
    parser.add_argument("--processes", type=int, default=2, help="that judge at a time")
    parser.add_argument("overrides", nargs="*", help="key=value for all runs")
    return parser.parse_args()


def start_of(arguments: argparse.Namespace) -> Path:
    """The checkpoint that all runs go on from.

    :raises SystemExit: the command line names none.
    """
    if arguments.start is None:
        raise SystemExit("this table's runs go on from a pre-training: name it, --start runs/base/last.pt")
    start: Path = arguments.start
    return start


def train_all(
    variants: Sequence[Variant], seeds: Sequence[int], arguments: argparse.Namespace, common: Sequence[str] = ()
) -> list[Trained]:
    """Train every variant with every seed, or go on with what is there; ``--jobs`` of them at a time.

    :param common: overrides of all variants, before their own and before those of the command line.
    """
    wanted = [(variant, seed) for seed in seeds for variant in variants]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        return list(pool.map(lambda pair: _train(pair[0], pair[1], arguments, common), wanted))


def _train(variant: Variant, seed: int, arguments: argparse.Namespace, common: Sequence[str]) -> Trained:
    folder = arguments.output / f"{variant.name}_{seed}"
    trained = Trained(variant, seed, folder / CHECKPOINT)
    if trained.checkpoint.exists() and load_checkpoint(trained.checkpoint).step >= arguments.steps:
        return trained
    overrides = [*common, *variant.overrides, f"steps={arguments.steps}", f"seed={seed}", *arguments.overrides]
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{trained.name}: python -m training train {variant.method} {shlex.join(overrides)}", flush=True)
    with (folder / "output.log").open("a") as log:
        command = [sys.executable, "-m", "training", "train", variant.method, "--output", str(folder), *overrides]
        finished = subprocess.run(command, cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT)
    if finished.returncode or load_checkpoint(trained.checkpoint).step < arguments.steps:
        raise SystemExit(f"{trained.name} did not finish; see {log.name}, and start the same command again")
    return trained


def export(checkpoint: Path, model: Path, images: Path) -> Path:
    """Export a run, unless its model is there already and newer."""
    if model.exists() and model.stat().st_mtime > checkpoint.stat().st_mtime:
        return model
    model.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "training", "export", str(checkpoint), str(model), "--data", "experiment"]
    subprocess.run([*command, "--images", str(images)], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    return model


def judge(models: dict[str, Path], arguments: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Judge exported models by what `python -m training evaluate` does: on frames that trained none of them.

    :returns: model -> sequence -> figure -> value; the figures' names are those of results.json.
    """
    judging = SequenceOptions(gaps=(1, 5, 15), seeds=arguments.estimates)
    names = tuple(name for name in arguments.judge.split(",") if name)
    options = EvaluationOptions(
        models=tuple(str(model) for model in models.values()),
        data=(arguments.data,),
        run=RunOptions(judging, kept_folder(Kind.EVALUATED), arguments.processes, timed_frames=0),
        names=names,
        tracks=False,
    )
    everything = to_json(evaluate(options, lambda stage, done, total: None))
    for note in everything["notes"]:
        print(f"note: {note}")
    return {
        name: {
            sequence: {key: round(value["mean"], 4) for key, value in figures.items()}
            for sequence, figures in everything["summary"][model.stem]["sequences"].items()
        }
        for name, model in models.items()
    }


def judge_with_start(runs: Sequence[Trained], arguments: argparse.Namespace) -> Judged:
    """Export runs and their start, and judge them on the same frames."""
    found = Judged(start_of(arguments), tuple(runs), {})
    folder, images = arguments.output / "models", arguments.data / "photos"
    models = {name: export(file, folder / f"{name}.onnx", images) for name, file in found.checkpoints.items()}
    return replace(found, figures=judge(models, arguments))


@dataclass(frozen=True)
class HeldOut:
    """A method's measure: its settings, and batches of frames that its runs did not train on.

    :ivar method: of the registry.
    :ivar config: of the objective; a run's, on held-out data.
    :ivar batches: the same for every network that is measured.
    """

    method: Method[Any]
    config: MethodConfig
    batches: tuple[FrameBatch, ...]

    def figures(self, checkpoint: Path) -> dict[str, float]:
        """What the objective reports of a checkpoint's network, no step taken: means over the batches."""
        objective = make_objective(self.method, replace(self.config, start=checkpoint)).eval()
        torch.manual_seed(0)
        found: dict[str, list[float]] = {}
        with torch.no_grad():
            for number, batch in enumerate(self.batches):
                for name, value in objective(batch, number)[1].items():
                    found.setdefault(name, []).append(float(value))
        return {name: round(float(np.nanmean(values)), 5) for name, values in found.items()}


def hold_out(method: str, run: Path, batches: int = 16) -> HeldOut:
    """A method's measure on frames that it did not train on.

    :param run: folder of a run of the method, whose configuration is the measure.
    """
    chosen = find_method(method)
    config = load_config(chosen.config, run / CONFIG, [])
    config = replace(config, data=held_out(config.data), steps=batches, seed=1)
    dataset = make_dataset(chosen, config, open_training_data(config.data))
    return HeldOut(chosen, config, tuple(dataset[number] for number in range(batches)))


def held_out_figures(method: str, run: Path, checkpoints: Sequence[Path], batches: int = 16) -> list[dict[str, float]]:
    """What an objective reports on frames that it did not train on: its own reward, with no step taken.

    :param run: folder of a run of the method, whose configuration is the measure.
    :param checkpoints: whose networks are measured: that run's, others', or the one that it started from.
    :returns: means over the batches, one a checkpoint; the same batches and the same state of the draws for all.
    """
    measure = hold_out(method, run, batches)
    return [measure.figures(checkpoint) for checkpoint in checkpoints]


def unseen_sequences(paths: Sequence[Path], checkpoints: Sequence[Path], split: float = 0.8) -> list[Frames]:
    """Sequences to judge by: whole, or their last part where the first has trained one of the runs.

    :raises TrainedOnError: even that part has.
    """
    found = []
    runs = [checkpoint.parent / RUN_FILE for checkpoint in checkpoints]
    prints = [load_fingerprints(file) for file in runs if file.is_file()]
    trained = reduce(Fingerprints.joined, prints)
    for sequence in (sequence for path in paths for sequence in open_sequences(path)):
        for part in (sequence, sequence.split(split)[1]):
            try:
                refuse_training_frames("these runs", trained, [part])
            except TrainedOnError:
                if part is sequence:
                    continue
                raise
            found.append(part)
            break
    return found


def repeatability_by_budget(
    model: str, sequences: Sequence[Frames], budgets: Sequence[int], gaps: Sequence[int] = (1, 5, 15), stride: int = 5
) -> dict[str, float]:
    """Share of keypoints found again within 3 px, percent, for several budgets: the best so many of each frame.

    :param model: a run's checkpoint, or what :func:`kp_ros.detectors.load_detector` takes.
    :param sequences: with registered depth.
    :returns: ``BUDGET@GAP`` -> mean over the pairs of all sequences.
    """
    detect = keypoints_of(model, max(budgets))
    shares: dict[str, list[float]] = {}
    for sequence in sequences:
        geometry = DepthReprojection(sequence)
        pairs = [(first, first + gap) for gap in gaps for first in range(0, len(sequence) - gap, stride)]
        found = {index: detect(sequence.grey(index)) for index in sorted({index for pair in pairs for index in pair})}
        for first, second in pairs:
            for budget in budgets:
                places, visible = geometry.project(geometry.lift(first, found[first][:budget]), second)
                share = repeated_keypoints(places, visible, found[second][:budget]).percent
                if share is not None:
                    shares.setdefault(f"{budget}@{second - first}", []).append(share)
    return {name: round(float(np.mean(values)), 2) for name, values in shares.items()}


def kept(file: Path, checkpoint: Path, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was computed of a checkpoint before, unless the checkpoint is newer."""
    if not file.exists() or file.stat().st_mtime < checkpoint.stat().st_mtime:
        values = compute()
        file.parent.mkdir(parents=True, exist_ok=True)
        with OutputFile(file) as temporary:
            temporary.write_text(json.dumps(values))
    found: dict[str, float] = json.loads(file.read_text())
    return found


def over_seeds(values: Sequence[float | None]) -> dict[str, float]:
    """Mean, and where there are several, their standard deviation."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return {}
    mean = {"mean": round(float(np.mean(known)), 4)}
    return mean | ({"spread": round(float(np.std(known, ddof=1)), 4)} if len(known) > 1 else {})


def mean_over(judged: Sequence[dict[str, dict[str, float]]], sequences: Sequence[str], key: str) -> dict[str, float]:
    """A figure's mean over sequences, then mean and spread over runs.

    :param judged: one a run, sequence -> figure -> value.
    """
    per_run = []
    for run in judged:
        values = [run[name][key] for name in sequences if key in run.get(name, {})]
        per_run.append(float(np.mean(values)) if values else None)
    return over_seeds(per_run)


def table(rows: dict[str, dict[str, dict[str, float]]], columns: Sequence[str]) -> str:
    """Markdown: a row a name, mean and spread of each column."""
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name, values in rows.items():
        cells = []
        for column in columns:
            value = values.get(column, {})
            spread = f" ± {value['spread']:.2f}" if "spread" in value else ""
            cells.append(f"{value['mean']:.2f}{spread}" if value else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(name: str, result: dict[str, Any], arguments: argparse.Namespace, text: str) -> None:
    """Write benchmarks/results/NAME.json and .md, and print the table."""
    told = {
        "command": shlex.join(["python", "-m", *_module(), *sys.argv[1:]]),
        "commit": commit(),
        "steps": arguments.steps,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "written": time.strftime("%Y-%m-%d"),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told | result, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(f"`{told['command']}`\n\n{text}\n")
    print(text)


def _module() -> list[str]:
    """How the running module is started."""
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    return [specification.name] if specification else [sys.argv[0]]


def data_overrides(data: Path, worlds: int = 12) -> tuple[str, ...]:
    """The free data that every method trains on alike: first 80 % of two sequences, photographs, worlds."""
    return (
        f"data.sequences=[{data / 'hololens'},{data / 'tum_fr1_rpy'}]",
        f"data.photographs=[{data / 'photos'}]",
        f"data.worlds={worlds}",
    )
