"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence as Sequences

from training.evaluation.evaluate import Evaluation
from training.evaluation.report.columns import (
    Column,
    groups_shown,
    overview_columns,
    pair_set_columns,
    pair_set_subjects,
    sequence_columns,
    value_text,
)


def markdown(evaluation: Evaluation) -> str:
    """Overview, one table a sequence, one a pair set, and how it was measured."""
    parts = ["# Keypoint evaluation", *protocol_paragraphs(evaluation)]
    if evaluation.sequences:
        parts += [
            "## All sequences",
            "Means over " + ", ".join(evaluation.sequence_names) + ".",
            _table(evaluation, overview_columns(evaluation), [subject.name for subject in evaluation.subjects]),
        ]
        for sequence in evaluation.sequences:
            columns = sequence_columns(evaluation, [sequence.name])
            parts += [
                f"## {sequence.name}",
                f"{len(sequence)} frames.",
                _table(evaluation, columns, [subject.name for subject in evaluation.subjects]),
            ]
    for pair_set in evaluation.pair_sets:
        parts += [f"## {pair_set.name}", f"{len(pair_set.pairs)} pairs. {pair_set.protocol.source}."]
        for group in (None, *groups_shown(pair_set)):
            if group is not None:
                parts.append(f"### {pair_set.name}: {group}")
            columns = pair_set_columns(evaluation, pair_set, group)
            parts.append(_table(evaluation, columns, pair_set_subjects(evaluation, pair_set)))
    return "\n\n".join(parts) + "\n"


def protocol_paragraphs(evaluation: Evaluation) -> list[str]:
    """How it was measured, in a few paragraphs."""
    sequences = evaluation.options.run.sequences
    known = evaluation.environment
    runs = f"{sequences.seeds} runs" if sequences.seeds > 1 else "1 run"
    lines = [
        f"Sequences: {evaluation.options.max_keypoints} keypoints a frame, mutual nearest neighbours, "
        f"{sequences.estimator}; "
        f"pairs {', '.join(map(str, sequences.gaps))} frames apart, one every {sequences.stride} frames. "
        f"{runs} of every estimate (seeds 0 to {sequences.seeds - 1}): mean ± standard deviation.",
        f"Measured {known['time']}, commit {known['commit'] or 'unknown'}, {known['processor']}; "
        + ", ".join(f"{name} {known[name]}" for name in known if name not in ("time", "commit", "processor"))
        + ".",
    ]
    lines += [f"{pair_set.name}: {pair_set.protocol.source}." for pair_set in evaluation.pair_sets]
    return lines + [f"{note}." for note in evaluation.notes]


def _table(evaluation: Evaluation, columns: Sequences[Column], subjects: Sequences[str]) -> str:
    rows = ["| | " + " | ".join(column.heading for column in columns) + " |"]
    rows.append("|---|" + "---:|" * len(columns))
    for subject in subjects:
        cells = []
        for column in columns:
            text = value_text(column.values.get(subject), column.digits)
            cells.append(f"**{text}**" if subject in column.best else text)
        rows.append(f"| {subject} | " + " | ".join(cells) + " |")
    return "\n".join(rows)
