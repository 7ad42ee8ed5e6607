"""Arguments that several commands share, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kp_ros.commands.reporting import say
from kp_ros.errors import Interrupted, UserError

if TYPE_CHECKING:
    from kp_ros.offline.watching import Summary
    from kp_ros.recordings.recording import Recording

Input = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="A ROS 2 bag (folder, .mcap or .db3), a ROS 1 .bag, a video, or a folder of images "
        "(its calib.json gives the camera, its poses_tum.txt the times).",
        show_default=False,
    ),
]
Topic = Annotated[
    str | None,
    typer.Option(
        "--topic", "-t", metavar="TOPIC", help="The image topic, where a bag has several.", show_default=False
    ),
]
CameraInfo = Annotated[
    str | None,
    typer.Option(
        "--camera-info",
        metavar="TOPIC",
        help="The topic of the calibration, where it is not camera_info beside the images.",
        show_default=False,
    ),
]
Rate = Annotated[
    float,
    typer.Option("--fps", metavar="HZ", min=0.001, help="Images a second of folders and videos that do not tell."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="An exported .onnx file, a shipped model's name, or orb, sift or gftt.  [default: kp_base]",
        show_default=False,
    ),
]
MaxKeypoints = Annotated[
    int,
    typer.Option("--max-keypoints", "-k", metavar="K", min=1, help="The most keypoints an image, and the most tracks."),
]


@contextmanager
def opened(path: Path, topic: str | None, camera_info: str | None, rate: float) -> Iterator[Recording]:
    """Open a recording for the length of a block."""
    from kp_ros.recordings.opening import open_recording

    recording = open_recording(path, topic=topic, camera_info=camera_info, rate=rate)
    try:
        yield recording
    finally:
        recording.close()


def check_output(source: Path, output: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse an output that would overwrite the input, or whose name promises another format.

    :raises UserError: with the fix.
    """
    if output.suffix.lower() not in suffixes:
        raise UserError(f"{output} does not end in {' or '.join(suffixes)}; give --output such a name")
    if output.exists() and output.samefile(source):
        raise UserError(f"{output} is the input; give --output another name")


def report(summary: Summary, what: str) -> None:
    """Tell what was done, and what the user should know.

    :raises Interrupted: when Ctrl-C cut the work short.
    """
    for notice in summary.notices:
        say(f"note: {notice}", "yellow")
    mean = summary.points / summary.frames
    if summary.interrupted:
        raise Interrupted(f"{summary.output} is whole and holds the first {summary.frames} frames")
    say(
        f"wrote {summary.output}: {summary.frames} frames, {mean:.0f} {what} a frame, "
        f"{summary.frames / summary.seconds:.1f} frames/s",
        "green",
    )
