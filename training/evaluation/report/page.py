"""The results as one HTML file that needs nothing else: no script, style, font or picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from training.data.sequence import Sequence
from training.evaluation.evaluate import Evaluation
from training.evaluation.pair_sets import PairSet
from training.evaluation.recall import cumulative_curve
from training.evaluation.report.charts import Series, cumulative_chart, histogram_chart, trajectory_chart
from training.evaluation.report.columns import (
    NOTHING,
    Column,
    groups_shown,
    overview_columns,
    pair_set_columns,
    pair_set_subjects,
    sequence_columns,
    timing_column,
)
from training.evaluation.report.overlays import make_overlays
from training.evaluation.report.table import protocol_paragraphs
from training.evaluation.subjects import Kind
from training.evaluation.summary import POSE_AUC, summarise_pairs

#: Track lengths that share a bar: from, to (inclusive), frames.
LENGTH_BINS = ((2, 2), (3, 3), (4, 5), (6, 9), (10, 19), (20, 10**9))
#: Columns of the overview; the others are in the tables of the sequences.
OVERVIEW = ("Track length", "Verified length", "ATE", "RPE", "Time")
#: A measurement of time with more work than this waiting a processor says little.
BUSY = 0.75
#: Largest homography error that is drawn, pixels.
HOMOGRAPHY_LIMIT = 10.0


@dataclass(frozen=True)
class Chart:
    """A chart with its words.

    :ivar title: heading.
    :ivar text: one sentence below it.
    :ivar svg: the drawing.
    """

    title: str
    text: str
    svg: Markup


@dataclass(frozen=True)
class Fact:
    """A large number at the top.

    :ivar label: what it is.
    :ivar number: the best one.
    :ivar unit: of the number.
    :ivar who: whose it is.
    """

    label: str
    number: str
    unit: str
    who: str


def page(evaluation: Evaluation) -> str:
    """The whole page."""
    folder = Path(__file__).parent
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [subject.name for subject in evaluation.subjects]
    everything = overview_columns(evaluation) if evaluation.sequences else []
    gaps = evaluation.options.run.sequences.gaps
    content: dict[str, Any] = {
        "title": "Keypoint evaluation",
        "style": Markup((folder / "style.css").read_text()),
        "lead": _lead(evaluation),
        "facts": _facts(everything, evaluation),
        "warnings": _warnings(evaluation),
        "subjects": names,
        "colour": {name: index for index, name in enumerate(names)},
        "cell": _cell,
        "seeds": evaluation.options.run.sequences.seeds,
        "sequence_names": evaluation.sequence_names,
        "overview": [column for column in everything if _in_overview(column, gaps)],
        "pose_columns": [column for column in everything if column.label.startswith("AUC")],
        "pose_charts": [_pose_chart(evaluation, gap) for gap in gaps] if evaluation.sequences else [],
        "track_charts": _track_charts(evaluation) if evaluation.sequences else [],
        "trajectory_charts": [_trajectory_chart(evaluation, sequence) for sequence in evaluation.sequences],
        "pair_sets": [_pair_set(evaluation, pair_set) for pair_set in evaluation.pair_sets],
        "overlays": make_overlays(evaluation),
        "per_sequence": [
            {
                "title": sequence.name,
                "text": _about(evaluation, sequence),
                "columns": sequence_columns(evaluation, [sequence.name]),
            }
            for sequence in evaluation.sequences
        ],
        "terms": _terms(evaluation, everything),
        "protocol": protocol_paragraphs(evaluation),
        "hashes": [
            f"{item.name}: {item.model}, SHA-256 {item.file_hash}"
            for item in evaluation.subjects
            if item.learned and item.kind is Kind.DESCRIPTORS
        ],
    }
    return templates.get_template("page.html.j2").render(content)


def _cell(column: Column, subject: str) -> Markup:
    value = column.values.get(subject)
    if value is None:
        return Markup(NOTHING)
    text = escape(f"{value.mean:.{column.digits}f}")
    if value.spread is None:
        return text
    return text + Markup(" <small>± {}</small>").format(f"{value.spread:.{column.digits}f}")


def _lead(evaluation: Evaluation) -> str:
    frames = sum(len(sequence) for sequence in evaluation.sequences)
    pairs = sum(len(pair_set.pairs) for pair_set in evaluation.pair_sets)
    data = []
    if evaluation.sequences:
        plural = "s" if len(evaluation.sequences) > 1 else ""
        data.append(f"{len(evaluation.sequences)} real sequence{plural} with ground truth ({frames} frames)")
    if evaluation.pair_sets:
        data.append(f"{pairs} image pairs ({', '.join(pair_set.name for pair_set in evaluation.pair_sets)})")
    seeds = evaluation.options.run.sequences.seeds
    runs = f"every estimate {seeds} times" if seeds > 1 else "one run of every estimate"
    return f"{len(evaluation.subjects)} methods on {' and '.join(data)}; {runs}."


def _facts(columns: Sequences[Column], evaluation: Evaluation) -> list[Fact]:
    """The best number of each of the main columns."""
    shown = [column for column in columns if column.label in ("Track length", "Verified length", "ATE", "Time")]
    for pair_set in evaluation.pair_sets[:1]:
        shown += pair_set_columns(evaluation, pair_set)[1:2]
    facts = []
    for column in shown:
        best = [subject.name for subject in evaluation.subjects if subject.name in column.best]
        if best:
            number = f"{column.values[best[0]].mean:.{column.digits}f}"
            facts.append(Fact(column.label, number, column.unit, f"best: {', '.join(best)}"))
    return facts


def _warnings(evaluation: Evaluation) -> list[str]:
    warnings = [f"{note}." for note in evaluation.notes]
    busy = [timing.load for timing in evaluation.results.timings.values() if timing.load > BUSY]
    if busy:
        warnings.append(
            f"The machine was busy while time was measured (load {max(busy):.1f} a processor), so the times are too "
            "long; they still compare with each other."
        )
    return warnings


def _in_overview(column: Column, gaps: Sequences[int]) -> bool:
    gap = gaps[len(gaps) // 2]
    chosen = (f"AUC@10° gap {gap}", f"Repeatability gap {gap}", f"Matching score gap {gap}")
    return column.label in OVERVIEW or column.label in chosen


def _about(evaluation: Evaluation, sequence: Sequence) -> str:
    path = float(np.linalg.norm(np.diff(np.asarray(sequence.poses)[:, :3, 3], axis=0), axis=1).sum())
    depth = "depth" if sequence.has_depth and sequence.depth_registered else "no depth"
    return f"{len(sequence)} frames, {path:.1f} m, {depth}"


def _pose_chart(evaluation: Evaluation, gap: int) -> Chart:
    series = []
    for index, subject in enumerate(evaluation.subjects):
        errors = [
            error
            for name in evaluation.sequence_names
            for run in evaluation.results.sequences[subject.name, name].runs
            for error in run.pose_errors.get(gap, [])
        ]
        series.append(Series(index, subject.name, *cumulative_curve(errors)))
    first = evaluation.results.sequences[evaluation.subjects[0].name, evaluation.sequence_names[0]]
    pairs = sum(
        len(evaluation.results.sequences[evaluation.subjects[0].name, name].pairs.get(gap, []))
        for name in evaluation.sequence_names
    )
    frames = "1 frame" if gap == 1 else f"{gap} frames"
    text = f"{pairs} pairs, {len(first.runs)} runs each."
    return Chart(f"{frames} apart", text, Markup(cumulative_chart(series, POSE_AUC[-1], "degrees", POSE_AUC)))


def _track_charts(evaluation: Evaluation) -> list[Chart]:
    labels = [_bin_label(low, high) for low, high in LENGTH_BINS]
    charts = []
    kinds = (
        ("Track length", "lengths", "Share of the tracks of each length, all sequences."),
        ("Verified track length", "verified", "Only while depth and true poses confirm the point, within 3 px."),
    )
    for title, attribute, text in kinds:
        series = []
        for index, subject in enumerate(evaluation.subjects):
            counts = np.zeros(len(LENGTH_BINS))
            for name in evaluation.sequence_names:
                for run in evaluation.results.sequences[subject.name, name].runs:
                    counts += _binned(getattr(run, attribute))
            if counts.sum():
                series.append(Series(index, subject.name, np.zeros(0), 100 * counts / counts.sum()))
        if series:
            charts.append(Chart(title, text, Markup(histogram_chart(series, labels, "track length, frames"))))
    return charts


def _bin_label(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low}+" if high >= LENGTH_BINS[-1][1] else f"{low}\N{EN DASH}{high}"


def _binned(histogram: Sequences[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts = np.asarray(histogram, np.float64)
    # A verified length of 1 is a track that was wrong from the start: it belongs to the shortest ones.
    return np.array([counts[(1 if low == 2 else low) : high + 1].sum() for low, high in LENGTH_BINS])


def _trajectory_chart(evaluation: Evaluation, sequence: Sequence) -> Chart:
    results = [evaluation.results.sequences[subject.name, sequence.name] for subject in evaluation.subjects]
    truth = np.asarray(results[0].truth)
    series = [
        (index, subject.name, np.asarray(result.runs[0].positions))
        for index, (subject, result) in enumerate(zip(evaluation.subjects, results, strict=True))
    ]
    return Chart(sequence.name, _about(evaluation, sequence), Markup(trajectory_chart(truth, series)))


def _pair_set(evaluation: Evaluation, pair_set: PairSet) -> dict[str, Any]:
    protocol = pair_set.protocol
    rows = pair_set_subjects(evaluation, pair_set)
    names = [subject.name for subject in evaluation.subjects]
    series = []
    for name in rows:
        summary = summarise_pairs(pair_set, evaluation.results.pair_sets[name, pair_set.name])
        series.append(Series(names.index(name), name, *cumulative_curve(summary.errors)))
    unit = "pixels" if pair_set.has_homographies else "degrees"
    limit = HOMOGRAPHY_LIMIT if pair_set.has_homographies else protocol.auc_thresholds[-1]
    svg = cumulative_chart(series, limit, unit, protocol.auc_thresholds)
    what = "Mean error of the corners" if pair_set.has_homographies else "Error of the relative pose"
    thresholds = ", ".join(f"{threshold:g}" for threshold in protocol.thresholds)
    text = (
        f"{len(pair_set.pairs)} pairs; images at {protocol.resize}, {protocol.max_keypoints} keypoints, "
        f"{protocol.estimator} at {thresholds} px."
    )
    return {
        "title": f"Image pairs: {pair_set.name}",
        "text": text,
        "columns": pair_set_columns(evaluation, pair_set),
        "rows": rows,
        "groups": [
            {"title": group, "columns": pair_set_columns(evaluation, pair_set, group)}
            for group in groups_shown(pair_set)
        ],
        "charts": [Chart(what, "Share of the pairs below each error, all runs.", Markup(svg))],
    }


def _terms(evaluation: Evaluation, columns: Sequences[Column]) -> list[Column]:
    """Every column's meaning once; those of the gaps by their first."""
    terms: dict[str, Column] = {}
    for column in [*columns, *timing_column(evaluation)]:
        terms.setdefault(column.label.split(" gap ")[0].split("@")[0], column)
    for pair_set in evaluation.pair_sets:
        for column in pair_set_columns(evaluation, pair_set):
            terms.setdefault(column.label.split("@")[0], column)
    return [
        Column(label, column.unit, column.digits, column.higher, column.meaning, column.values)
        for label, column in terms.items()
    ]
