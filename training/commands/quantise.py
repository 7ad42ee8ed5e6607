"""``python -m training quantise``: an int8 model from an fp32 one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp_ros.commands.reporting import reported, say


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(reported(quantise))


def quantise(
    model: Annotated[str, typer.Argument(help="A shipped model's name, or an exported fp32 .onnx file.")],
    output: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    images: Annotated[list[Path], typer.Option(help="Folders of photographs like those of your robot's camera.")],
    count: Annotated[int, typer.Option(min=3, help="At most so many images, evenly chosen.")] = 30,
) -> None:
    """Make the int8 twin of a model, for TensorRT: its convolutions in eight bits, the rest in fp32.

    Two of three images calibrate it, the third compares it with its parent.

    Example: python -m training quantise kp_base kp_base_int8.onnx --images ../shared/data/photos
    """
    import numpy as np

    from kp_ros.detectors.model_file import find_model, read_model
    from training.data.photographs import list_photographs
    from training.quantise import quantise as run

    files = list_photographs(images)
    chosen = [files[int(k)] for k in np.linspace(0, len(files) - 1, min(count, len(files)))]
    likeness = run(read_model(find_model(model)), output, chosen)
    say(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, int8; on {likeness.images} other images it finds "
        f"{likeness.shared:.1%} of its parent's keypoints within 1 px, descriptors agree to a mean cosine of "
        f"{likeness.descriptor_cosine:.4f}"
    )
