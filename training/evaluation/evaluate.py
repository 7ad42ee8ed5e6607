"""The whole evaluation: find the data, judge, write table and page."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence as Sequences
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.data.sequence import Sequence
from training.evaluation.discovery import discover, with_estimator
from training.evaluation.pair_sets import PairSet
from training.evaluation.processes import Progress
from training.evaluation.running import Results, RunOptions, run
from training.evaluation.subjects import Subject, make_subjects
from training.evaluation.summary import of_subject, sequence_metrics, summarise_pairs
from training.evaluation.timing import processor_name

#: Packages whose version can change a number.
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "evo", "poselib")


@dataclass(frozen=True)
class EvaluationOptions:
    """What is judged, and how.

    :ivar models: see :func:`training.evaluation.subjects.make_subjects`.
    :ivar data: see :func:`training.evaluation.discovery.discover`; names and frames likewise.
    :ivar run: see :class:`training.evaluation.running.RunOptions`.
    :ivar max_keypoints: a frame of a sequence; pair sets have budgets of their own.
    :ivar tracks: a learned model's own tracks are a row too.
    :ivar pair_estimator: of the pair sets; None keeps their protocols' own.
    :ivar pair_threshold: likewise, pixels.
    """

    models: tuple[str, ...]
    data: tuple[Path, ...]
    run: RunOptions
    names: tuple[str, ...] = ()
    frames: int | None = None
    max_keypoints: int = 1024
    tracks: bool = True
    pair_estimator: str | None = None
    pair_threshold: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """All that table and page tell.

    :ivar options: how it was judged.
    :ivar subjects: rows.
    :ivar sequences: judged ones.
    :ivar pair_sets: likewise.
    :ivar notes: what was left out, and why.
    :ivar results: of all of them.
    :ivar environment: versions, processor, commit, time.
    """

    options: EvaluationOptions
    subjects: tuple[Subject, ...]
    sequences: tuple[Sequence, ...]
    pair_sets: tuple[PairSet, ...]
    notes: tuple[str, ...]
    results: Results
    environment: dict[str, str]

    @property
    def sequence_names(self) -> list[str]:
        """Names of the sequences."""
        return [sequence.name for sequence in self.sequences]


def evaluate(options: EvaluationOptions, progress: Progress) -> Evaluation:
    """Judge everything.

    :raises kp_ros.errors.UserError: a model or the data cannot be used.
    """
    subjects = make_subjects(options.models, options.max_keypoints, options.tracks)
    found = discover(options.data, options.names, options.frames)
    pair_sets = [with_estimator(item, options.pair_estimator, options.pair_threshold) for item in found.pair_sets]
    results = run(subjects, found.sequences, pair_sets, options.run, progress)
    sequences = tuple(content.sequence for content in results.contents)
    notes = (*found.notes, *results.notes)
    return Evaluation(options, tuple(subjects), sequences, tuple(results.sets), notes, results, environment())


def environment() -> dict[str, str]:
    """What else a number may depend on."""
    return {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "processor": processor_name(),
        "commit": commit(),
        **{package: version(package) for package in PACKAGES},
    }


def commit() -> str:
    """The checkout's commit, with ``+`` where files of it were changed; empty outside a checkout."""
    folder = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """All numbers, those of the tables and those behind them."""
    return {
        "environment": evaluation.environment,
        "protocol": {
            "sequences": asdict(evaluation.options.run.sequences),
            "max_keypoints": evaluation.options.max_keypoints,
            "pair_sets": {item.name: asdict(item.protocol) for item in evaluation.pair_sets},
        },
        "notes": list(evaluation.notes),
        "subjects": {
            subject.name: {"kind": subject.kind.value, "model": subject.model, "sha256": subject.file_hash}
            for subject in evaluation.subjects
        },
        "summary": {subject.name: _summary(evaluation, subject.name) for subject in evaluation.subjects},
        "sequences": _by_subject({key: value.to_json() for key, value in evaluation.results.sequences.items()}),
        "pair_sets": _by_subject({key: value.to_json() for key, value in evaluation.results.pair_sets.items()}),
    }


def _summary(evaluation: Evaluation, subject: str) -> dict[str, Any]:
    results = evaluation.results
    everything: dict[str, Any] = {}
    if evaluation.sequences:
        everything["mean"] = _metrics(evaluation, subject, evaluation.sequence_names)
        everything["sequences"] = {name: _metrics(evaluation, subject, [name]) for name in evaluation.sequence_names}
    everything["pair_sets"] = {
        item.name: asdict(summarise_pairs(item, results.pair_sets[subject, item.name]))
        for item in evaluation.pair_sets
        if (subject, item.name) in results.pair_sets
    }
    if subject in results.timings:
        everything["milliseconds"] = asdict(results.timings[subject])
    return everything


def _metrics(evaluation: Evaluation, subject: str, names: Sequences[str]) -> dict[str, Any]:
    chosen = of_subject(evaluation.results, subject, names)
    values = {metric.key: metric.value(chosen) for metric in sequence_metrics(evaluation.options.run.sequences.gaps)}
    return {key: asdict(value) for key, value in values.items() if value is not None}


def _by_subject(flat: dict[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (subject, data), value in flat.items():
        nested.setdefault(subject, {})[data] = value
    return nested


def write_json(evaluation: Evaluation, file: Path) -> None:
    """Write all numbers."""
    file.write_text(json.dumps(to_json(evaluation), indent=1, allow_nan=False))
