"""``python -m training dataset``: a recorded bag becomes training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(dataset)


def dataset(
    bag: Annotated[Path, typer.Argument(help="A rosbag2 folder, .mcap, .db3, or a .bag of ROS 1.")],
    output: Annotated[Path, typer.Option(help="Folder to make.")],
    image: Annotated[str | None, typer.Option(help="Image topic; chosen by itself where there are several.")] = None,
    camera_info: Annotated[str | None, typer.Option(help="Topic of the calibration; '' uses none.")] = None,
    depth: Annotated[str | None, typer.Option(help="Topic of depth images; '' uses none.")] = None,
    pose: Annotated[str | None, typer.Option(help="Topic of poses; /tf uses transforms, '' uses none.")] = None,
    fixed_frame: Annotated[str | None, typer.Option(help="Frame that /tf's poses are taken in (odom, map).")] = None,
    camera_pose: Annotated[
        str | None,
        typer.Option(help="Camera in the frame of the pose topic: 'x y z qx qy qz qw', metres, optical frame."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Seconds between an image and its depth.")] = 0.02,
    pose_gap: Annotated[float, typer.Option(min=0, help="Longest time to interpolate poses over, seconds.")] = 0.25,
    min_motion: Annotated[
        float, typer.Option(min=0, max=1, help="Motion between kept images, share of the diagonal; 0 keeps all.")
    ] = 0.01,
    min_sharpness: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of the sharpness of the images around; 0 keeps all.")
    ] = 0.4,
    lossless: Annotated[bool, typer.Option(help="Store raw images as PNG instead of JPEG.")] = False,
    pairs: Annotated[bool, typer.Option(help="Label pairs of images by matching.")] = True,
) -> None:
    """Make training data of a recorded bag: images, and calibration, depth and poses where the bag has them.

    Images without motion, blurred ones and broken ones are left out; report.md says what was kept and why.

    Example: python -m training dataset drive.mcap --output data/drive
    """
    # Here, so that --help answers at once.
    from training.data.bags.conversion import convert
    from training.data.bags.planning import ConversionOptions, parse_pose
    from training.data.bags.progress import ProgressBar
    from training.data.bags.topics import AskedTopics

    options = ConversionOptions(
        topics=AskedTopics(image, camera_info, depth, pose),
        fixed_frame=fixed_frame,
        camera_pose=None if camera_pose is None else parse_pose(camera_pose),
        tolerance=tolerance,
        pose_gap=pose_gap,
        least_motion=min_motion,
        least_sharpness=min_sharpness,
        lossless=lossless,
        pairs=pairs,
    )
    bar = ProgressBar()
    try:
        report = convert(bag, output, options, bar)
    finally:
        bar.close()
    console = Console()
    kinds = ", ".join(kind for kind, topic in report.topics.items() if topic)
    console.print(escape(f"{output}: {report.kept} of {report.images} images kept; it has {kinds}"), soft_wrap=True)
    for reason, count in report.dropped.items():
        console.print(escape(f"  left out: {count} {reason}"), soft_wrap=True)
    for note in report.notes:
        console.print(escape(f"  note: {note}"), style="yellow", soft_wrap=True)
    console.print(escape(f"  more in {output / 'report.md'}"), soft_wrap=True)
