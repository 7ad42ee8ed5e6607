"""``python -m training contrast``: is a detector one of light points, of dark ones, or of both?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp_ros.commands.reporting import reported, say


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(reported(contrast))


def contrast(
    models: Annotated[list[str], typer.Argument(help="Runs' checkpoints (last.pt), .onnx files, or model names.")],
    images: Annotated[list[Path], typer.Option(help="Folders of images.")],
    keypoints: Annotated[int, typer.Option(min=1, help="The best so many of each image.")] = 512,
    count: Annotated[int, typer.Option(min=1, help="At most so many images, evenly chosen.")] = 40,
) -> None:
    """Tell by the contrast at its keypoints whether a detector finds light points, dark ones, or both.

    Example: python -m training contrast runs/dad_0/last.pt runs/dad_1/last.pt --images ../shared/data/photos
    """
    import numpy as np

    from training.data.photographs import list_photographs
    from training.data.sequence import read_image
    from training.methods.contrast import grey_of, keypoints_of, measure_contrast

    files = list_photographs(images)
    chosen = [files[int(k)] for k in np.linspace(0, len(files) - 1, min(count, len(files)))]
    for model in models:
        found = measure_contrast(keypoints_of(model, keypoints), (grey_of(read_image(file)) for file in chosen))
        say(
            f"{model}: {found.polarity.value}; contrast {found.mean:+.2f}, {found.light:.0%} of {found.keypoints} "
            f"keypoints are light (of all pixels {found.blind:.0%})"
        )
