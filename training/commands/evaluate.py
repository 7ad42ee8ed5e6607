"""``python -m training evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from kp_ros.commands.progress import progress_bar
from kp_ros.commands.reporting import reported, say
from kp_ros.errors import UserError


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(reported(evaluate))


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(help="Exported .onnx files, names of shipped models, or the baselines orb, sift and klt."),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="A sequence, a folder of sequences, a homography set, MegaDepth-1500 or ScanNet-1500."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for index.html, results.md and results.json.")] = Path(
        "evaluation"
    ),
    sequences: Annotated[str, typer.Option(help="Only these, by name, comma-separated.")] = "",
    frames: Annotated[int | None, typer.Option(min=5, help="Only the first so many frames of a sequence.")] = None,
    stride: Annotated[int, typer.Option(min=1, help="A pair begins at every so many frames.")] = 5,
    gaps: Annotated[str, typer.Option(help="Distances of a pair's frames, comma-separated.")] = "1,5,15",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every estimate, for the spread.")] = 3,
    keypoints: Annotated[int, typer.Option(min=16, help="Keypoints a frame of a sequence.")] = 1024,
    tracks: Annotated[bool, typer.Option(help="Judge every model's own tracks too.")] = True,
    estimator: Annotated[
        str, typer.Option(help="Of the sequences' poses: opencv-magsac, opencv-ransac, poselib.")
    ] = "opencv-magsac",
    threshold: Annotated[float, typer.Option(help="Of that estimator, pixels.")] = 1.0,
    pair_estimator: Annotated[str | None, typer.Option(help="Of pair sets, instead of their protocol's own.")] = None,
    pair_threshold: Annotated[float | None, typer.Option(help="Likewise, pixels of the resized images.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that work at a time.")] = 2,
    timed_frames: Annotated[int, typer.Option(min=0, help="Frames that time is measured on; 0: none.")] = 30,
    cache: Annotated[Path | None, typer.Option(help="Folder of what is kept; default ~/.cache/kp_ros.")] = None,
) -> None:
    """Judge models on sequences and image pairs: a table, JSON and a page for people. Ctrl-C keeps what is done.

    Example: python -m training evaluate models/kp_base.onnx orb sift klt --data ../shared/data
    """
    from training.evaluation.evaluate import EvaluationOptions
    from training.evaluation.evaluate import evaluate as run
    from training.evaluation.relative_pose import EstimatorOptions
    from training.evaluation.report.writing import write_report
    from training.evaluation.running import RunOptions
    from training.evaluation.sequence_judgement import SequenceOptions
    from training.kept import Kind, kept_folder

    judging = SequenceOptions(parse_gaps(gaps), stride, seeds, EstimatorOptions(estimator, threshold))
    options = EvaluationOptions(
        models=tuple(models),
        data=tuple(data),
        run=RunOptions(judging, cache or kept_folder(Kind.EVALUATED), processes, timed_frames),
        names=tuple(name for name in sequences.split(",") if name),
        frames=frames,
        max_keypoints=keypoints,
        tracks=tracks,
        pair_estimator=pair_estimator,
        pair_threshold=pair_threshold,
    )
    with progress_bar() as bar:
        stages: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            bar.update(stages[stage], completed=done)

        evaluation = run(options, show)
    for file in write_report(evaluation, output):
        say(f"wrote {file}")


def parse_gaps(text: str) -> tuple[int, ...]:
    """``1,5,15`` -> (1, 5, 15), ascending.

    :raises UserError: something is no whole number above 0.
    """
    try:
        gaps = sorted({int(gap) for gap in text.split(",")})
    except ValueError as error:
        raise UserError(f"--gaps is '{text}'; give whole numbers with commas between: 1,5,15") from error
    if gaps[0] < 1:
        raise UserError(f"--gaps is '{text}'; two frames of a pair are at least 1 apart")
    return tuple(gaps)
