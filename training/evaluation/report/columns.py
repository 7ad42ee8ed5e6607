"""The tables' columns, the same in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

from training.evaluation.evaluate import Evaluation
from training.evaluation.pair_sets import PairSet
from training.evaluation.protocols.homography_sets import UNGROUPED
from training.evaluation.summary import Value, of_subject, sequence_metrics, summarise_pairs

#: What stands where there is no number.
NOTHING = "\N{EN DASH}"
#: More groups than this get no tables of their own.
MOST_GROUPS = 6


@dataclass(frozen=True)
class Column:
    """One column.

    :ivar label: its name.
    :ivar unit: of its numbers.
    :ivar digits: after the point.
    :ivar higher: whether more is better; None where neither is.
    :ivar meaning: one sentence for the reader.
    :ivar values: subject -> number; subjects without one are left out.
    """

    label: str
    unit: str
    digits: int
    higher: bool | None
    meaning: str
    values: Mapping[str, Value]

    @property
    def parts(self) -> tuple[str, str]:
        """The name, and what stands small below it: gap, unit and an arrow to the better side."""
        name, _, gap = self.label.partition(" gap ")
        arrow = {True: "↑", False: "↓", None: ""}[self.higher]
        small = [f"gap {gap}," if gap and self.unit else f"gap {gap}" if gap else "", self.unit, arrow]
        return name, " ".join(part for part in small if part)

    @property
    def heading(self) -> str:
        """Name, unit, and an arrow to the better side."""
        unit = f", {self.unit}" if self.unit else ""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher]
        return f"{self.label}{unit}{arrow}"

    @property
    def best(self) -> frozenset[str]:
        """The subjects that share the best number, as it is printed."""
        if self.higher is None or len(self.values) < 2:
            return frozenset()
        rounded = {subject: round(value.mean, self.digits) for subject, value in self.values.items()}
        if len(set(rounded.values())) == 1:
            return frozenset()
        top = max(rounded.values()) if self.higher else min(rounded.values())
        return frozenset(subject for subject, number in rounded.items() if number == top)


def value_text(value: Value | None, digits: int) -> str:
    """``12.3 ± 0.4``, or a dash."""
    if value is None:
        return NOTHING
    if value.spread is None:
        return f"{value.mean:.{digits}f}"
    return f"{value.mean:.{digits}f} ± {value.spread:.{digits}f}"


def sequence_columns(evaluation: Evaluation, names: Sequences[str]) -> list[Column]:
    """All columns about some sequences, means over them; those that no subject has are left out."""
    columns = []
    for metric in sequence_metrics(evaluation.options.run.sequences.gaps):
        found = {
            subject.name: metric.value(of_subject(evaluation.results, subject.name, names))
            for subject in evaluation.subjects
        }
        values = {subject: value for subject, value in found.items() if value is not None}
        if values:
            columns.append(Column(metric.label, metric.unit, metric.digits, metric.higher, metric.meaning, values))
    return columns


def timing_column(evaluation: Evaluation) -> list[Column]:
    """Time a frame, where it was measured."""
    timings = evaluation.results.timings
    if not timings:
        return []
    some = next(iter(timings.values()))
    meaning = f"Median time of one frame of {some.width} x {some.height} pixels, on two threads of {some.processor}."
    values = {subject: Value(timing.median) for subject, timing in timings.items()}
    return [Column("Time", "ms", 1, False, meaning, values)]


def overview_columns(evaluation: Evaluation) -> list[Column]:
    """All columns about all sequences, and the time a frame."""
    return sequence_columns(evaluation, evaluation.sequence_names) + timing_column(evaluation)


def pair_set_subjects(evaluation: Evaluation, pair_set: PairSet) -> list[str]:
    """The subjects that were judged on a set."""
    results = evaluation.results.pair_sets
    return [subject.name for subject in evaluation.subjects if (subject.name, pair_set.name) in results]


def groups_shown(pair_set: PairSet) -> list[str]:
    """Groups of a set that get tables of their own: not those of a mixed bag, and not those of hundreds of scenes."""
    groups = sorted({pair.group for pair in pair_set.pairs})
    return groups if 1 < len(groups) <= MOST_GROUPS and UNGROUPED not in groups else []


def pair_set_columns(evaluation: Evaluation, pair_set: PairSet, group: str | None = None) -> list[Column]:
    """All columns about a set of pairs, or about one group of it."""
    protocol = pair_set.protocol
    unit, what = ("px", "Homography") if pair_set.has_homographies else ("°", "Pose")
    summaries = {
        name: summarise_pairs(pair_set, evaluation.results.pair_sets[name, pair_set.name], group)
        for name in pair_set_subjects(evaluation, pair_set)
    }
    columns = []
    for index, threshold in enumerate(protocol.auc_thresholds):
        meaning = f"{what} error: area under the cumulative error curve up to {threshold:g} {unit}."
        values = {name: summary.auc[index] for name, summary in summaries.items()}
        columns.append(Column(f"{what} AUC@{threshold:g}{unit}", "%", 1, True, meaning, values))
    repeated = {name: value for name, summary in summaries.items() if (value := summary.repeatability) is not None}
    if repeated:
        meaning = "Keypoints that the other image has too, within 3 px, of those that both images show."
        columns.append(Column("Repeatability", "%", 1, True, meaning, repeated))
    matched = {name: value for name, summary in summaries.items() if (value := summary.matching_score) is not None}
    if matched:
        meaning = "Keypoints that are matched rightly, of those that both images show."
        columns.append(Column("Matching score", "%", 1, True, meaning, matched))
    counts = {name: summary.keypoints for name, summary in summaries.items()}
    columns.append(Column("Keypoints", "", 0, None, "Keypoints an image.", counts))
    matches = {name: summary.matches for name, summary in summaries.items()}
    columns.append(Column("Matches", "", 0, None, "Mutual nearest neighbours a pair.", matches))
    if len(protocol.thresholds) > 1:
        thresholds = {name: Value(summary.threshold) for name, summary in summaries.items()}
        meaning = "The estimator's threshold with the best mean AUC."
        columns.append(Column("Threshold", "px", 1, None, meaning, thresholds))
    return columns
